package stanza

import (
	"strings"

	"github.com/relaykeep/relaykeep/relay/carrier"
)

// Reasons of a report (XEP-0377).
const (
	reportSpam  = "urn:xmpp:reporting:spam"
	reportAbuse = "urn:xmpp:reporting:abuse"
)

// report reads a report of spam that the server forwards, as Prosody's mod_report_forward writes one: XEP-0377's element, and
// in it whom it is about. That it is about us, and that it came, is all that is taken from it: not who reported what. A report
// about others is none of ours.
func (p Reader) report(r *Reading, e *Element) (found bool) {
	report := e.Child(NSReporting, "report")
	if report == nil {
		return false
	}
	about, reason := "", report.Attr("reason")
	if jid := report.Child(NSJID, "jid"); jid != nil && len(jid.Text) <= MaxAddress {
		about, _, _ = strings.Cut(strings.TrimSpace(jid.Text), "/")
	}
	switch {
	case e.Attr("type") == "error", about != p.Of(p.Own):
		r.Drop(DropFromServer)
	case reason != reportSpam && reason != reportAbuse:
		r.Drop(DropMalformed)
	default:
		r.Event(carrier.Report{ID: r.idOf(e)})
	}
	return true
}
