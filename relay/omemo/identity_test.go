package omemo_test

import (
	"errors"
	"strings"
	"testing"

	"github.com/relaykeep/relaykeep/relay/carrier"
	"github.com/relaykeep/relaykeep/relay/omemo"
	"github.com/relaykeep/relaykeep/relay/signal"
)

// reinstalled returns the same number and device id with other keys.
func reinstalled(d *device) *device {
	return newDevice(d.t, d.number.E164(), d.account.Device)
}

func TestBlindTrustReportsAChangedIdentity(t *testing.T) {
	business, customer := conversation(t)
	again := reinstalled(customer)
	again.start(business)
	if o := business.mustOpen(again.seal("new phone", business), "new phone"); !o.IdentityChanged {
		t.Error("the change is not reported")
	}
	if o := business.mustOpen(again.seal("again", business), "again"); o.IdentityChanged {
		t.Error("the change is reported twice")
	}
	again.mustOpen(business.seal("welcome back", again), "welcome back")
}

func TestLateMessageOfOldSessionDoesNotChangeIdentityBack(t *testing.T) {
	business, customer := conversation(t)
	late := customer.seal("late", business)
	again := reinstalled(customer)
	again.start(business)
	business.mustOpen(again.seal("new phone", business), "new phone")
	if o := business.mustOpen(late, "late"); o.IdentityChanged {
		t.Error("an old session's message counts as a change")
	}
	key, _, _ := business.mem.Identity(customer.number, 2002)
	if !key.Equal(again.account.Local.Identity.Public()) {
		t.Error("the old identity is back on record")
	}
}

func TestFirstUseRefusesAChangedIdentity(t *testing.T) {
	business, customer := conversation(t)
	business.account.Trust = omemo.FirstUse
	again := reinstalled(customer)
	again.start(business)
	business.mem.writes = 0
	if _, err := business.open(again.seal("an impostor", business)); !errors.Is(err, signal.ErrUntrustedIdentity) {
		t.Errorf("Open: %v, want ErrUntrustedIdentity", err)
	}
	if _, err := business.account.Start(business.mem, again.number, 2002, again.bundle, now); !errors.Is(err, signal.ErrUntrustedIdentity) {
		t.Errorf("Start: %v, want ErrUntrustedIdentity", err)
	}
	if business.mem.writes != 0 {
		t.Error("a refused identity changed the sessions")
	}
	// The rightful device goes on.
	business.mustOpen(customer.seal("still me", business), "still me")
}

func TestStartReportsAChangedIdentity(t *testing.T) {
	business, customer := conversation(t)
	again := reinstalled(customer)
	if !business.start(again).IdentityChanged {
		t.Error("the change is not reported")
	}
	again.mustOpen(business.seal("are you there?", again), "are you there?")
}

func TestStartRefusesBadBundles(t *testing.T) {
	for name, spoil := range map[string]func(*carrier.Bundle){
		"empty":                 func(b *carrier.Bundle) { *b = carrier.Bundle{} },
		"short identity key":    func(b *carrier.Bundle) { b.IdentityKey = b.IdentityKey[:32] },
		"identity of all zeros": func(b *carrier.Bundle) { b.IdentityKey = append([]byte{5}, make([]byte, 32)...) },
		"wrong type byte":       func(b *carrier.Bundle) { b.IdentityKey = append([]byte{6}, b.IdentityKey[1:]...) },
		"short signed pre-key":  func(b *carrier.Bundle) { b.SignedPreKey.Public = b.SignedPreKey.Public[:3] },
		"short signature":       func(b *carrier.Bundle) { b.Signature = b.Signature[:63] },
		"long signature":        func(b *carrier.Bundle) { b.Signature = append(b.Signature, 0) },
		"forged signature":      func(b *carrier.Bundle) { b.Signature = append([]byte{b.Signature[0] ^ 1}, b.Signature[1:]...) },
		"signed by another":     func(b *carrier.Bundle) { b.SignedPreKey.Public = b.PreKeys[0].Public },
	} {
		t.Run(name, func(t *testing.T) {
			business, customer := newDevice(t, "+4930111111", 1001), newDevice(t, "+4917022222", 2002)
			b := customer.bundle
			spoil(&b)
			if _, err := business.account.Start(business.mem, customer.number, 2002, b, now); !errors.Is(err, omemo.ErrBundle) {
				t.Errorf("error %v, want ErrBundle", err)
			}
			if business.mem.writes != 0 {
				t.Error("a refused bundle changed the sessions")
			}
		})
	}
}

// TestStartNeverTakesAPreKeyOfID0: on the wire it cannot be told from none, and clients
// whose ids begin there (Converse) do not read who takes it.
func TestStartNeverTakesAPreKeyOfID0(t *testing.T) {
	for range 100 {
		business, customer := newDevice(t, "+4930111111", 1001), newDevice(t, "+4917022222", 2002)
		zero := customer.bundle.PreKeys[0]
		zero.ID = 0
		customer.bundle.PreKeys = []carrier.PreKey{zero, customer.bundle.PreKeys[1]}
		business.start(customer)
		if o := customer.mustOpen(business.seal("hello", customer), "hello"); !o.PreKeyUsed {
			t.Fatal("a pre-key other than the one with id 0 was not taken")
		}
	}
}

func TestStartPassesOverBadOneTimeKeys(t *testing.T) {
	for name, pre := range map[string][]carrier.PreKey{
		"none":      nil,
		"malformed": {{ID: 1, Public: []byte("short")}, {ID: 0, Public: make([]byte, 33)}, {ID: 1 << 31, Public: make([]byte, 33)}},
	} {
		t.Run(name, func(t *testing.T) {
			business, customer := newDevice(t, "+4930111111", 1001), newDevice(t, "+4917022222", 2002)
			customer.bundle.PreKeys = pre
			business.start(customer)
			if o := customer.mustOpen(business.seal("hello", customer), "hello"); !o.NewSession || o.PreKeyUsed {
				t.Errorf("opened %+v, want a new session without a one-time key", o)
			}
		})
	}
}

func TestBundleHoldsPublicHalvesInOrder(t *testing.T) {
	d := newDevice(t, "+4930111111", 1001)
	if len(d.bundle.IdentityKey) != 33 || len(d.bundle.Signature) != 64 || d.bundle.SignedPreKey.ID != 1 {
		t.Errorf("unexpected bundle %+v", d.bundle)
	}
	for i, k := range d.bundle.PreKeys {
		if k.ID != uint32(i+1) || len(k.Public) != 33 || k.Public[0] != 5 {
			t.Errorf("one-time pre-key %d is %+v", i, k)
		}
	}
}

func TestErrorsHoldNoDeviceIDs(t *testing.T) {
	err := &omemo.NoSessionError{Devices: []carrier.DeviceID{123456789}}
	if strings.Contains(err.Error(), "123456789") {
		t.Errorf("%q names a device", err)
	}
}
