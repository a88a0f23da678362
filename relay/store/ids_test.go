package store_test

import (
	"encoding/base64"
	"slices"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"github.com/relaykeep/relaykeep/relay/store"
)

// decodeID returns the bytes of an ID behind its mark.
func decodeID(t *testing.T, id string) string {
	t.Helper()
	text := strings.TrimPrefix(strings.TrimPrefix(id, "wamid."), "k")
	b, err := base64.RawURLEncoding.DecodeString(text)
	if err != nil {
		t.Fatal(err)
	}
	return string(b)
}

// Rows that are made one after another stand beside each other in the indexes.
func TestIDs_AreInTheOrderOfTime(t *testing.T) {
	for name, newID := range map[string]func() string{"message": store.NewMessageID, "carrier": store.NewCarrierID} {
		t.Run(name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				if a, b := decodeID(t, newID()), decodeID(t, newID()); a[:6] != b[:6] || a[6:] == b[6:] {
					t.Errorf("of one moment are %x and %x", a, b)
				}
				var decoded []string
				for range 100 {
					id := newID()
					decoded = append(decoded, decodeID(t, id))
					<-time.After(time.Hour)
				}
				if !slices.IsSorted(decoded) {
					t.Errorf("they are in another order: %x", decoded)
				}
			})
		})
	}
}

func TestMessageByCarrierID_FindsWhatEitherFormNames(t *testing.T) {
	w := newWorld(t)
	c := w.customer("+4917012345678")
	ids := []string{store.NewCarrierID(), store.NewCarrierID(), "6QWERTZ7ASDF", "k-_-_", "k" + "!!!!!!!!!!!!!!!!!!!!!!!!"}
	for _, id := range ids {
		w.update(func(tx *store.Tx) error {
			return tx.PutMessage(store.Message{
				ID: id, Direction: store.Outbound, Customer: c, Type: "text", Body: []byte("{}"), CarrierID: id, State: "sent", Created: w.now,
			})
		})
	}
	w.pass(24 * time.Hour)
	for _, id := range ids {
		w.view(func(tx *store.Tx) error {
			m, err := tx.MessageByCarrierID(store.Outbound, id)
			if err == nil && m.ID != id {
				t.Errorf("%q finds the message of %q", id, m.ID)
			}
			return err
		})
		w.view(func(tx *store.Tx) error {
			_, err := tx.MessageByCarrierID(store.Inbound, id)
			wantIs(t, err, store.ErrNotFound)
			return nil
		})
	}
}
