package message_test

import (
	"testing"

	"github.com/relaykeep/relaykeep/relay/carrier"
	"github.com/relaykeep/relaykeep/relay/store"
)

func TestDeviceList_WithACustomersFirstMessageIsNotMissed(t *testing.T) {
	dir := t.TempDir()
	inBubble(t, func(t *testing.T, w *world) {
		a := w.customer(dir, alice)
		a.says(w.number, "hello")
		m := unreadableFrom(a)
		m.From = number(t, bob)
		w.keepSecret(m.From.Digits())
		check(t, w.brings(m, carrier.DeviceList{Peer: m.From, Devices: []carrier.DeviceID{5}}))
		check(t, w.store.View(t.Context(), func(tx *store.Tx) error {
			c, err := tx.Customer(m.From)
			check(t, err)
			_, err = tx.Device(c.ID, 5)
			return err
		}))
	})
}
