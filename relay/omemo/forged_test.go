package omemo_test

import (
	"bytes"
	"errors"
	"slices"
	"testing"

	"github.com/relaykeep/relaykeep/relay/carrier"
	"github.com/relaykeep/relaykeep/relay/omemo"
	"github.com/relaykeep/relaykeep/relay/signal"
)

// copyMessage returns m with slices of its own, to be damaged.
func copyMessage(m carrier.Message) carrier.Message {
	e := &m.Envelope
	e.IV, e.Payload = bytes.Clone(e.IV), bytes.Clone(e.Payload)
	e.Keys = slices.Clone(e.Keys)
	for i := range e.Keys {
		e.Keys[i].Data = bytes.Clone(e.Keys[i].Data)
	}
	return m
}

func TestOpenRefusesDamageAndThenOpensTheOriginal(t *testing.T) {
	tests := []struct {
		name   string
		damage func(*carrier.Message)
		want   error
	}{
		{"no keys", func(m *carrier.Message) { m.Envelope.Keys = nil }, omemo.ErrNotForUs},
		{"key for another device", func(m *carrier.Message) { m.Envelope.Keys[0].Device = 5 }, omemo.ErrNotForUs},
		{"sender 0", func(m *carrier.Message) { m.Envelope.Sender = 0 }, omemo.ErrMalformed},
		{"sender above 2^31-1", func(m *carrier.Message) { m.Envelope.Sender = 1 << 31 }, omemo.ErrMalformed},
		{"another sender", func(m *carrier.Message) { m.Envelope.Sender = 77 }, signal.ErrNoSession},
		{"empty key", func(m *carrier.Message) { m.Envelope.Keys[0].Data = nil }, omemo.ErrMalformed},
		{"our key twice, both bad", func(m *carrier.Message) {
			m.Envelope.Keys[0].Data = nil
			m.Envelope.Keys = append(m.Envelope.Keys, m.Envelope.Keys[0])
		}, omemo.ErrMalformed},
		{"huge key", func(m *carrier.Message) { m.Envelope.Keys[0].Data = make([]byte, 1<<20) }, omemo.ErrMalformed},
		{"no iv", func(m *carrier.Message) { m.Envelope.IV = nil }, omemo.ErrMalformed},
		{"iv of 13 bytes", func(m *carrier.Message) { m.Envelope.IV = make([]byte, 13) }, omemo.ErrMalformed},
		{"huge payload", func(m *carrier.Message) { m.Envelope.Payload = make([]byte, omemo.MaxText+17) }, omemo.ErrMalformed},
		{"key is no message", func(m *carrier.Message) { m.Envelope.Keys[0].Data = []byte{0x33, 0xff, 0xff} }, signal.ErrMalformed},
		{"flipped bit in the key", func(m *carrier.Message) {
			data := m.Envelope.Keys[0].Data
			data[len(data)-1] ^= 1
		}, signal.ErrUnauthenticated},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			business, customer := conversation(t)
			m := customer.seal("intact", business)
			forged := copyMessage(m)
			tt.damage(&forged)
			business.mem.writes = 0
			if _, err := business.open(forged); !errors.Is(err, tt.want) {
				t.Errorf("error %v, want %v", err, tt.want)
			}
			if business.mem.writes != 0 {
				t.Error("a refused message changed the sessions")
			}
			business.mustOpen(m, "intact")
		})
	}
}

func TestKeysOfOtherDevicesDoNotMatter(t *testing.T) {
	business, customer := conversation(t)
	m := copyMessage(customer.seal("for you", business))
	for i := range carrier.DeviceID(1000) {
		m.Envelope.Keys = append([]carrier.Key{{Device: 5000 + i, Data: make([]byte, i*10)}}, m.Envelope.Keys...)
	}
	m.Envelope.Keys = append([]carrier.Key{{Device: business.account.Device}}, m.Envelope.Keys...)
	business.mustOpen(m, "for you")
}

func TestDamagedContentChangesNothing(t *testing.T) {
	for name, damage := range map[string]func(*carrier.Envelope){
		"flipped bit":   func(e *carrier.Envelope) { e.Payload[0] ^= 1 },
		"cut short":     func(e *carrier.Envelope) { e.Payload = e.Payload[:1] },
		"empty payload": func(e *carrier.Envelope) { e.Payload = []byte{} },
		"another iv":    func(e *carrier.Envelope) { e.IV[0] ^= 1 },
		"too long":      func(e *carrier.Envelope) { e.Payload = make([]byte, omemo.MaxText+1) },
	} {
		t.Run(name, func(t *testing.T) {
			business, customer := conversation(t)
			m := customer.seal("intact", business)
			forged := copyMessage(m)
			damage(&forged.Envelope)
			business.mem.writes = 0
			if _, err := business.open(forged); !errors.Is(err, omemo.ErrContent) {
				t.Fatalf("error %v, want ErrContent", err)
			}
			if business.mem.writes != 0 {
				t.Error("a carrier's damage changed the sessions")
			}
			business.mustOpen(m, "intact")
			if _, err := business.open(m); !errors.Is(err, signal.ErrReplay) {
				t.Errorf("the original again: %v, want ErrReplay", err)
			}
			business.mustOpen(customer.seal("next", business), "next")
		})
	}
}

func TestOpenReadsOldClients(t *testing.T) {
	for name, c := range map[string]struct {
		tagInPayload bool
		ivSize       int
	}{
		"as of today":      {false, 12},
		"iv of 16 bytes":   {false, 16},
		"tag in payload":   {true, 12},
		"both, as in 2016": {true, 16},
	} {
		t.Run(name, func(t *testing.T) {
			business, customer := conversation(t)
			m := oldEnvelope(t, customer, business, "from long ago", c.tagInPayload, c.ivSize)
			business.mustOpen(m, "from long ago")
		})
	}
}

func TestOpenRefusesContentKeysOfOddLength(t *testing.T) {
	for _, n := range []int{0, 15, 17, 31, 33, 64} {
		business, customer := conversation(t)
		e := carrier.Envelope{Sender: 2002, IV: make([]byte, 12), Payload: []byte("payload")}
		e.Keys = []carrier.Key{signalKey(t, customer, business, make([]byte, n))}
		_, err := business.open(carrier.Message{From: customer.number, Envelope: e})
		if !errors.Is(err, omemo.ErrContent) {
			t.Errorf("content key of %d bytes: %v, want ErrContent", n, err)
		}
	}
}

func TestKeyTransportNeedsNoIVAndAnyKey(t *testing.T) {
	// Clients send key transport with a key of 16 bytes, key and tag, or less.
	for _, n := range []int{0, 12, 16, 32} {
		business, customer := conversation(t)
		e := carrier.Envelope{Sender: 2002, Keys: []carrier.Key{signalKey(t, customer, business, make([]byte, n))}}
		o, err := business.open(carrier.Message{From: customer.number, Envelope: e})
		if err != nil || o.Text != nil {
			t.Errorf("key of %d bytes: %q, %v; want no text and no error", n, o.Text, err)
		}
	}
}
