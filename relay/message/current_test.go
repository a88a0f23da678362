package message_test

import (
	"context"
	"slices"
	"sync/atomic"
	"testing"
	"time"

	"github.com/relaykeep/relaykeep/relay/carrier"
	"github.com/relaykeep/relaykeep/relay/message"
)

// oneWay is a link on which nothing leaves while it is down.
type oneWay struct {
	message.Carrier
	down *atomic.Bool
}

func (l oneWay) Send(ctx context.Context, o carrier.Outgoing) error {
	if l.down.Load() {
		return carrier.ErrOffline
	}
	return l.Carrier.Send(ctx, o)
}

func (l oneWay) PublishBundle(ctx context.Context, d carrier.DeviceID, b carrier.Bundle) error {
	if l.down.Load() {
		return carrier.ErrOffline
	}
	return l.Carrier.PublishBundle(ctx, d, b)
}

// A link that is resumed is no reason to publish, but what changed meanwhile is.
func TestKeysUsedWithoutALinkAreReplacedOnceItIsResumed(t *testing.T) {
	dir := t.TempDir()
	inBubble(t, func(t *testing.T, w *world) {
		var down atomic.Bool
		w.stop()
		w.wire = func(l message.Carrier) message.Carrier { return oneWay{l, &down} }
		w.start()
		a, b := w.customer(dir+"/a", alice), w.customer(dir+"/b", "+491702222222")
		b.says(w.number, "before")
		w.take()
		before := w.hub.Bundle(w.number, w.account.Device)
		down.Store(true)
		w.says(b.number, "waits, and shows that the link is down")
		w.settle()
		a.says(w.number, "takes a key")
		w.settle()
		down.Store(false)
		check(t, w.brings(carrier.Connected{Resumed: true}))
		w.settle()
		after := w.hub.Bundle(w.number, w.account.Device)
		gone := 0
		for _, k := range before.PreKeys {
			if !slices.ContainsFunc(after.PreKeys, func(o carrier.PreKey) bool { return o.ID == k.ID }) {
				gone++
			}
		}
		if gone != 1 || len(after.PreKeys) != len(before.PreKeys) {
			t.Errorf("%d used keys were replaced, of %d there are %d", gone, len(before.PreKeys), len(after.PreKeys))
		}
	})
}

// Until the carrier has our keys, customers cannot write to us, although the link is up.
func TestRelayIsPublishedOnceTheCarrierHasItsKeys(t *testing.T) {
	inBubble(t, func(t *testing.T, w *world) {
		var down atomic.Bool
		down.Store(true)
		w.stop()
		w.wire = func(l message.Carrier) message.Carrier { return oneWay{l, &down} }
		w.start()
		if w.settle(); w.Published() {
			t.Error("published without a link")
		}
		down.Store(false)
		elapse(15 * time.Second)
		if w.settle(); !w.Published() {
			t.Error("not published, although the carrier takes keys")
		}
	})
}
