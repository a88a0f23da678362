package omemo_test

import (
	"bytes"
	"errors"
	"fmt"
	"slices"
	"testing"

	"github.com/relaykeep/relaykeep/relay/carrier"
	"github.com/relaykeep/relaykeep/relay/omemo"
	"github.com/relaykeep/relaykeep/relay/signal"
)

func TestFirstMessageStartsSessionAndUsesPreKey(t *testing.T) {
	business, customer := newDevice(t, "+4930111111", 1001), newDevice(t, "+4917022222", 2002)
	if customer.start(business).IdentityChanged {
		t.Error("a first bundle counts as a changed identity")
	}
	first := customer.seal("first", business)
	if !first.Envelope.Keys[0].PreKey {
		t.Error("the first message is no pre-key message")
	}
	o := business.mustOpen(first, "first")
	if !o.NewSession || !o.PreKeyUsed || o.IdentityChanged {
		t.Errorf("opened %+v, want a new session by a used pre-key of a new identity", o)
	}
	if len(business.mem.pre) != 2 {
		t.Errorf("%d one-time pre-keys left, want 2", len(business.mem.pre))
	}
	second := business.mustOpen(customer.seal("second", business), "second")
	if second.NewSession || second.PreKeyUsed {
		t.Errorf("a second pre-key message of the session reads as new: %+v", second)
	}
}

func TestAnswerEndsPreKeyMessages(t *testing.T) {
	business, customer := newDevice(t, "+4930111111", 1001), newDevice(t, "+4917022222", 2002)
	customer.start(business)
	business.mustOpen(customer.seal("hello", business), "hello")
	// A key transport message is answer enough.
	answer := business.sealBytes(nil, customer)
	if answer.Envelope.Payload != nil {
		t.Error("a key transport message has a payload")
	}
	o, err := customer.open(answer)
	check(t, err)
	if o.Text != nil {
		t.Errorf("a key transport message has the text %q", o.Text)
	}
	m := customer.seal("settled", business)
	if m.Envelope.Keys[0].PreKey {
		t.Error("still sends pre-key messages after the answer")
	}
	business.mustOpen(m, "settled")
}

func TestLongConversationBothWays(t *testing.T) {
	business, customer := conversation(t)
	for i := range 60 {
		text := fmt.Sprintf("message %d", i)
		if i%7 < 4 {
			business.mustOpen(customer.seal(text, business), text)
		} else {
			customer.mustOpen(business.seal(text, customer), text)
		}
	}
}

func TestShuffledAndRepeatedMessages(t *testing.T) {
	business, customer := conversation(t)
	var sent []carrier.Message
	for i := range 10 {
		sent = append(sent, customer.seal(fmt.Sprint(i), business))
	}
	for _, i := range []int{9, 3, 0, 5, 1, 8, 2, 7, 4, 6} {
		business.mustOpen(sent[i], fmt.Sprint(i))
	}
	business.mem.writes = 0
	for _, m := range sent {
		if _, err := business.open(m); !errors.Is(err, signal.ErrReplay) {
			t.Fatalf("opening again: %v, want ErrReplay", err)
		}
	}
	if business.mem.writes != 0 {
		t.Error("a replay wrote to the sessions")
	}
}

func TestPeer_AllDevicesRead(t *testing.T) {
	business := newDevice(t, "+4930111111", 1001)
	handset, desktop := newDevice(t, "+4917022222", 2002), newDevice(t, "+4917022222", 2003)
	business.start(handset)
	business.start(desktop)
	m := business.seal("to both", handset, desktop)
	if len(m.Envelope.Keys) != 2 {
		t.Fatalf("%d keys, want 2", len(m.Envelope.Keys))
	}
	handset.mustOpen(m, "to both")
	desktop.mustOpen(m, "to both")
	business.mustOpen(desktop.seal("from the desk", business), "from the desk")
	business.mustOpen(handset.seal("from the road", business), "from the road")
}

