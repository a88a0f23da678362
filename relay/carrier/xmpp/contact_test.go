package xmpp

import (
	"errors"
	"slices"
	"testing"

	"github.com/relaykeep/relaykeep/relay/carrier"
	"github.com/relaykeep/relaykeep/relay/carrier/xmpp/internal/stanza"
	"github.com/relaykeep/relaykeep/relay/carrier/xmpp/internal/xmpptest"
)

// wantErr wants an error to be of one kind and of none of some others.
func wantErr(t *testing.T, what string, err, want error, not ...error) {
	t.Helper()
	if !errors.Is(err, want) {
		t.Errorf("%s is %v, want %v", what, err, want)
	}
	for _, n := range not {
		if errors.Is(err, n) {
			t.Errorf("%s is %v, too", what, n)
		}
	}
}

func TestContact_KeysForContactsAreHiddenUntilThePeerAllows(t *testing.T) {
	onServersForContacts(t, func(t *testing.T, s server) {
		ctx := t.Context()
		shy := config(t, s, xmpptest.Customer)
		shy.ContactsOnly = true
		b, c := online(t, config(t, s, xmpptest.Business)), online(t, shy)
		check(t, c.PublishBundle(ctx, 5, xmpptest.Published(20)))
		check(t, c.PublishDevices(ctx, carrier.Legacy, []carrier.DeviceID{5}))
		c.stop()
		_, err := b.Devices(ctx, c.number, carrier.Legacy)
		wantErr(t, "the list of a stranger", err, carrier.ErrHidden, carrier.ErrNotFound)
		_, err = b.Bundle(ctx, c.number, 5, carrier.Legacy)
		wantErr(t, "the bundle of a stranger", err, carrier.ErrHidden, carrier.ErrNotFound)
		for _, ask := range []bool{false, true, true} {
			state, err := b.Contact(ctx, c.number, ask)
			if want := map[bool]carrier.ContactState{true: carrier.ContactAsked}[ask]; err != nil || state != want {
				t.Fatalf("the contact is in state %d, want %d; error %v", state, want, err)
			}
		}
		b.gets(t, c, carrier.ContactAllowed, func() { c.start(t) })
		if d, err := b.Devices(ctx, c.number, carrier.Legacy); err != nil || !slices.Equal(d, []carrier.DeviceID{5}) {
			t.Errorf("a contact's list is %v, error %v", d, err)
		}
		if _, err := b.Bundle(ctx, c.number, 5, carrier.Legacy); err != nil {
			t.Errorf("a contact's bundle: %v", err)
		}
		b.gets(t, c, carrier.ContactNone, func() {
			check(t, c.post(stanza.New(stanza.NSClient, "presence", "to", b.addr.Of(b.number), "type", "unsubscribed")))
		})
		_, err = b.Devices(ctx, c.number, carrier.Legacy)
		wantErr(t, "the list after the end", err, carrier.ErrHidden)
	})
}

// gets wants a peer's answer after an act.
func (n *node) gets(t *testing.T, peer *node, want carrier.ContactState, act func()) {
	t.Helper()
	unlock := n.lock()
	n.answers = nil
	unlock()
	act()
	n.wait(t, "answer", func() bool {
		return slices.Equal(n.answers, []carrier.ContactAnswer{{Peer: peer.number, State: want}})
	})
	if state, err := n.Contact(t.Context(), peer.number, false); err != nil || state != want {
		t.Errorf("the contact is in state %d, want %d; error %v", state, want, err)
	}
}

func TestContact_RequestsOutliveAStreamWithTheirAnswers(t *testing.T) {
	onServers(t, func(t *testing.T, s server) {
		ctx := t.Context()
		b, c, third := online(t, config(t, s, xmpptest.Business)), online(t, config(t, s, xmpptest.Customer)), online(t, config(t, s, xmpptest.Third))
		c.stop()
		third.stop()
		for _, n := range []*node{c, third} {
			if _, err := b.Contact(ctx, n.number, true); err != nil {
				t.Fatal(err)
			}
		}
		b.stop()
		c.start(t) // answers
		c.wait(t, "link", func() bool { return len(c.connected) == 2 })
		b.start(t)
		b.wait(t, "link", func() bool { return len(b.connected) == 2 })
		eventually(t, "the answer", func() bool {
			state, err := b.Contact(ctx, c.number, false)
			return err == nil && state == carrier.ContactAllowed
		})
		if state, err := b.Contact(ctx, third.number, true); err != nil || state != carrier.ContactAsked {
			t.Errorf("the request without an answer is in state %d, error %v", state, err)
		}
	})
}

func TestContact_NobodyWithoutAnAccountIsAsked(t *testing.T) {
	onServers(t, func(t *testing.T, s server) {
		ctx := t.Context()
		b, c := online(t, config(t, s, xmpptest.Business)), online(t, config(t, s, xmpptest.Customer))
		nobody := xmpptest.Number(t, xmpptest.Third)
		_, listErr := b.Devices(ctx, nobody, carrier.Legacy)
		_, isEjabberd := s.(domain)
		if isEjabberd { // it answers as for an account without a list
			wantErr(t, "the list of nobody", listErr, carrier.ErrNotFound, carrier.ErrHidden)
		} else { // it answers as for an account that hides its list
			wantErr(t, "the list of nobody", listErr, carrier.ErrHidden)
			_, err := b.Contact(ctx, nobody, true)
			wantErr(t, "asking nobody", err, carrier.ErrNoAccount)
		}
		c.stop() // of somebody who is away, nothing comes back
		if state, err := b.Contact(ctx, c.number, true); err != nil || state != carrier.ContactAsked {
			t.Errorf("asking somebody who is away: state %d, error %v", state, err)
		}
	})
}

func TestContact_AnswerThatArrivesWhileTheRequestIsSentCounts(t *testing.T) {
	peer, known := xmpptest.Number(t, xmpptest.Customer), newContacts()
	if err := known.ask(peer, func() error { return carrier.ErrOffline }); !errors.Is(err, carrier.ErrOffline) || known.state(peer) != carrier.ContactNone {
		t.Errorf("after a request that was not sent the contact is in state %d, error %v", known.state(peer), err)
	}
	check(t, known.ask(peer, func() error {
		if before := known.put(peer, carrier.ContactAllowed); before != carrier.ContactAsked {
			t.Errorf("the answer finds the contact in state %d, want asked", before)
		}
		return nil
	}))
	if s := known.state(peer); s != carrier.ContactAllowed {
		t.Errorf("after the answer the contact is in state %d, want allowed", s)
	}
}

func TestContact_StrangersAreNotAskedForWhatTheySend(t *testing.T) {
	onServers(t, func(t *testing.T, s server) {
		b, c := online(t, config(t, s, xmpptest.Business)), online(t, config(t, s, xmpptest.Customer))
		check(t, c.PublishBundle(t.Context(), 5, xmpptest.Published(20)))
		check(t, c.PublishDevices(t.Context(), carrier.Legacy, []carrier.DeviceID{5}))
		c.send(t, b, 1)
		b.wait(t, "message", func() bool { return len(b.messages) == 1 })
		b.send(t, c, 2)
		if _, err := b.Devices(t.Context(), c.number, carrier.Legacy); err != nil {
			t.Error(err)
		}
		if _, err := b.Bundle(t.Context(), c.number, 5, carrier.Legacy); err != nil {
			t.Error(err)
		}
		if state, err := b.Contact(t.Context(), c.number, false); err != nil || state != carrier.ContactNone {
			t.Errorf("the peer is a contact in state %d, error %v", state, err)
		}
	})
}
