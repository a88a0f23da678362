package interop_test

import (
	"context"
	"crypto/rand"
	"crypto/sha256"
	"encoding/hex"
	"fmt"
	"net/http"
	"net/http/httptest"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/relaykeep/relaykeep/relay/webhook/webhooktest"
	"github.com/relaykeep/relaykeep/test/interop/slixmpp"
	"github.com/relaykeep/relaykeep/test/services/ejabberd"
	"github.com/relaykeep/relaykeep/test/services/prosody"
)

const slixmppNumber = "+491703333333"

// onServers runs a test on both servers, where anybody may register.
func onServers(t *testing.T, test func(t *testing.T, s server)) {
	t.Run("prosody", func(t *testing.T) { test(t, prosody.StartT(t, prosody.Options{Registration: true})) })
	t.Run("ejabberd", func(t *testing.T) { test(t, ejabberd.StartT(t, ejabberd.Options{Registration: true})) })
}

// handset is a customer on slixmpp, with everything that it was told while it ran.
type handset struct {
	*slixmpp.Client
	config slixmpp.Config
	past   []slixmpp.Event // of earlier runs
}

func startPhone(t *testing.T, s server) *handset {
	t.Helper()
	domain, addr, ca := s.Where()
	check(t, s.AddAccount(t.Context(), slixmppNumber, password))
	p := &handset{config: slixmpp.Config{
		JID: slixmppNumber + "@" + domain, Password: password, Address: addr, CAPEM: ca, Dir: t.TempDir(), Log: t.Output(),
	}}
	p.start(t)
	t.Cleanup(func() { p.stop(t) })
	return p
}

func (p *handset) start(t *testing.T) {
	t.Helper()
	ctx, cancel := context.WithTimeout(t.Context(), patience)
	defer cancel()
	var err error
	p.Client, err = slixmpp.Start(ctx, p.config)
	check(t, err)
}

func (p *handset) stop(t *testing.T) {
	t.Helper()
	if p.Client != nil {
		check(t, p.Stop())
		p.past = append(p.past, p.Events()...)
		p.Client = nil
	}
}

// wait waits for an event of the present run.
func (p *handset) wait(t *testing.T, fits func(slixmpp.Event) bool) slixmpp.Event {
	t.Helper()
	ctx, cancel := context.WithTimeout(t.Context(), patience)
	defer cancel()
	e, err := p.Wait(ctx, fits)
	check(t, err)
	return e
}

// all returns what the customer was told of a kind, in all runs.
func (p *handset) all(kind string) []slixmpp.Event {
	all := p.past
	if p.Client != nil {
		all = append(slices.Clone(all), p.Events()...)
	}
	return slices.DeleteFunc(slices.Clone(all), func(e slixmpp.Event) bool { return e.Event != kind })
}

// story is a conversation of a business and a customer, of which it keeps count.
type story struct {
	t        *testing.T
	b        *business
	p        *handset
	toPhone  []string // texts, and hashes of files, that the customer is to have
	toB      []string // the same for the business
	fromThem []webhooktest.Update
	n        int
}

func (s *story) ctx() context.Context { return s.t.Context() }

// phoneWrites has the customer send a text and a file.
func (s *story) phoneWrites() {
	s.t.Helper()
	s.n++
	text := fmt.Sprintf("from the customer %d äöü €", s.n)
	_, err := s.p.Send(s.ctx(), s.b.JID(), text)
	check(s.t, err)
	path, content := filepath.Join(s.t.TempDir(), "photo.jpg"), fresh(300_000)
	check(s.t, os.WriteFile(path, content, 0o600))
	_, err = s.p.SendFile(s.ctx(), s.b.JID(), path)
	check(s.t, err)
	s.toB = append(s.toB, text, sum(content))
}

// businessReads waits for what the customer sent, and reads it.
func (s *story) businessReads() {
	s.t.Helper()
	for len(s.fromThem) < len(s.toB) {
		m := s.b.Next()
		if !slices.ContainsFunc(s.fromThem, func(o webhooktest.Update) bool { return o.ID == m.ID }) {
			s.fromThem = append(s.fromThem, m) // a webhook may come twice, a message may not
		}
	}
}

// businessWrites has the business send a text and a file, and returns their ids.
func (s *story) businessWrites() []string {
	s.t.Helper()
	s.n++
	text, caption := fmt.Sprintf("from the business %d äöü €", s.n), fmt.Sprintf("caption %d", s.n)
	content := fresh(300_000)
	ids := []string{s.b.Say(slixmppNumber, text), s.b.SendImage(slixmppNumber, s.b.upload(content), caption)}
	s.toPhone = append(s.toPhone, text, sum(content), caption)
	return ids
}

// phoneReads waits until the customer has everything and the business knows it.
func (s *story) phoneReads(ids ...string) {
	s.t.Helper()
	for _, want := range s.toPhone {
		if !slices.ContainsFunc(s.p.past, is(want)) {
			s.p.wait(s.t, is(want))
		}
	}
	for _, id := range ids {
		s.b.WaitStatus(id, "read")
	}
}

func is(want string) func(slixmpp.Event) bool {
	return func(e slixmpp.Event) bool { return e.Text == want || e.SHA256 == want }
}

// fresh is a file that looks like a picture.
func fresh(size int) []byte {
	b := make([]byte, size)
	_, _ = rand.Read(b)
	return append([]byte("\xff\xd8\xff"), b...)
}

func sum(content []byte) string {
	h := sha256.Sum256(content)
	return hex.EncodeToString(h[:])
}

