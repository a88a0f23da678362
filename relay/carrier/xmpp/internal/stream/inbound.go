package stream

import (
	"time"

	"github.com/relaykeep/relaykeep/relay/carrier/xmpp/internal/stanza"
)

// reportEvery is after how many stanzas the server is told our count unasked.
const reportEvery = 64

// Inbound counts the stanzas that arrive on one link for the session, and reports to the
// server how many of them are handled. Its methods are safe for concurrent use.
type Inbound struct {
	session *Session
	link    *Link
	within  time.Duration

	// guarded by session.mu:
	waiting  uint32      // stanzas that arrived and are not handled
	owed     *time.Timer // the server asked for a count that was behind: when it is told that
	reported uint32      // the count that the server was told last
}

// Inbound begins to count what arrives on a link. The server's request for our count may
// wait that long for what arrived before it: servers take silence for a broken link.
func (s *Session) Inbound(l *Link, within time.Duration) *Inbound {
	return &Inbound{session: s, link: l, within: within}
}

// Received notes a stanza that arrived.
func (in *Inbound) Received() {
	in.session.mu.Lock()
	defer in.session.mu.Unlock()
	in.waiting++
}

// Handled notes that so many of the stanzas that arrived are handled, and reports that to
// the server when it waits for it.
func (in *Inbound) Handled(stanzas uint32) {
	in.session.mu.Lock()
	defer in.session.mu.Unlock()
	in.session.counts.handled += stanzas
	in.waiting -= stanzas
	if in.session.counts.handled-in.reported >= reportEvery || in.owed != nil && in.waiting == 0 {
		in.report()
	}
}

// Requested reports our count to the server, which asked for it: when what it sent is
// handled, which takes a moment, but at once when there is nothing to wait for.
func (in *Inbound) Requested() {
	in.session.mu.Lock()
	defer in.session.mu.Unlock()
	switch {
	case in.waiting == 0:
		in.report()
	case in.owed == nil:
		in.owed = time.AfterFunc(in.within, in.Report)
	}
}

// Report tells the server our count of what is handled.
func (in *Inbound) Report() {
	in.session.mu.Lock()
	defer in.session.mu.Unlock()
	in.report()
}

// report is Report where session.mu is held, so that counts reach the link in order.
func (in *Inbound) report() {
	if in.owed != nil {
		in.owed.Stop()
		in.owed = nil
	}
	in.reported = in.session.counts.handled
	in.link.send(stanza.New(stanza.NSSM, "a", "h", formatCount(in.reported)).Bytes(), false)
}
