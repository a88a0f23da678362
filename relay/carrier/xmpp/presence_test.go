package xmpp

import (
	"slices"
	"strings"
	"testing"

	"github.com/relaykeep/relaykeep/relay/carrier"
	"github.com/relaykeep/relaykeep/relay/carrier/xmpp/internal/stanza"
	"github.com/relaykeep/relaykeep/relay/carrier/xmpp/internal/xmpptest"
)

// asks has a node ask to see another's presence, as a client does that adds a contact.
func (n *node) asks(t *testing.T, peer *node) {
	t.Helper()
	check(t, n.post(stanza.New(stanza.NSClient, "presence", "to", n.addr.Of(peer.number), "type", "subscribe")))
}

func TestPresence_WhoAddsTheBusinessLearnsOfItsDevicesAndItOfTheirs(t *testing.T) {
	onServers(t, func(t *testing.T, s server) {
		b, c := online(t, config(t, s, xmpptest.Business)), online(t, config(t, s, xmpptest.Customer))
		b.wait(t, "own devices", func() bool { return len(b.own) > 0 })
		check(t, b.PublishDevices(t.Context(), carrier.Legacy, []carrier.DeviceID{5}))
		c.asks(t, b)
		for _, pair := range [][2]*node{{b, c}, {c, b}} {
			side, other := pair[0], pair[1]
			eventually(t, "a contact", func() bool {
				state, err := side.Contact(t.Context(), other.number, false)
				return err == nil && state == carrier.ContactAllowed
			})
		}
		c.learnsOf(t, b, 5)
		check(t, b.PublishDevices(t.Context(), carrier.Legacy, []carrier.DeviceID{6}))
		c.learnsOf(t, b, 6)
		check(t, c.PublishDevices(t.Context(), carrier.Legacy, []carrier.DeviceID{7}))
		b.learnsOf(t, c, 7)
	})
}

// learnsOf waits until a node was told of another's device, which it did not ask for.
func (n *node) learnsOf(t *testing.T, other *node, device carrier.DeviceID) {
	t.Helper()
	n.wait(t, "the other's devices, unasked", func() bool {
		return slices.Equal(n.devices[other.number], []carrier.DeviceID{device})
	})
}

func TestPresence_RequestIsAcceptedAndReturned(t *testing.T) {
	s := script(t, nil)
	s.says(t, "<presence type='subscribe' from='"+xmpptest.Customer+"@relay.test'/>")
	s.wrote(t, "to='"+xmpptest.Customer+"@relay.test' type='subscribed'")
	s.wrote(t, "to='"+xmpptest.Customer+"@relay.test' type='subscribe'")
}

// Without this, ejabberd tells a new contact nothing of the other's devices.
func TestPresence_NewContactSeesOursAgainAndIsAcceptedOnceTheirsArrives(t *testing.T) {
	s := script(t, nil)
	s.says(t, "<presence type='subscribed' from='"+xmpptest.Customer+"@relay.test'/>")
	s.wrote(t, "<presence to='"+xmpptest.Customer+"@relay.test'><c ")
	for range 2 * answeredPresences {
		s.says(t, "<presence from='"+xmpptest.PeerJID+"'/>")
	}
	const other = "+491705555555@relay.test"
	s.says(t, "<presence type='subscribe' from='"+other+"'/>")
	s.wrote(t, "to='"+other+"' type='subscribed'")
	s.mu.Lock()
	defer s.mu.Unlock()
	if n := strings.Count(s.seen.String(), "to='"+xmpptest.Customer+"@relay.test' type='subscribed'"); n != answeredPresences {
		t.Errorf("%d presences were answered, want %d", n, answeredPresences)
	}
}

// A customer who was erased is not put on the contact list again.
func TestPresence_OfAContactThatWasForgottenIsNotAnswered(t *testing.T) {
	s := script(t, nil)
	s.says(t, "<presence type='subscribed' from='"+xmpptest.Customer+"@relay.test'/>")
	s.wrote(t, "<presence to='"+xmpptest.Customer+"@relay.test'><c ")
	go func() { _ = s.Forget(t.Context(), xmpptest.Number(t, xmpptest.Customer)) }()
	s.wrote(t, "subscription='remove'")
	s.says(t, "<presence from='"+xmpptest.PeerJID+"'/>")
	const other = "+491705555555@relay.test"
	s.says(t, "<presence type='subscribe' from='"+other+"'/>")
	s.wrote(t, "to='"+other+"' type='subscribed'")
	s.mu.Lock()
	defer s.mu.Unlock()
	if strings.Contains(s.seen.String(), "to='"+xmpptest.Customer+"@relay.test' type='subscribed'") {
		t.Error("they were accepted again")
	}
}

// What a customer's presence says reaches nobody, and nothing is answered to it.
func TestPresence_OfACustomerIsDropped(t *testing.T) {
	s := script(t, nil)
	for _, text := range []string{
		"<presence from='JID'><show>away</show><status>At the doctor's</status><x xmlns='vcard-temp:x:update'><photo>aa</photo></x></presence>",
		"<presence from='JID' type='unavailable'/>",
		"<presence from='JID' type='unsubscribe'/>", "<presence from='JID' type='unsubscribed'/>", "<presence from='JID' type='error'/>",
	} {
		s.says(t, strings.ReplaceAll(text, "JID", xmpptest.PeerJID))
	}
	s.says(t, xmpptest.Stanzas()[0])
	s.wait(t, "the message after all that", func() bool { return len(s.messages) == 1 })
	defer s.lock()()
	if len(s.answers) != 0 || s.hasWritten("to='"+xmpptest.Customer) {
		t.Error("the presence was answered, or told to the handler")
	}
}