// everythingOnce counts what both sides have in the end.
func (s *story) everythingOnce() {
	s.t.Helper()
	count := map[string]int{}
	for _, e := range append(s.p.all("text"), s.p.all("file")...) {
		count[e.Text+e.SHA256]++
	}
	once(s.t, "the customer", count, s.toPhone)
	clear(count)
	for _, m := range s.fromThem {
		if m.From != slixmppNumber[1:] {
			s.t.Errorf("a message comes from another number")
		}
		switch m.Type {
		case "text":
			count[m.Text]++
		case "image":
			count[sum(s.b.download(m.File))]++
		default:
			s.t.Errorf("the business got a message of type %s", m.Type)
		}
	}
	once(s.t, "the business", count, s.toB)
	if failed := s.p.all("failed"); len(failed) > 0 {
		s.t.Errorf("the customer's client failed: %+v", failed)
	}
}

func once(t *testing.T, who string, count map[string]int, want []string) {
	t.Helper()
	for _, w := range want {
		if count[w] != 1 {
			t.Errorf("%s has something %d times", who, count[w])
		}
	}
	if len(count) != len(want) {
		t.Errorf("%s has %d things, want %d", who, len(count), len(want))
	}
}

// TestSlixmppTalksToARelay has a customer on slixmpp and a business exchange texts,
// files, receipts and typing: both online, then each of them away, then across
// restarts of the relay and of the server. Both have everything once.
func TestSlixmppTalksToARelay(t *testing.T) {
	onServers(t, func(t *testing.T, server server) {
		s := &story{t: t, b: startBusiness(t, server), p: startPhone(t, server)}
		s.phoneWrites()
		s.businessReads()
		for _, e := range s.p.all("sent") {
			s.p.wait(t, func(o slixmpp.Event) bool { return o.Event == "delivered" && o.ID == e.ID })
		}
		s.phoneReads(s.businessWrites()...)
		s.businessSendsALink()
		s.typing()
		s.phoneIsAway()
		s.relayIsAway()
		s.serverRestarts(server)
		s.everythingOnce()
	})
}

// businessSendsALink has the business send a file by a link of its own.
func (s *story) businessSendsALink() {
	s.t.Helper()
	content := fresh(100_000)
	shop := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) {
		w.Header().Set("Content-Type", "image/jpeg")
		_, _ = w.Write(content)
	}))
	defer shop.Close()
	id := s.b.Send(map[string]any{
		"to": slixmppNumber[1:], "type": "image", "image": map[string]string{"link": shop.URL + "/photo.jpg"},
	})
	s.toPhone = append(s.toPhone, sum(content))
	s.phoneReads(id)
}

// typing looks at receipts and typing both ways.
func (s *story) typing() {
	s.t.Helper()
	s.b.markRead(s.fromThem[len(s.fromThem)-1].ID)
	last := s.p.all("sent")
	s.p.wait(s.t, func(e slixmpp.Event) bool { return e.Event == "read" && e.ID == last[len(last)-1].ID })
	s.p.wait(s.t, func(e slixmpp.Event) bool { return e.Event == "typing" && e.Composing })
	check(s.t, s.p.Typing(s.ctx(), s.b.JID(), true))
	s.b.counted("typing", 1)
}

func (s *story) phoneIsAway() {
	s.t.Helper()
	s.p.stop(s.t)
	ids := s.businessWrites()
	for _, id := range ids {
		s.b.WaitStatus(id, "sent")
	}
	s.p.start(s.t)
	s.phoneReads(ids...)
}

func (s *story) relayIsAway() {
	s.t.Helper()
	s.b.Stop()
	s.phoneWrites()
	s.b.startReady()
	s.businessReads()
	s.phoneReads(s.businessWrites()...)
}

func (s *story) serverRestarts(server server) {
	s.t.Helper()
	s.p.stop(s.t)
	ids := s.businessWrites()
	for _, id := range ids {
		s.b.WaitStatus(id, "sent")
	}
	s.b.waitIdle() // the caption has no status
	ctx, cancel := context.WithTimeout(s.ctx(), time.Minute)
	defer cancel()
	check(s.t, server.Restart(ctx))
	s.p.start(s.t)
	s.phoneReads(ids...)
	s.phoneWrites()
	s.businessReads()
}

// TestBlocking_OfACustomerOnSlixmpp blocks and unblocks over the endpoint.
func TestBlocking_OfACustomerOnSlixmpp(t *testing.T) {
	server := prosody.StartT(t, prosody.Options{Registration: true})
	s := &story{t: t, b: startBusiness(t, server), p: startPhone(t, server)}
	blockList := func(method string, body []byte) string {
		return s.b.wantOK(s.b.Request(method, "/block_users", s.b.Token, body))
	}
	users := []byte(`{"messaging_product":"whatsapp","block_users":[{"user":"` + slixmppNumber + `"}]}`)
	s.phoneWrites()
	s.businessReads()
	blockList(http.MethodPost, users)
	_, err := s.p.Send(s.ctx(), s.b.JID(), "while I am blocked")
	check(t, err)
	if got := s.b.outcome(s.b.Say(slixmppNumber, "to nobody")); got != "failed" {
		t.Errorf("writing to who is blocked is %s", got)
	}
	if list := blockList(http.MethodGet, nil); !strings.Contains(list, slixmppNumber[1:]) {
		t.Errorf("the list is %s", list)
	}
	blockList(http.MethodDelete, users)
	s.phoneWrites()
	s.businessReads()
	s.everythingOnce()
}