func TestSealNamesEveryDeviceWithoutSession(t *testing.T) {
	business := newDevice(t, "+4930111111", 1001)
	handset := newDevice(t, "+4917022222", 2002)
	business.start(handset)
	business.mem.writes = 0
	_, err := business.account.Seal(business.mem, carrier.Legacy, handset.number, []carrier.DeviceID{7, 2002, 9, 7}, omemo.Text([]byte("x")), now)
	var missing *omemo.NoSessionError
	if !errors.As(err, &missing) || !errors.Is(err, omemo.ErrNoSession) {
		t.Fatalf("error %v, want a NoSessionError", err)
	}
	if want := []carrier.DeviceID{7, 9}; !slices.Equal(missing.Devices, want) {
		t.Errorf("devices without session %v, want %v", missing.Devices, want)
	}
	if business.mem.writes != 0 {
		t.Error("a refused Seal moved a session on")
	}
}

func TestSealRefusesBadRecipients(t *testing.T) {
	business, customer := conversation(t)
	many := make([]carrier.DeviceID, omemo.MaxDevices+1)
	for i := range many {
		many[i] = carrier.DeviceID(i + 1)
	}
	for name, devices := range map[string][]carrier.DeviceID{
		"none": nil, "id 0": {0}, "id above 2^31-1": {1 << 31}, "too many": many,
	} {
		t.Run(name, func(t *testing.T) {
			_, err := business.account.Seal(business.mem, carrier.Legacy, customer.number, devices, omemo.Text([]byte("x")), now)
			if !errors.Is(err, omemo.ErrRecipients) {
				t.Errorf("error %v, want ErrRecipients", err)
			}
		})
	}
}

func TestDeviceNamedTwiceGetsOneKey(t *testing.T) {
	business, customer := conversation(t)
	m := business.seal("once", customer, customer)
	if len(m.Envelope.Keys) != 1 {
		t.Fatalf("%d keys, want 1", len(m.Envelope.Keys))
	}
	customer.mustOpen(m, "once")
}

func TestTextLimits(t *testing.T) {
	business, customer := conversation(t)
	longest := bytes.Repeat([]byte("x"), omemo.MaxText)
	customer.mustOpen(business.sealBytes(longest, customer), string(longest))
	_, err := business.account.Seal(business.mem, carrier.Legacy, customer.number, []carrier.DeviceID{2002}, omemo.Text(append(longest, 'x')), now)
	if !errors.Is(err, omemo.ErrTooLong) {
		t.Errorf("error %v, want ErrTooLong", err)
	}
	o := customer.mustOpen(business.sealBytes([]byte{}, customer), "")
	if o.Text == nil {
		t.Error("an empty text reads as key transport")
	}
}

func TestEnvelope_HasFreshKeyAndIV(t *testing.T) {
	business, customer := conversation(t)
	seen := map[string]bool{}
	for range 50 {
		e := business.seal("the same text", customer).Envelope
		if len(e.IV) != 12 {
			t.Fatalf("iv of %d bytes, want 12", len(e.IV))
		}
		if seen[string(e.IV)] || seen[string(e.Payload)] {
			t.Fatal("an iv or a payload repeats")
		}
		seen[string(e.IV)], seen[string(e.Payload)] = true, true
	}
}

func TestSealLeavesCallersTextAlone(t *testing.T) {
	business, customer := conversation(t)
	buffer := []byte("keep meXXXXXXXXXXXXXXXXXXXXXXXXXXXXXXXX")
	m := business.sealBytes(buffer[:7], customer)
	if string(buffer) != "keep meXXXXXXXXXXXXXXXXXXXXXXXXXXXXXXXX" {
		t.Errorf("the caller's buffer is now %q", buffer)
	}
	customer.mustOpen(m, "keep me")
}

func TestStorageErrorsSurface(t *testing.T) {
	business, customer := conversation(t)
	m := customer.seal("x", business)
	broken := errors.New("disk full")
	business.mem.fail = broken
	if _, err := business.open(m); !errors.Is(err, broken) {
		t.Errorf("Open: %v, want the store's error", err)
	}
	if _, err := business.account.Seal(business.mem, carrier.Legacy, customer.number, []carrier.DeviceID{2002}, omemo.Text(nil), now); !errors.Is(err, broken) {
		t.Errorf("Seal: %v, want the store's error", err)
	}
	if _, err := business.account.Start(business.mem, customer.number, 2002, customer.bundle, now); !errors.Is(err, broken) {
		t.Errorf("Start: %v, want the store's error", err)
	}
	business.mem.fail = nil
	business.mustOpen(m, "x")
}
