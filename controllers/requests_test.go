package controllers_test

import (
	"context"
	"fmt"
	"strings"
	"testing"
	"time"

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
	if len(asked) < 8 {
		t.Errorf("it is asked for no more than %v", asked)
	}
	for what, times := range asked {
		if times > 1 {
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

// TestRelay_ThatStartsIsToldWithItsAnswer: that its pod runs is told with what the relay says of itself, which it is asked for
// at once, or some seconds later if it says nothing.
func TestRelay_ThatStartsIsToldWithItsAnswer(t *testing.T) {
	w := newWorld(t)
	relay := w.relay("acme")
	w.create(relay)
	w.pass(relay)
	w.startPod(relay)
	w.written()
	again := w.pass(relay).RequeueAfter
	if writes := w.written(); len(writes) > 0 {
		t.Errorf("before it could answer it was written: %v", writes)
	}
	if again <= 0 || again > 5*time.Second {
		t.Errorf("it is looked at again after %s", again)
	}
	w.pass(relay)
	if fresh := w.reread(relay); fresh.Status.Region.Node == "" {
		t.Errorf("after it did not answer its node is not told: %+v", fresh.Status)
	}
}
