package xmpp

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"maps"
	"net"
	"slices"
	"strings"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"github.com/relaykeep/relaykeep/relay/carrier"
	"github.com/relaykeep/relaykeep/relay/carrier/xmpp/internal/stanza"
	"github.com/relaykeep/relaykeep/relay/carrier/xmpp/internal/stream"
	"github.com/relaykeep/relaykeep/relay/carrier/xmpp/internal/xmpptest"
	"github.com/relaykeep/relaykeep/test/services/prosody"
)

// counter is Metrics that a test can read.
type counter struct {
	mu    sync.Mutex
	drops map[stanza.Drop]int
}

func (c *counter) Dropped(d stanza.Drop) {
	c.mu.Lock()
	defer c.mu.Unlock()
	if c.drops == nil {
		c.drops = map[stanza.Drop]int{}
	}
	c.drops[d]++
}

func (*counter) Linked(bool) {}

func (c *counter) counts() map[stanza.Drop]int {
	c.mu.Lock()
	defer c.mu.Unlock()
	return maps.Clone(c.drops)
}

// scripted is a carrier whose server, past login, is the test.
type scripted struct {
	*node
	server net.Conn
	counts *counter
	ended  chan error // of serve

	mu   sync.Mutex
	seen bytes.Buffer // guarded by mu: what the carrier wrote
}

func script(t *testing.T, change func(*Config)) *scripted {
	t.Helper()
	return scriptFor(t, change, func(r *recorder) carrier.Handler { return r })
}

// scriptFor is script with another Handler, made from its recorder.
func scriptFor(t *testing.T, change func(*Config), handler func(*recorder) carrier.Handler) *scripted {
	t.Helper()
	counts := &counter{}
	conf := Config{
		Login:     Login{Account: xmpptest.Number(t, xmpptest.Business), Domain: "relay.test", Password: password},
		IQTimeout: time.Minute, Metrics: counts,
	}
	if change != nil {
		change(&conf)
	}
	c, err := New(conf)
	if err != nil {
		t.Fatal(err)
	}
	ours, theirs := net.Pipe()
	s := &scripted{
		node:   &node{Carrier: c, recorder: &recorder{}, number: conf.Account},
		server: theirs, counts: counts, ended: make(chan error, 1),
	}
	go func() {
		buf := make([]byte, 4096)
		for {
			n, err := theirs.Read(buf)
			if err != nil {
				return
			}
			s.mu.Lock()
			s.seen.Write(buf[:n])
			s.mu.Unlock()
		}
	}()
	l := stream.NewLink(ours, c.cfg.stream())
	c.stream.Attach(l)
	c.stream.Begin("resumable")
	ctx, cancel := context.WithCancel(t.Context())
	go func() {
		s.ended <- c.serve(ctx, l, handler(s.recorder))
	}()
	t.Cleanup(func() { cancel(); _ = theirs.Close() })
	return s
}

// says has the server write.
func (s *scripted) says(t *testing.T, text string) {
	t.Helper()
	_ = s.server.SetWriteDeadline(time.Now().Add(10 * time.Second))
	if _, err := io.WriteString(s.server, text); err != nil && !errors.Is(err, io.ErrClosedPipe) {
		t.Fatalf("writing: %v", err)
	}
}

// wrote waits until the carrier wrote that.
func (s *scripted) wrote(t *testing.T, text string) {
	t.Helper()
	eventually(t, text, func() bool { return s.hasWritten(text) })
}

func (s *scripted) hasWritten(text string) bool {
	s.mu.Lock()
	defer s.mu.Unlock()
	return strings.Contains(s.seen.String(), text)
}

// acknowledges has the server acknowledge all that the carrier sent, and returns how
// much that is.
func (s *scripted) acknowledges(t *testing.T) (count uint32) {
	t.Helper()
	count = s.stream.Counts().Sent
	s.says(t, "<a xmlns='"+stanza.NSSM+"' h='"+fmt.Sprint(count)+"'/>")
	return count
}

// hasRead waits, once, until the carrier has taken in what the server said so far: up to
// the first acknowledgement, which is no stanza and counts as none.
func (s *scripted) hasRead(t *testing.T) {
	t.Helper()
	s.wrote(t, "<presence>")
	count := s.acknowledges(t)
	eventually(t, "the acknowledgement to be read", func() bool { return s.stream.Counts().Confirmed == count })
}

