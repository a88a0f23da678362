package probe

import (
	"context"
	"sync"

	"sigs.k8s.io/controller-runtime/pkg/client"
)

// memo keeps what was found out about something, so that many relays ask once.
type memo[K comparable, V any] struct {
	mu    sync.Mutex
	known map[K]func() V
}

// of returns what is known about a key, and finds it out if nobody has. Others who ask for the same wait.
func (m *memo[K, V]) of(key K, find func() V) V {
	m.mu.Lock()
	if m.known == nil {
		m.known = map[K]func() V{}
	}
	once, ok := m.known[key]
	if !ok {
		once = sync.OnceValue(find)
		m.known[key] = once
	}
	m.mu.Unlock()
	return once()
}

// read is what was read, or why it was not.
type read[T any] struct {
	value T
	err   error
}

func get[T client.Object](ctx context.Context, k client.Reader, key client.ObjectKey, into T) read[T] {
	err := k.Get(ctx, key, into)
	return read[T]{into, err}
}
