package omemo_test

import (
	"errors"
	"strings"
	"testing"

	"github.com/relaykeep/relaykeep/relay/carrier"
	"github.com/relaykeep/relaykeep/relay/omemo"
	"github.com/relaykeep/relaykeep/relay/phone"
	"github.com/relaykeep/relaykeep/relay/signal"
	"github.com/relaykeep/relaykeep/test/fuzz/mutation"
)

// speaking makes a device one that speaks OMEMO2, too, and returns its bundle there.
func (d *device) speaking() carrier.Bundle {
	d.t.Helper()
	d.account.Own = d.number
	d.account.Address = func(n phone.Number) string { return n.E164() + "@example.org" }
	var pre []*signal.PreKey
	for _, k := range d.mem.pre {
		pre = append(pre, k)
	}
	b, err := d.account.BundleOMEMO2(d.mem.signed, pre)
	check(d.t, err)
	return b
}

// say encrypts a text in OMEMO2; nil makes a message without content.
func (d *device) say(text []byte, to *device) carrier.Message {
	d.t.Helper()
	e, err := d.account.Seal(d.mem, carrier.OMEMO2, to.number, []carrier.DeviceID{to.account.Device}, omemo.Text(text), now)
	check(d.t, err)
	return carrier.Message{From: d.number, Envelope: e, Time: now}
}

// conversation2 returns two devices with a session in OMEMO2 that both have used.
func conversation2(t *testing.T) (business, customer *device) {
	t.Helper()
	business, customer = newDevice(t, "+4930111111", 1001), newDevice(t, "+4917022222", 2002)
	bundle := business.speaking()
	customer.speaking()
	_, err := customer.account.Start(customer.mem, business.number, 1001, bundle, now)
	check(t, err)
	business.mustOpen(customer.say([]byte("hello"), business), "hello")
	customer.mustOpen(business.say([]byte("good day"), customer), "good day")
	return business, customer
}

func TestOMEMO2_MessagesGoBothWays(t *testing.T) {
	business, customer := conversation2(t)
	for _, text := range []string{"", "a text", "<&> \"x\"\n", strings.Repeat("long ", 4000)} {
		o := business.mustOpen(customer.say([]byte(text), business), text)
		if !o.WantsReceipt || !o.WantsRead {
			t.Error("receipts are not asked for")
		}
	}
	empty := customer.say(nil, business)
	if empty.Envelope.Payload != nil || empty.Envelope.IV != nil {
		t.Error("a message without content has some")
	}
	if o, err := business.open(empty); err != nil || o.Text != nil {
		t.Errorf("a message without content: %q, %v", o.Text, err)
	}
}

func TestOMEMO2_WhatIsSaidAboutOthersIsInside(t *testing.T) {
	business, customer := conversation2(t)
	refs := carrier.References{ReplyTo: "q", Quote: carrier.Range{End: 7}, Corrects: "m"}
	reaction := &omemo.Reaction{About: "q", Emoji: "👍"}
	for name, c := range map[string]struct {
		say  omemo.Saying
		fits func(omemo.Opened) bool
	}{
		"references": {omemo.Saying{Text: []byte("> yes?\nno"), References: refs}, func(o omemo.Opened) bool { return o.References == refs && string(o.Text) == "> yes?\nno" }},
		"a reaction instead of its text": {omemo.Saying{Text: []byte("> yes?\n👍"), References: refs, Reaction: reaction}, func(o omemo.Opened) bool {
			r := o.Reaction
			return o.Text == nil && r != nil && r.Encrypted && r.About == "q" && r.Emoji[0] == "👍" && o.WantsReceipt && !o.WantsRead
		}},
		"a retraction": {omemo.Saying{Retracts: "m"}, func(o omemo.Opened) bool {
			return o.Text == nil && o.Retraction != nil && o.Retraction.Encrypted && o.Retraction.About == "m"
		}},
	} {
		e, err := customer.account.Seal(customer.mem, carrier.OMEMO2, business.number, []carrier.DeviceID{1001}, c.say, now)
		check(t, err)
		o, err := business.open(carrier.Message{From: customer.number, Envelope: e, Time: now})
		if err != nil || !c.fits(o) {
			t.Errorf("%s: %+v, %v", name, o, err)
		}
	}
	customer.start(business)
	e, err := customer.account.Seal(customer.mem, carrier.Legacy, business.number, []carrier.DeviceID{1001}, omemo.Saying{Text: []byte("👍"), References: refs, Reaction: reaction}, now)
	check(t, err)
	o, err := business.open(carrier.Message{From: customer.number, Envelope: e, Time: now})
	if err != nil || o.References != (carrier.References{}) || o.Reaction != nil || string(o.Text) != "👍" {
		t.Errorf("in Legacy: %+v, %v", o, err)
	}
}

func TestOMEMO2_SessionsOfBothFormatsAreOneDevices(t *testing.T) {
	business, customer := conversation2(t)
	customer.start(business)
	o := business.mustOpen(customer.seal("in legacy", business), "in legacy")
	if o.IdentityChanged || o.NewDevice || o.Replaced {
		t.Errorf("the other format's session: %+v", o)
	}
	business.mustOpen(customer.say([]byte("in the other"), business), "in the other")
}

