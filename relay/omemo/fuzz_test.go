package omemo_test

import (
	"testing"

	"github.com/relaykeep/relaykeep/relay/carrier"
	"github.com/relaykeep/relaykeep/test/fuzz/mutation"
)

// FuzzOpen hands arbitrary envelopes to a device with a session: whatever comes,
// it neither panics nor loses the session, and what is not authentic writes nothing.
func FuzzOpen(tf *testing.F) {
	f := mutation.Of(tf)
	f.Add(uint32(2002), uint32(1001), false, []byte{0x33}, make([]byte, 12), []byte("payload"))
	f.Add(uint32(2002), uint32(1001), true, []byte{0x33, 0x08, 0x01}, make([]byte, 16), []byte{})
	f.Add(uint32(0), uint32(5), true, []byte(nil), []byte(nil), []byte(nil))
	var business *device
	var genuine carrier.Message
	f.Fuzz(func(t *testing.T, sender, rid uint32, preKey bool, data, iv, payload []byte) {
		if business == nil { // once a process: making keys takes longest
			var customer *device
			business, customer = conversation(t)
			genuine = customer.seal("genuine", business)
		}
		d := &device{t: t, account: business.account, mem: business.mem.clone()}
		_, err := d.open(carrier.Message{From: genuine.From, Envelope: carrier.Envelope{
			Sender: carrier.DeviceID(sender), IV: iv, Payload: payload,
			Keys: []carrier.Key{{Device: carrier.DeviceID(rid), PreKey: preKey, Data: data}},
		}})
		if err == nil {
			t.Error("an envelope from nobody opened")
		}
		if d.mem.writes != 0 {
			t.Error("an envelope from nobody changed the sessions")
		}
		damaged := genuine // the carrier's work: all but the Signal message is arbitrary
		damaged.Envelope.IV, damaged.Envelope.Payload = iv, append([]byte{}, payload...)
		if _, err := d.open(damaged); err == nil || d.mem.writes != 0 {
			t.Errorf("damaged content: %v, %d writes", err, d.mem.writes)
		}
		d.mustOpen(genuine, "genuine")
	})
}

// FuzzStart hands arbitrary bundles over: none panics, none that is not signed
// makes a session.
func FuzzStart(tf *testing.F) {
	f := mutation.Of(tf)
	f.Add([]byte{5}, uint32(1), []byte{5}, make([]byte, 64), uint32(1), []byte{5})
	f.Add(make([]byte, 33), uint32(0), make([]byte, 33), make([]byte, 64), uint32(0), make([]byte, 33))
	f.Add([]byte(nil), uint32(1), []byte(nil), []byte(nil), uint32(1), append([]byte{5}, make([]byte, 32)...)) // a point of low order
	var d, peer *device
	f.Fuzz(func(t *testing.T, identity []byte, id uint32, signed, signature []byte, preID uint32, pre []byte) {
		if d == nil { // once a process: making keys takes longest
			d, peer = newDevice(t, "+4930111111", 1001), newDevice(t, "+4917022222", 2002)
		}
		mem := d.mem.clone()
		b := carrier.Bundle{
			IdentityKey: identity, SignedPreKey: carrier.PreKey{ID: id, Public: signed}, Signature: signature,
			PreKeys: []carrier.PreKey{{ID: preID, Public: pre}},
		}
		if _, err := d.account.Start(mem, peer.number, 2002, b, now); err == nil {
			t.Error("an unsigned bundle made a session")
		}
		// With a genuine bundle around it, the one-time key alone is arbitrary.
		genuine := peer.bundle
		genuine.PreKeys = b.PreKeys
		if _, err := d.account.Start(mem, peer.number, 2002, genuine, now); err != nil {
			t.Errorf("an odd one-time key spoiled a signed bundle: %v", err)
		}
	})
}
