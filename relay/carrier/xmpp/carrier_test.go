package xmpp

import (
	"errors"
	"fmt"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/relaykeep/relaykeep/relay/carrier"
	"github.com/relaykeep/relaykeep/relay/carrier/xmpp/internal/stanza"
	"github.com/relaykeep/relaykeep/relay/carrier/xmpp/internal/stream"
	"github.com/relaykeep/relaykeep/relay/carrier/xmpp/internal/xmpptest"
	"github.com/relaykeep/relaykeep/test/services/prosody"
)

func TestMessagesAndReceiptsTravelBothWays(t *testing.T) {
	onServers(t, func(t *testing.T, s server) {
		b, c := online(t, config(t, s, xmpptest.Business)), online(t, config(t, s, xmpptest.Customer))

		c.send(t, b, 1)
		b.wait(t, "message", func() bool { return len(b.messages) == 1 })
		m := b.messages[0]
		if m.ID != "m1" || m.From != c.number || !m.WantsReceipt || !m.WantsRead || m.Time.IsZero() {
			t.Errorf("message arrived as %+v", m)
		}
		if diff := cmp.Diff(xmpptest.Envelope(1), m.Envelope); diff != "" {
			t.Errorf("envelope changed on its way:\n%s", diff)
		}
		b.send(t, c, 2)
		c.wait(t, "answer", func() bool { return len(c.messages) == 1 })

		for _, kind := range []carrier.ReceiptKind{carrier.Delivered, carrier.Read} {
			if err := b.SendReceipts(t.Context(), carrier.OutgoingReceipt{To: c.number, ID: "m1", Kind: kind}); err != nil {
				t.Fatal(err)
			}
		}
		if err := b.SendTyping(t.Context(), c.number, true); err != nil {
			t.Fatal(err)
		}
		if err := b.SendTyping(t.Context(), c.number, false); err != nil {
			t.Fatal(err)
		}
		if err := c.SendTyping(t.Context(), b.number, true); err != nil {
			t.Fatal(err)
		}
		c.wait(t, "typing", func() bool { return slices.Equal(c.typing, []bool{true, false}) })
		b.wait(t, "typing of the customer", func() bool { return slices.Equal(b.typing, []bool{true}) })
		c.wait(t, "receipts", func() bool { return len(c.receipts) == 2 })
		want := []carrier.Receipt{{From: b.number, ID: "m1", Kind: carrier.Delivered}, {From: b.number, ID: "m1", Kind: carrier.Read}}
		if diff := cmp.Diff(want, c.receipts, cmp.AllowUnexported(want[0].From)); diff != "" {
			t.Error(diff)
		}
	})
}

func TestReceipts_ThatCannotBeWrittenKeepNoOtherBack(t *testing.T) {
	onServers(t, func(t *testing.T, s server) {
		b, c := online(t, config(t, s, xmpptest.Business)), online(t, config(t, s, xmpptest.Customer))
		var receipts []carrier.OutgoingReceipt
		for _, id := range []string{"first", "", strings.Repeat("x", stream.MaxOutgoing), "last"} {
			receipts = append(receipts, carrier.OutgoingReceipt{To: c.number, ID: id, Kind: carrier.Delivered})
		}
		if err := b.SendReceipts(t.Context(), receipts...); err != nil {
			t.Fatal(err)
		}
		c.wait(t, "receipts", func() bool { return len(c.receipts) == 2 })
		if c.receipts[0].ID != "first" || c.receipts[1].ID != "last" {
			t.Errorf("receipts arrived as %+v", c.receipts)
		}
		if err := b.SendReceipts(t.Context(), receipts[1]); err != nil {
			t.Errorf("nothing to send ends with %v", err)
		}
	})
}