// after waits for the attribute value that the carrier wrote after that text.
func (s *scripted) after(t *testing.T, text string) (value string) {
	t.Helper()
	eventually(t, text, func() (found bool) {
		s.mu.Lock()
		defer s.mu.Unlock()
		if _, rest, ok := strings.Cut(s.seen.String(), text); ok {
			value, _, found = strings.Cut(rest, "'")
		}
		return found
	})
	return value
}

func TestHostileServerEndsItsOwnLinkOnly(t *testing.T) {
	tests := map[string]struct{ text, reason string }{
		"document type":             {"<!DOCTYPE x [<!ENTITY y 'z'>]>", ReasonProtocolError},
		"comment":                   {"<!-- x -->", ReasonProtocolError},
		"text between stanzas":      {"hello<x/>", ReasonProtocolError},
		"unknown entity":            {"<message>&lol;</message>", ReasonProtocolError},
		"acknowledges what was not": {"<a xmlns='urn:xmpp:sm:3' h='4000000000'/>", ReasonProtocolError},
		"acknowledges nonsense":     {"<a xmlns='urn:xmpp:sm:3' h='-1'/>", ReasonProtocolError},
		"second stream":             {"<message/></stream:stream>", ReasonServerClosed},
		"other took the resource":   {"<stream:error><conflict xmlns='urn:ietf:params:xml:ns:xmpp-streams'/></stream:error>", ReasonReplaced},
		"shuts down":                {"<stream:error><system-shutdown xmlns='urn:ietf:params:xml:ns:xmpp-streams'/></stream:error>", ReasonServerClosed},
	}
	for name, tc := range tests {
		t.Run(name, func(t *testing.T) {
			s := script(t, nil)
			s.says(t, tc.text)
			select {
			case err := <-s.ended:
				if got := stream.ReasonOf(err).Reason; got != tc.reason {
					t.Errorf("reason %s, want %s: %v", got, tc.reason, err)
				}
			case <-time.After(20 * time.Second):
				t.Error("the link goes on")
			}
		})
	}
}

func TestHostileStanzasDoNotEndTheLink(t *testing.T) {
	s := script(t, nil)
	for _, text := range []string{
		"<message from='" + xmpptest.PeerJID + "'><error xmlns='" + stanza.NSStream + "'><conflict/></error></message>",
		"<message from='" + xmpptest.PeerJID + "'><stream xmlns='" + stanza.NSStream + "'/></message>",
		"<message from='" + xmpptest.PeerJID + "'><encrypted xmlns='" + stanza.NSOMEMO + "'><header/></encrypted></message>",
		"<message from='@/'/><message from='" + strings.Repeat("x", 4000) + "'/>",
		"<iq type='result' id='nothing' from='relay.test'/><iq/><iq type='get' id='1' from='relay.test'><query xmlns='evil'/></iq>",
		"<presence type='subscribe' from='a@evil.test'/><presence type='subscribe' from='alice@relay.test'/>",
		"<unknown xmlns='urn:x'/> \n ",
		strings.Replace(xmpptest.Stanzas()[0], "<message", "<message xmlns:y='z' y:id='2'", 1),
	} {
		s.says(t, text)
	}
	s.wait(t, "the message after all that", func() bool { return len(s.messages) == 1 })
	want := map[stanza.Drop]int{stanza.DropEmpty: 2, stanza.DropMalformed: 1, stanza.DropForeignDomain: 3, stanza.DropUnasked: 1, stanza.DropForeignAddress: 1}
	if got := s.counts.counts(); !maps.Equal(got, want) {
		t.Errorf("counted %v, want %v", got, want)
	}
	s.wrote(t, "service-unavailable")
	// Eleven stanzas were handled; the element that is none does not count.
	s.says(t, "<r xmlns='urn:xmpp:sm:3'/>")
	s.wrote(t, "<a xmlns='urn:xmpp:sm:3' h='11'/>")
}

func TestAnswer_ComesFromWhoWasAskedOnly(t *testing.T) {
	s := script(t, nil)
	got := make(chan error, 1)
	go func() {
		_, err := s.Devices(t.Context(), xmpptest.Number(t, xmpptest.Customer), carrier.Legacy)
		got <- err
	}()
	id := s.after(t, "to='"+xmpptest.Customer+"@relay.test' id='")
	answer := func(from, devices string) string {
		return "<iq type='result' id='" + id + "' from='" + from + "'><pubsub xmlns='" + stanza.NSPubSub + "'><items node='" + stanza.NodeDevices +
			"'><item id='current'><list xmlns='" + stanza.NSOMEMO + "'>" + devices + "</list></item></items></pubsub></iq>"
	}
	for _, forger := range []string{xmpptest.Third + "@relay.test", xmpptest.PeerJID, "relay.test", xmpptest.Business + "@relay.test", xmpptest.Customer + "@evil.test"} {
		s.says(t, answer(forger, "<device id='666'/>"))
	}
	s.says(t, strings.NewReplacer("<list", "<other", "</list", "</other").Replace(answer(xmpptest.Customer+"@relay.test", "")))
	if err := <-got; !errors.Is(err, carrier.ErrNotFound) || !errors.Is(err, stanza.ErrMalformed) {
		t.Errorf("fetching what is no list: %v", err)
	}
	if n := s.counts.counts()[stanza.DropUnasked]; n != 5 {
		t.Errorf("%d forged answers were counted", n)
	}
}

