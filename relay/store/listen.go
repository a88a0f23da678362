package store

import "sync"

// Listener is told what changes in a queue, once it is durable, in the order of the changes. It must be quick, and must not wait
// for the store.
type Listener struct {
	Added   func(Job) // a job was added, with the NotBefore, Created and Body that it has in the store
	Changed func()    // a job came from another queue
}

// listeners are told what changes in queues.
type listeners struct {
	mu  sync.Mutex
	all map[string][]*Listener
}

func (ls *listeners) add(queue string, l *Listener) (end func()) {
	ls.mu.Lock()
	defer ls.mu.Unlock()
	if ls.all == nil {
		ls.all = map[string][]*Listener{}
	}
	ls.all[queue] = append(ls.all[queue], l)
	return func() {
		ls.mu.Lock()
		defer ls.mu.Unlock()
		var others []*Listener // a new list: of may have returned the old one
		for _, other := range ls.all[queue] {
			if other != l {
				others = append(others, other)
			}
		}
		ls.all[queue] = others
	}
}

func (ls *listeners) of(queue string) []*Listener {
	ls.mu.Lock()
	defer ls.mu.Unlock()
	return ls.all[queue]
}
