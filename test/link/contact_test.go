package link_test

import (
	"bytes"
	"regexp"
	"slices"
	"sync/atomic"
	"testing"

	"github.com/relaykeep/relaykeep/relay/message"
	"github.com/relaykeep/relaykeep/test/await"
	"github.com/relaykeep/relaykeep/test/customers"
	"github.com/relaykeep/relaykeep/test/services/ejabberd"
	"github.com/relaykeep/relaykeep/test/services/faultproxy"
	"github.com/relaykeep/relaykeep/test/services/prosody"
)

// TestContact_IsAskedOnlyByNeed has a business write first to customers of both kinds: those
// whose keys anybody may read, and those whose keys are for contacts alone. The second is
// away when the business writes, and its client accepts requests.
func TestContact_IsAskedOnlyByNeed(t *testing.T) {
	t.Parallel()
	if testing.Short() {
		t.Skip("real servers")
	}
	t.Run("prosody", func(t *testing.T) {
		t.Parallel()
		writeFirstToBoth(t, prosody.StartT(t, prosody.Options{Registration: true}))
	})
	t.Run("ejabberd", func(t *testing.T) {
		t.Parallel()
		writeFirstToBoth(t, ejabberd.StartT(t, ejabberd.Options{Registration: true, Domains: []string{"relay.test"}, ForContacts: []string{"relay.test"}}))
	})
}

func writeFirstToBoth(t *testing.T, s customers.Carrier) {
	p := faultproxy.StartT(t, s)
	var requests, theirs atomic.Int32 // the relay's, and the customers'
	p.Follow(func(way faultproxy.Way, element []byte) faultproxy.Fault {
		if bytes.HasPrefix(element, []byte("<presence")) && asksForContact.Match(element) {
			if way == faultproxy.ToServer {
				requests.Add(1)
			} else {
				theirs.Add(1)
			}
		}
		return faultproxy.Pass
	})
	r := startRelay(t, p, "+15550100021", 1021)
	open, shy := customers.Start(t, s, "+15550100022"), customers.StartShy(t, s, "+15550100023")
	say := func(to *customers.Client, text string) string {
		id, err := r.AcceptText(t.Context(), message.Text{To: to.Number, Body: text})
		check(t, err)
		return id
	}
	state := func(id, state string) bool {
		r.mu.Lock()
		defer r.mu.Unlock()
		return r.statuses[id][state] > 0
	}
	toOpen := say(open, "to one whose keys are open")
	open.Sees("to one whose keys are open")
	await.Until(t, "a receipt", func() bool { return state(toOpen, "delivered") })
	if n := requests.Load(); n != 0 {
		t.Errorf("%d requests were made to a customer whose keys are open", n)
	}

	shy.Stop()
	want := []string{"first", "second"}
	var ids []string
	for _, text := range want {
		ids = append(ids, say(shy, text))
	}
	await.Until(t, "the request", func() bool { return requests.Load() > 0 })
	shy.Start()
	shy.Sees("second")
	if got := shy.Texts(); !slices.Equal(got, want) {
		t.Errorf("the customer got %q", got)
	}
	for _, id := range ids {
		await.Until(t, "a receipt", func() bool { return state(id, "delivered") })
		if state(id, "failed") {
			t.Error("a message failed that was delivered")
		}
	}
	// A customer's own request is returned, also where they were asked before: the server drops that one.
	await.Until(t, "one request, and one for each of theirs", func() bool { return requests.Load() == 1+theirs.Load() })
}

var asksForContact = regexp.MustCompile(`^<presence[^>]* type=['"]subscribe['"]`)