// ejabberd fails to make a node, and says that there is none, when other accounts make
// theirs at the same moment.
func TestNode_NotMadeByTheServerIsNoPermanentRefusal(t *testing.T) {
	for condition, forGood := range map[string]bool{"item-not-found": false, "forbidden": true} {
		t.Run(condition, func(t *testing.T) {
			s := script(t, nil)
			got := make(chan error, 1)
			go func() { got <- s.Carrier.PublishDevices(t.Context(), carrier.Legacy, []carrier.DeviceID{1}) }()
			id := s.after(t, "<iq type='set' id='")
			s.says(t, "<iq type='error' id='"+id+"'><error type='cancel'><"+condition+" xmlns='"+stanza.NSStanzas+"'/></error></iq>")
			if err := <-got; err == nil || errors.Is(err, carrier.ErrRejected) != forGood {
				t.Errorf("it is refused for good: %v, want %v", err, forGood)
			}
		})
	}
}

func TestContactList_ChangesComeFromOurOwnAccountOnly(t *testing.T) {
	s := script(t, nil)
	push := func(id, from string) string {
		return "<iq type='set' id='" + id + "'" + from + "><query xmlns='jabber:iq:roster' ver='7'><item jid='" +
			xmpptest.Customer + "@relay.test' subscription='both'/></query></iq>"
	}
	for id, from := range map[string]string{"nobody": "", "account": " from='" + xmpptest.Business + "@relay.test'"} {
		s.says(t, push(id, from))
		eventually(t, "a result for "+id, func() bool { return s.answer(t, id) == "result" })
	}
	forgers := map[string]string{
		"peer": xmpptest.Customer + "@relay.test", "client": xmpptest.PeerJID, "server": "relay.test", "device": xmpptest.Business + "@relay.test/other",
		"resource": xmpptest.Business + "@relay.test/" + DefaultResource, "domain": xmpptest.Business + "@evil.test", "similar": xmpptest.Business + "1@relay.test",
	}
	for id, from := range forgers {
		s.says(t, push(id, " from='"+from+"'"))
		eventually(t, "an error for "+id, func() bool { return s.answer(t, id) == "error" })
	}
	if got := s.counts.counts(); !maps.Equal(got, map[stanza.Drop]int{stanza.DropRoster: len(forgers)}) {
		t.Errorf("counted %v", got)
	}
	// Asking for the list is no push.
	s.says(t, "<iq type='get' id='asks'><query xmlns='jabber:iq:roster'/></iq>")
	eventually(t, "an error", func() bool { return s.answer(t, "asks") == "error" })
}

// answer returns the type of the carrier's answer to an <iq/>, or "" while there is
// none.
func (s *scripted) answer(t *testing.T, id string) string {
	t.Helper()
	s.mu.Lock()
	defer s.mu.Unlock()
	for _, start := range strings.Split(s.seen.String(), "<iq ")[1:] {
		tag, _, ended := strings.Cut(start, ">")
		if ended && strings.Contains(tag, " id='"+id+"'") {
			_, kind, _ := strings.Cut(" "+tag, " type='")
			kind, _, _ = strings.Cut(kind, "'")
			return kind
		}
	}
	return ""
}

func TestSilentServerIsAskedThenLeft(t *testing.T) {
	s := prosody.StartT(t, prosody.Options{Registration: true})
	conf := config(t, s, xmpptest.Business)
	conf.Idle = 200 * time.Millisecond
	n := online(t, conf)
	s.Freeze()
	n.becomes(t, carrier.Disconnected, ReasonLinkLost)
	s.Thaw()
	n.wait(t, "resumption", func() bool { return len(n.connected) > 1 })
	n.becomes(t, carrier.Online, "")
}

