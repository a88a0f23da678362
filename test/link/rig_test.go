// Package link_test proves how relays and customers hold out on a bad link to a real
// carrier: everything but Vault is real, from the store to the server's disk.
package link_test

import (
	"context"
	"sync"
	"testing"
	"time"

	"github.com/relaykeep/relaykeep/relay/carrier"
	"github.com/relaykeep/relaykeep/relay/carrier/xmpp"
	"github.com/relaykeep/relaykeep/relay/message"
	"github.com/relaykeep/relaykeep/relay/omemo"
	"github.com/relaykeep/relaykeep/relay/phone"
	"github.com/relaykeep/relaykeep/relay/queue"
	"github.com/relaykeep/relaykeep/relay/seal"
	"github.com/relaykeep/relaykeep/relay/seal/sealtest"
	"github.com/relaykeep/relaykeep/relay/signal"
	"github.com/relaykeep/relaykeep/relay/store"
	"github.com/relaykeep/relaykeep/relay/webhook"
	"github.com/relaykeep/relaykeep/relay/webhook/webhooktest"
	"github.com/relaykeep/relaykeep/test/await"
	"github.com/relaykeep/relaykeep/test/customers"
)

const retention = 30 * 24 * time.Hour

func check(t testing.TB, err error) {
	t.Helper()
	if err != nil {
		t.Fatal(err)
	}
}

// relay is a relay from its store to its carrier, and what its business was told.
type relay struct {
	*message.Service
	t       testing.TB
	number  phone.Number
	carrier *xmpp.Carrier

	mu       sync.Mutex                 // guards the following fields
	texts    map[string]map[string]bool // ids of the messages with that text
	statuses map[string]map[string]int  // by message and state
	strange  int                        // what could not be read

	onStatus func(state, id string) // called for each status; nil for none
	onText   func(text string)      // called for each text; nil for none
}

// listen has a function be called for each status of a message.
func (r *relay) listen(on func(state, id string)) {
	r.mu.Lock()
	defer r.mu.Unlock()
	r.onStatus = on
}

// listenTexts has a function be called for each text that arrives.
func (r *relay) listenTexts(on func(text string)) {
	r.mu.Lock()
	defer r.mu.Unlock()
	r.onText = on
}

// house is what a relay leaves behind when it stops.
type house struct {
	number  phone.Number
	account *omemo.Account
	dir     string
	transit *sealtest.Wrapper
}

func newHouse(t testing.TB, number string, device carrier.DeviceID) *house {
	t.Helper()
	n, err := phone.Parse(number)
	check(t, err)
	identity, err := signal.GenerateIdentityKeyPair()
	check(t, err)
	account := &omemo.Account{Local: signal.Local{Identity: identity, RegistrationID: 7}, Device: device}
	return &house{number: n, account: account, dir: t.TempDir(), transit: sealtest.New()}
}

// startRelay runs a relay until the test ends.
func startRelay(t testing.TB, at customers.Carrier, number string, device carrier.DeviceID) *relay {
	t.Helper()
	r, stop := newHouse(t, number, device).run(t, at)
	t.Cleanup(stop)
	return r
}

// run runs the house's relay until it is stopped.
func (h *house) run(t testing.TB, at customers.Carrier) (r *relay, stop func()) {
	t.Helper()
	n := h.number
	domain, addr, ca := at.Where()
	r = &relay{t: t, number: n, texts: map[string]map[string]bool{}, statuses: map[string]map[string]int{}}
	ring := seal.New(h.transit, seal.Period(retention), time.Now)
	kept, err := store.Open(t.Context(), h.dir, [16]byte{1}, ring)
	check(t, err)
	link := &later{}
	r.Service = message.New(message.Options{
		Store: kept, Carrier: link, Retention: retention,
		Account: h.account,
		Webhook: webhook.Account{BusinessAccountID: "1", PhoneNumberID: "2", Phone: n},
	})
	backend := message.Queue(kept, message.QueueWebhook)
	deliveries := queue.New(queue.Options{Backend: backend, Workers: 8, Batch: r.Deliver(func(ctx context.Context, jobs []queue.Job) []queue.Result {
		r.receive(jobs[0].Body)
		if r.Taken(ctx, jobs...) != nil {
			return []queue.Result{queue.Later(time.Second)}
		}
		return []queue.Result{queue.Done()}
	})})
	r.carrier, err = xmpp.New(xmpp.Config{
		Login:        xmpp.Login{Account: n, Domain: domain, Address: addr, CABundle: ca, Password: "a good password"},
		Registration: xmpp.Open,
		Archive:      r.Service, MinBackoff: 20 * time.Millisecond, MaxBackoff: 100 * time.Millisecond,
	})
	check(t, err)
	link.Carrier = r.carrier
	ctx, cancel := context.WithCancel(context.Background())
	var group sync.WaitGroup
	group.Go(func() { _ = r.Run(ctx) })
	group.Go(func() { _ = deliveries.Run(ctx) })
	group.Go(func() { _ = r.carrier.Run(ctx, r.Service) })
	return r, func() {
		cancel()
		group.Wait()
		check(t, kept.Close())
		ring.Close()
	}
}

// knows waits until a relay finds the keys that another has published.
func (r *relay) knows(other *relay, device carrier.DeviceID) {
	r.t.Helper()
	await.Until(r.t, "published keys", func() bool {
		_, err := r.carrier.Bundle(r.t.Context(), other.number, device, carrier.Legacy)
		return err == nil
	})
	await.Until(r.t, "published device list", func() bool {
		_, err := r.carrier.Devices(r.t.Context(), other.number, carrier.Legacy)
		return err == nil
	})
}

// later is a link that is set once there is one.
type later struct{ message.Carrier }

// receive is the business's end of the webhooks.
func (r *relay) receive(body []byte) {
	updates, err := webhooktest.Decode(body)
	if err != nil {
		r.t.Error(err)
		return
	}
	r.mu.Lock()
	defer r.mu.Unlock()
	for _, u := range updates {
		switch {
		case u.Status != "":
			r.receiveStatus(u)
		case u.Type == "text":
			r.receiveText(u)
		default:
			r.strange++
		}
	}
}

// receiveText notes a customer's text. The caller holds mu.
func (r *relay) receiveText(u webhooktest.Update) {
	if r.texts[u.Text] == nil {
		r.texts[u.Text] = map[string]bool{}
	}
	r.texts[u.Text][u.ID] = true
	if r.onText != nil {
		r.onText(u.Text)
	}
}

// receiveStatus notes a message's status. The caller holds mu.
func (r *relay) receiveStatus(u webhooktest.Update) {
	if r.statuses[u.ID] == nil {
		r.statuses[u.ID] = map[string]int{}
	}
	r.statuses[u.ID][u.Status]++
	if r.onStatus != nil {
		r.onStatus(u.Status, u.ID)
	}
}

// count returns how many texts arrived, and how many of the relay's own messages came
// to a state.
func (r *relay) count(state string) (texts, inState int) {
	r.mu.Lock()
	defer r.mu.Unlock()
	for _, s := range r.statuses {
		if s[state] > 0 {
			inState++
		}
	}
	return len(r.texts), inState
}