func TestStrangersFetchWhatIsPublished(t *testing.T) {
	onServers(t, func(t *testing.T, s server) {
		b, c := online(t, config(t, s, xmpptest.Business)), online(t, config(t, s, xmpptest.Customer))
		ctx := t.Context()

		b.wait(t, "own empty list", func() bool { return len(b.own) > 0 && len(b.own[0]) == 0 })
		if _, err := c.Devices(ctx, b.number, carrier.Legacy); !isMissing(err) {
			t.Errorf("an unpublished list is %v", err)
		}
		if _, err := c.Bundle(ctx, b.number, 77, carrier.Legacy); !isMissing(err) {
			t.Errorf("an unpublished bundle is %v", err)
		}
		if _, err := c.Devices(ctx, xmpptest.Number(t, xmpptest.Third), carrier.Legacy); !isMissing(err) {
			t.Errorf("the list of nobody is %v", err)
		}
		if err := b.PublishDevices(ctx, carrier.Legacy, []carrier.DeviceID{77}); err != nil {
			t.Fatal(err)
		}
		if err := b.PublishBundle(ctx, 77, xmpptest.Published(100)); err != nil {
			t.Fatal(err)
		}
		devices, err := c.Devices(ctx, b.number, carrier.Legacy)
		if err != nil || !slices.Equal(devices, []carrier.DeviceID{77}) {
			t.Errorf("fetched devices %v, error %v", devices, err)
		}
		got, err := c.Bundle(ctx, b.number, 77, carrier.Legacy)
		if diff := cmp.Diff(xmpptest.Published(100), got); err != nil || diff != "" {
			t.Errorf("fetching a bundle: %v\n%s", err, diff)
		}
		b.wait(t, "own list", func() bool { return slices.Equal(b.own[len(b.own)-1], []carrier.DeviceID{77}) })
	})
}

// In OMEMO2 the bundles of all of an account's devices are items of one node.
func TestOMEMO2_StrangersFetchWhatIsPublished(t *testing.T) {
	onServers(t, func(t *testing.T, s server) {
		b, c := online(t, config(t, s, xmpptest.Business)), online(t, config(t, s, xmpptest.Customer))
		ctx := t.Context()
		bundle := func(first byte) carrier.Bundle {
			p := xmpptest.Published(100)
			p.Format, p.IdentityKey, p.SignedPreKey.Public = carrier.OMEMO2, p.IdentityKey[1:], p.SignedPreKey.Public[1:]
			for i := range p.PreKeys {
				p.PreKeys[i].Public = p.PreKeys[i].Public[1:]
			}
			p.IdentityKey[0] = first
			return p
		}
		b.wait(t, "own empty list", func() bool { return len(b.own2) > 0 && len(b.own2[0]) == 0 })
		if _, err := c.Bundle(ctx, b.number, 77, carrier.OMEMO2); !isMissing(err) {
			t.Errorf("an unpublished bundle is %v", err)
		}
		for _, d := range []carrier.DeviceID{77, 78} {
			if err := b.PublishBundle(ctx, d, bundle(byte(d))); err != nil {
				t.Fatal(err)
			}
		}
		if err := b.PublishDevices(ctx, carrier.OMEMO2, []carrier.DeviceID{77, 78}); err != nil {
			t.Fatal(err)
		}
		if devices, err := c.Devices(ctx, b.number, carrier.OMEMO2); err != nil || !slices.Equal(devices, []carrier.DeviceID{77, 78}) {
			t.Errorf("fetched devices %v, error %v", devices, err)
		}
		for _, d := range []carrier.DeviceID{77, 78} {
			got, err := c.Bundle(ctx, b.number, d, carrier.OMEMO2)
			if diff := cmp.Diff(bundle(byte(d)), got); err != nil || diff != "" {
				t.Errorf("fetching the bundle of %d: %v\n%s", d, err, diff)
			}
		}
		if _, err := c.Bundle(ctx, b.number, 79, carrier.OMEMO2); !isMissing(err) {
			t.Errorf("another device's bundle is %v", err)
		}
		b.wait(t, "own list", func() bool { return slices.Equal(b.own2[len(b.own2)-1], []carrier.DeviceID{77, 78}) })
	})
}

// isMissing says whether an error is what a server answers to a stranger about something that
// does not exist: Prosody says that it is hidden.
func isMissing(err error) bool {
	return errors.Is(err, carrier.ErrNotFound) || errors.Is(err, carrier.ErrHidden)
}

