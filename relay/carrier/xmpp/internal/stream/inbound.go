package stream

import (
	"time"

	"github.com/relaykeep/relaykeep/relay/carrier/xmpp/internal/stanza"
)

// reportEvery is after how many stanzas we report our count without a request.
const reportEvery = 64

// Inbound counts for the stream the stanzas that arrive on one link, and reports to the
// server how many of them are handled. Its methods are safe for concurrent use.
type Inbound struct {
	stream *Stream
	link   *Link
	within time.Duration

	// guarded by stream.mu:
	waiting  uint32      // stanzas that arrived and are not handled
	owed     *time.Timer // the server requested a count while stanzas waited: reports it when time is up
	reported uint32      // the count that we reported last
}

// Inbound begins to count what arrives on a link. When the server requests our count, the
// report may wait that long for what arrived before the request, but no longer: to servers,
// silence means a broken link.
func (s *Stream) Inbound(l *Link, within time.Duration) *Inbound {
	return &Inbound{stream: s, link: l, within: within}
}

// Received notes a stanza that arrived.
func (in *Inbound) Received() {
	in.stream.mu.Lock()
	defer in.stream.mu.Unlock()
	in.waiting++
}

// Handled notes that so many of the stanzas that arrived are handled, and reports that to
// the server if it waits for a report.
func (in *Inbound) Handled(stanzas uint32) {
	in.stream.mu.Lock()
	defer in.stream.mu.Unlock()
	in.stream.counts.handled += stanzas
	in.waiting -= stanzas
	if in.stream.counts.handled-in.reported >= reportEvery || in.owed != nil && in.waiting == 0 {
		in.report()
	}
}

// Requested notes that the server requested our count. We report it at once when nothing
// waits, else when what arrived before is handled, which takes a moment.
func (in *Inbound) Requested() {
	in.stream.mu.Lock()
	defer in.stream.mu.Unlock()
	switch {
	case in.waiting == 0:
		in.report()
	case in.owed == nil:
		in.owed = time.AfterFunc(in.within, in.Report)
	}
}

// Report reports our count of handled stanzas to the server.
func (in *Inbound) Report() {
	in.stream.mu.Lock()
	defer in.stream.mu.Unlock()
	in.report()
}

// report is Report for callers that hold stream.mu, so that counts reach the link in order.
func (in *Inbound) report() {
	if in.owed != nil {
		in.owed.Stop()
		in.owed = nil
	}
	in.reported = in.stream.counts.handled
	in.link.send(stanza.New(stanza.NSSM, "a", "h", formatCount(in.reported)).Bytes(), false)
}