func TestIdleLinkIsKept(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		const idle = 30 * time.Second // half as long as the wire lets the other side be silent
		s := script(t, func(c *Config) { c.Idle = idle })
		s.wrote(t, "<presence>")
		asked := 0
		for period := range 20 {
			<-time.After(idle + time.Second)
			s.mu.Lock()
			before := asked
			asked = strings.Count(s.seen.String(), "<r xmlns='"+stanza.NSSM+"'/>")
			s.mu.Unlock()
			if asked == before {
				t.Errorf("the server was not asked for a sign of life in period %d", period)
			}
			s.acknowledges(t)
		}
		select {
		case err := <-s.ended:
			t.Errorf("an idle link ended: %v", err)
		default:
		}
	})
}

// asker is a Handler that asks the carrier something when the link comes up.
type asker struct {
	*recorder
	ask func(ctx context.Context) error
}

func (a *asker) Receive(ctx context.Context, events []carrier.Event) error {
	for _, ev := range events {
		if _, ok := ev.(carrier.Connected); ok {
			if err := a.ask(ctx); err != nil {
				return err
			}
		}
	}
	return a.recorder.Receive(ctx, events)
}

func TestHandlerThatAsksDoesNotHoldUpTheNextLink(t *testing.T) {
	s := prosody.StartT(t, prosody.Options{Registration: true})
	p := newProxy(t, s)
	conf := through(config(t, s, xmpptest.Business), p)
	conf.IQTimeout = time.Hour
	c, err := New(conf)
	if err != nil {
		t.Fatal(err)
	}
	asked := 0
	n := &node{Carrier: c, recorder: &recorder{}, number: conf.Account}
	n.handler = &asker{n.recorder, func(ctx context.Context) error {
		if asked++; asked == 1 {
			s.Freeze() // there will be no answer on this link
			time.AfterFunc(50*time.Millisecond, func() { p.cut(); s.Thaw() })
		}
		return n.PublishDevices(ctx, carrier.Legacy, []carrier.DeviceID{1})
	}}
	n.start(t)
	n.wait(t, "second link", func() bool { return len(n.connected) == 1 })
	if asked != 2 || n.connected[0] {
		t.Errorf("asked %d times; the link is a resumed one to the Handler: %v", asked, n.connected[0])
	}
	n.wait(t, "own devices", func() bool { return len(n.own) > 0 })
}

// stuck is a Handler that takes no message until it is let.
type stuck struct {
	*recorder
	let chan struct{}
}

func (s *stuck) Receive(ctx context.Context, events []carrier.Event) error {
	if !slices.ContainsFunc(events, func(ev carrier.Event) bool { _, ok := ev.(carrier.Message); return ok }) {
		return s.recorder.Receive(ctx, events)
	}
	select {
	case <-s.let:
		return s.recorder.Receive(ctx, events)
	case <-ctx.Done():
		return ctx.Err()
	}
}

func TestFloodIsHeldBackAtTheServer(t *testing.T) {
	s := script(t, nil)
	// Another link is served, with a Handler that does not keep up.
	ours, theirs := net.Pipe()
	defer theirs.Close()
	l := stream.NewLink(ours, s.cfg.stream())
	h := &stuck{&recorder{}, make(chan struct{})}
	s.stream.Attach(l)
	done := make(chan error, 1)
	go func() { done <- s.serve(t.Context(), l, h) }()
	go func() { _, _ = io.Copy(io.Discard, theirs) }()

	const size = 100 << 10
	large := strings.Replace(xmpptest.Stanzas()[0], "<store", "<x>"+strings.Repeat("x", size)+"</x><store", 1)
	taken, wrote := 0, make(chan struct{}, 1)
	go func() {
		for {
			if _, err := io.WriteString(theirs, large); err != nil {
				return
			}
			wrote <- struct{}{}
		}
	}()
	for flowing := true; flowing; {
		pause := 500 * time.Millisecond
		if taken*size < maxQueuedBytes/2 {
			pause = time.Minute // that much is taken, however slow the machine is
		}
		select {
		case <-wrote:
			if taken++; taken*size > 4*maxQueuedBytes {
				t.Fatal("a flood is taken without end")
			}
		case <-time.After(pause):
			flowing = false
		}
	}
	if taken*size < maxQueuedBytes/2 {
		t.Errorf("only %d stanzas were taken", taken)
	}
	close(h.let) // and goes on
	eventually(t, "more", func() bool {
		select {
		case <-wrote:
			taken++
		default:
		}
		defer h.lock()()
		return len(h.messages) > maxQueuedBytes/size
	})
	l.End(stream.ErrStopped)
	if err := <-done; !errors.Is(err, stream.ErrStopped) {
		t.Errorf("the link ended with %v", err)
	}
}