// ejabberd is told to make these nodes open whatever a client says.
func TestNodeWithOtherSettingsIsReconfigured(t *testing.T) {
	s := prosody.StartT(t, prosody.Options{Registration: true})
	b, c := online(t, config(t, s, xmpptest.Business)), online(t, config(t, s, xmpptest.Customer))
	ctx := t.Context()

	// As some clients do: without options, so that only contacts may read it.
	_, err := b.questions.set(ctx, stanza.New(stanza.NSPubSub, "pubsub").With(
		stanza.New(stanza.NSPubSub, "publish", "node", stanza.NodeDevices).With(
			stanza.New(stanza.NSPubSub, "item", "id", stanza.ItemCurrent).With(stanza.DeviceList(carrier.Legacy, []carrier.DeviceID{5})))))
	if err != nil {
		t.Fatal(err)
	}
	if _, err := c.Devices(ctx, b.number, carrier.Legacy); !errors.Is(err, carrier.ErrHidden) {
		t.Fatalf("a list for contacts only is %v to a stranger", err)
	}
	if err := b.PublishDevices(ctx, carrier.Legacy, []carrier.DeviceID{6}); err != nil {
		t.Fatal(err)
	}
	if d, err := c.Devices(ctx, b.number, carrier.Legacy); err != nil || !slices.Equal(d, []carrier.DeviceID{6}) {
		t.Errorf("after publishing, a stranger reads %v, error %v", d, err)
	}
}

func TestChangedDeviceListArrives(t *testing.T) {
	onServers(t, func(t *testing.T, s server) {
		b, c := online(t, config(t, s, xmpptest.Business)), online(t, config(t, s, xmpptest.Customer))
		for _, pair := range [][2]*node{{b, c}, {c, b}} { // servers push lists to those whose presence they know
			eventually(t, "contact", func() bool {
				state, err := pair[0].Contact(t.Context(), pair[1].number, true)
				return err == nil && state == carrier.ContactAllowed
			})
		}
		for _, list := range [][]carrier.DeviceID{{11}, {11, 12}, {}} {
			// What is published before the request is answered may not arrive.
			eventually(t, "change", func() bool {
				if err := c.PublishDevices(t.Context(), carrier.Legacy, list); err != nil {
					t.Fatal(err)
				}
				defer b.lock()()
				d, ok := b.devices[c.number]
				return ok && slices.Equal(d, list)
			})
		}
	})
}

func TestMessageToNobodyBouncesForGood(t *testing.T) {
	onServers(t, func(t *testing.T, s server) {
		b := online(t, config(t, s, xmpptest.Business))
		err := b.Send(t.Context(), carrier.Outgoing{ID: "lost", To: xmpptest.Number(t, xmpptest.Third), Envelope: xmpptest.Envelope(1)})
		if err != nil {
			t.Fatal(err)
		}
		want := []carrier.Bounce{{To: xmpptest.Number(t, xmpptest.Third), ID: "lost", Doubtful: true}}
		b.wait(t, "bounce", func() bool { return slices.Equal(b.bounced, want) })
	})
}

func TestTextInClearIsReportedAndReadOnlyWhenAccepted(t *testing.T) {
	onServers(t, func(t *testing.T, s server) {
		strict, c := online(t, config(t, s, xmpptest.Business)), online(t, config(t, s, xmpptest.Customer))
		accepting := config(t, s, xmpptest.Third)
		accepting.AcceptUnencrypted = true
		lax := online(t, accepting)
		for _, to := range []*node{strict, lax} {
			err := c.post(stanza.New(stanza.NSClient, "message", "to", c.addr.Of(to.number), "type", "chat", "id", "p1").With(
				stanza.New(stanza.NSClient, "body").WithText("in clear")))
			if err != nil {
				t.Fatal(err)
			}
		}
		said := func(n *node, text string) func() bool {
			return func() bool {
				return len(n.unread) == 1 && n.unread[0].From == c.number && n.unread[0].ID == "p1" &&
					n.unread[0].Kind == carrier.InClear && n.unread[0].Text == text && n.unread[0].Resource != ""
			}
		}
		strict.wait(t, "note", said(strict, ""))
		lax.wait(t, "text", said(lax, "in clear"))
	})
}

func TestMessagesWaitForAnAbsentAccount(t *testing.T) {
	onServers(t, func(t *testing.T, s server) {
		b, c := online(t, config(t, s, xmpptest.Business)), online(t, config(t, s, xmpptest.Customer))
		b.stop()
		begun := time.Now()
		for i := range 5 {
			c.send(t, b, i)
		}
		b.start(t)
		b.wait(t, "messages", func() bool { return len(b.messages) == 5 })
		for i, m := range b.messages {
			if m.ID != fmt.Sprint("m", i) || m.Time.After(time.Now()) || m.Time.Before(begun.Add(-2*time.Second)) {
				t.Errorf("message %d is %s of %v", i, m.ID, m.Time)
			}
		}
		if !slices.Equal(b.connected, []bool{false, false}) {
			t.Errorf("links were resumed: %v", b.connected)
		}
	})
}
