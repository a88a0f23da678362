package controllers_test

import (
	"context"
	"fmt"
	"strings"
	"testing"

	"sigs.k8s.io/controller-runtime/pkg/client"
	"sigs.k8s.io/controller-runtime/pkg/client/interceptor"
)

// What is not in the cache may still be there, and is asked for. With many new relays these questions take much of the time.
func TestRelay_AsksTheServerForEachOfItsObjectsOnce(t *testing.T) {
	w := newWorld(t)
	asked := map[string]int{}
	w.relays.Live = interceptor.NewClient(server.Client, interceptor.Funcs{
		Get: func(ctx context.Context, c client.WithWatch, key client.ObjectKey, o client.Object, opts ...client.GetOption) error {
			asked[fmt.Sprintf("%T %s", o, key.Name)]++
			return c.Get(ctx, key, o, opts...)
		},
	})
	relay := w.relay("acme")
	w.create(relay)
	w.pass(relay)
	const claim = "*v1.PersistentVolumeClaim acme-relay" // once for what is in the configuration, and once before it is made
	if len(asked) < 8 {
		t.Errorf("it is asked for no more than %v", asked)
	}
	for what, times := range asked {
		if times > 1 && (what != claim || times > 2) {
			t.Errorf("%s is asked for %d times", what, times)
		}
	}
}

// TestRelay_NewOneIsWrittenOnce: with a thousand of them, each write that says half of what the next one says takes seconds.
func TestRelay_NewOneIsWrittenOnce(t *testing.T) {
	w := newWorld(t)
	relay := w.relay("acme")
	w.create(relay)
	w.pass(relay)
	times := map[string]int{}
	for _, write := range w.written() {
		times[write]++
	}
	for what, n := range times {
		if n > 1 && !strings.Contains(what, "NetworkPolicy") { // of which it has two
			t.Errorf("%s: %d times", what, n)
		}
	}
	if len(times) < 8 {
		t.Errorf("it was written no more than %v", times)
	}
	w.quiet(relay)
}
