package serve

import (
	"github.com/prometheus/client_golang/prometheus"

	"github.com/relaykeep/relaykeep/relay/conduct"
)

// conductDescs describe the metrics about the business's conduct. They are counts of a day or a week, and name nobody.
type conductDescs struct{ quality, state, contacts, limit, reached, outcomes, complaints *prometheus.Desc }

func newConductDescs(desc func(name, help string, labels ...string) *prometheus.Desc) conductDescs {
	return conductDescs{
		quality:    desc("quality", "1 for the business's quality, GREEN, YELLOW, RED or UNKNOWN, 0 for the others.", "rating"),
		state:      desc("sending_state", "1 for what holds for first contacts, Free, Slowed, Held, Exempt or Off, 0 for the others.", "state"),
		contacts:   desc("first_contacts", "Strangers whom the business wrote to within a day."),
		limit:      desc("first_contacts_limit", "Strangers whom the business may write to within a day; none without a limit."),
		reached:    desc("customers_reached", "People whom the business wrote to in the present hour, about."),
		outcomes:   desc("week_deliveries", "Messages of a week that arrived (delivered), or that the carrier could not bring to their recipient (undelivered).", "result"),
		complaints: desc("week_complaints", "People who refused the business (block), and reports of spam that the carrier forwarded (report), of a week.", "kind"),
	}
}

func (d conductDescs) describe(ch chan<- *prometheus.Desc) {
	for _, each := range []*prometheus.Desc{d.quality, d.state, d.contacts, d.limit, d.reached, d.outcomes, d.complaints} {
		ch <- each
	}
}

func (d conductDescs) collect(gauge func(*prometheus.Desc, float64, ...string), s conduct.Signals) {
	for _, q := range conduct.Qualities() {
		gauge(d.quality, indicator(q == s.Quality), string(q))
	}
	for _, state := range conduct.States() {
		gauge(d.state, indicator(state == s.State), string(state))
	}
	gauge(d.contacts, float64(s.FirstContacts))
	if s.Limit > 0 {
		gauge(d.limit, float64(s.Limit))
	}
	gauge(d.reached, float64(s.Reached))
	gauge(d.outcomes, float64(s.Delivered), "delivered")
	gauge(d.outcomes, float64(s.Undelivered), "undelivered")
	gauge(d.complaints, float64(s.Blocks), "block")
	gauge(d.complaints, float64(s.SpamReports), "report")
}