// The identity key of a device changes in one format: nothing is encrypted for the former key in the other.
func TestOMEMO2_KeyThatChangedInOneFormatIsNotWrittenToInTheOther(t *testing.T) {
	business, customer := conversation2(t)
	fresh := newDevice(t, "+4917022222", 2002) // the client was installed again
	fresh.start(business)
	if o := business.mustOpen(fresh.seal("me again", business), "me again"); !o.IdentityChanged {
		t.Error("the change goes unnoticed")
	}
	_, err := business.account.Seal(business.mem, carrier.OMEMO2, customer.number, []carrier.DeviceID{2002}, omemo.Text([]byte("secret")), now)
	if !errors.Is(err, omemo.ErrNoSession) {
		t.Errorf("encrypting for the former key gave %v, want ErrNoSession", err)
	}
}

func TestOMEMO2_ContentOfSomeoneElseIsRefused(t *testing.T) {
	business, customer := conversation2(t)
	customer.account.Address = func(phone.Number) string { return "+4917099999@example.org" }
	before := business.mem.clone()
	m := customer.say([]byte("not mine"), business)
	if _, err := business.open(m); !errors.Is(err, omemo.ErrContent) {
		t.Errorf("opening gave %v, want ErrContent", err)
	}
	if business.mem.writes != before.writes && len(business.mem.records) != len(before.records) {
		t.Error("something was written")
	}
}

func TestOMEMO2_DamagedPayloadLeavesTheSessionAsItWas(t *testing.T) {
	business, customer := conversation2(t)
	genuine := customer.say([]byte("genuine"), business)
	writes := business.mem.writes
	for name, damage := range map[string]func(p []byte) []byte{
		"flipped": func(p []byte) []byte { p[0] ^= 1; return p },
		"cut":     func(p []byte) []byte { return p[:len(p)-16] },
		"empty":   func([]byte) []byte { return []byte{} },
		"odd":     func(p []byte) []byte { return p[:len(p)-1] },
	} {
		m := genuine
		m.Envelope.Payload = damage(append([]byte{}, genuine.Envelope.Payload...))
		if _, err := business.open(m); !errors.Is(err, omemo.ErrContent) {
			t.Errorf("%s: %v, want ErrContent", name, err)
		}
	}
	long := genuine
	long.Envelope.Payload = make([]byte, 1<<20)
	if _, err := business.open(long); !errors.Is(err, omemo.ErrMalformed) {
		t.Errorf("too long: %v, want ErrMalformed", err)
	}
	if business.mem.writes != writes {
		t.Error("something was written")
	}
	business.mustOpen(genuine, "genuine")
}

func TestOMEMO2_WithoutAnAddressItIsOff(t *testing.T) {
	business, customer := conversation2(t)
	m := customer.say([]byte("hello"), business)
	business.account.Address = nil
	if _, err := business.open(m); !errors.Is(err, omemo.ErrMalformed) {
		t.Errorf("opening gave %v, want ErrMalformed", err)
	}
	if _, err := business.account.Seal(business.mem, carrier.OMEMO2, customer.number, []carrier.DeviceID{2002}, omemo.Text([]byte("x")), now); err == nil {
		t.Error("it seals")
	}
}

func TestOMEMO2_BundleWithoutOneTimeKeysIsRefused(t *testing.T) {
	business, customer := newDevice(t, "+4930111111", 1001), newDevice(t, "+4917022222", 2002)
	b := customer.speaking()
	b.PreKeys = nil
	if _, err := business.account.Start(business.mem, customer.number, 2002, b, now); !errors.Is(err, omemo.ErrBundle) {
		t.Errorf("starting gave %v, want ErrBundle", err)
	}
}

// FuzzOpenOMEMO2 is FuzzOpen in the other format.
func FuzzOpenOMEMO2(tf *testing.F) {
	f := mutation.Of(tf)
	f.Add(uint32(2002), uint32(1001), false, []byte{0x0a}, []byte("payload"))
	f.Add(uint32(2002), uint32(1001), true, []byte{0x08, 0x01}, []byte{})
	var business *device
	var genuine carrier.Message
	f.Fuzz(func(t *testing.T, sender, rid uint32, kex bool, data, payload []byte) {
		if business == nil { // once a process: making keys takes longest
			var customer *device
			business, customer = conversation2(t)
			genuine = customer.say([]byte("genuine"), business)
		}
		d := &device{t: t, account: business.account, mem: business.mem.clone()}
		_, err := d.open(carrier.Message{From: genuine.From, Envelope: carrier.Envelope{
			Format: carrier.OMEMO2, Sender: carrier.DeviceID(sender), Payload: payload,
			Keys: []carrier.Key{{Device: carrier.DeviceID(rid), PreKey: kex, Data: data}},
		}})
		if err == nil || d.mem.writes != 0 {
			t.Errorf("an envelope from nobody: %v, %d writes", err, d.mem.writes)
		}
		damaged := genuine
		damaged.Envelope.Payload = append([]byte{}, payload...)
		if _, err := d.open(damaged); err == nil || d.mem.writes != 0 {
			t.Errorf("damaged content: %v, %d writes", err, d.mem.writes)
		}
		d.mustOpen(genuine, "genuine")
	})
}
