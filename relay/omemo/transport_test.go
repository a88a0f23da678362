package omemo_test

import (
	"crypto/rand"
	"fmt"
	"testing"

	"github.com/relaykeep/relaykeep/relay/carrier"
)

// TestKeyTransport_ContentOfEveryClient begins a session with what clients put into a message
// without content: key and tag, or 16 bytes without a tag (Gajim), or zeros, which newer
// libraries send, or one byte.
func TestKeyTransport_ContentOfEveryClient(t *testing.T) {
	random := make([]byte, 32)
	_, _ = rand.Read(random)
	for _, content := range [][]byte{random, random[:16], make([]byte, 32), random[:1]} {
		for _, iv := range []int{0, 12, 16} {
			t.Run(fmt.Sprintf("%d bytes, vector of %d", len(content), iv), func(t *testing.T) {
				business, customer := newDevice(t, "+4930111111", 1001), newDevice(t, "+4917022222", 2002)
				customer.start(business)
				e := carrier.Envelope{
					Sender: customer.account.Device, IV: make([]byte, iv),
					Keys: []carrier.Key{signalKey(t, customer, business, content)},
				}
				o, err := business.open(carrier.Message{From: customer.number, Envelope: e})
				if err != nil || o.Text != nil || !o.NewSession {
					t.Fatalf("opened as %+v, error %v", o, err)
				}
				customer.mustOpen(business.seal("an answer", customer), "an answer")
			})
		}
	}
}
