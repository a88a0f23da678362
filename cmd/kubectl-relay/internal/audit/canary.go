package audit

import (
	"fmt"
	"io"
	"slices"
	"strings"
	"text/tabwriter"
)

// Place is where an audit looks for what its canary said, and who it is.
type Place string

// The places, in the order of the table's columns.
const (
	InVolume  Place = "volume"
	InEtcd    Place = "etcd"
	InCarrier Place = "carrier"
	InLogs    Place = "logs"
	InMetrics Place = "metrics"
	InEvents  Place = "events"
	InStatus  Place = "status"
)

// Places are all places in their order.
func Places() []Place {
	return []Place{InVolume, InEtcd, InCarrier, InLogs, InMetrics, InEvents, InStatus}
}

// What is done with a canary, and tried at each step.
const (
	CanaryScanner ID = "canary-scanner"
	CanaryArrival ID = "canary-arrival"
	CanaryWebhook ID = "canary-webhook"
	CanaryErasure ID = "canary-erasure"
)

// in is the check of a place.
func (p Place) in() ID { return ID("canary-" + string(p)) }

// CanaryCatalogue lists the checks that a canary makes, in the order in which they are shown.
func CanaryCatalogue() []Entry {
	const files = "the files of --search, whose names are searched, too: "
	return []Entry{
		{CanaryScanner, "the scanner finds what it looks for", "before anything is sent: each text in each encoding, among random bytes", "other encodings than plain, base64, hex and UTF-16; through compression and encryption"},
		{CanaryArrival, "a message reaches the relay, and its answer the canary", "a customer with a number that is nobody's writes through the carrier, encrypted as any, and the business answers", "messages with files"},
		{CanaryWebhook, "webhooks about the canary are kept back", "the relay is asked how many it keeps back", "what the receiver of the webhook got: ask it"},
		{InVolume.in(), "the relay's volume holds neither in clear", files + "they must have the queue in which its webhook waits, and be newer than the message", "blocks of the device that no file has any more"},
		{InEtcd.in(), "etcd holds neither in clear", files + "they must have the BusinessRelay's UID, and be newer than the message", "backups that were made before"},
		{InCarrier.in(), "the carrier's store holds no text in clear", files + "they must have the canary's number, which the carrier routes by, and be newer than the message", "what the carrier's server has in memory, and where else its operator keeps copies"},
		{InLogs.in(), "logs hold neither", "the logs of the relay's pod and of the operator's, and the files of --search", "the logs of janitor and keeper, of Vault and of nodes, unless --search has them"},
		{InMetrics.in(), "metrics hold neither", "what monitoring reads of the relay, and the files of --search", "the operator's metrics"},
		{InEvents.in(), "events hold neither", "the relay's events", "more than the last 2,000 events of the namespace"},
		{InStatus.in(), "status holds neither", "the BusinessRelay as it is then, and the relay's status page", "other objects: etcd has them"},
		{CanaryErasure, "nothing is stored of the canary once it is erased", "it is erased as kubectl relay erase-customer does; then the relay is asked for it, and all places are searched again", "what each place's own check cannot see"},
	}
}

// Sighting is what a search of a place for one kind of data came to.
type Sighting struct {
	Place Place `json:"place"`
	Data  Data  `json:"data"` // Content or Number
	Outcome
}

// Canary is what became of a message from a customer who is nobody, and of the business's answer.
type Canary struct {
	Namespace string     `json:"namespace"`
	Relay     string     `json:"relay"`
	State     State      `json:"state"` // the worst of all, where by design counts as kept
	Steps     []Check    `json:"steps"`
	Sightings []Sighting `json:"sightings"`
}

// CanaryRows are the kinds of data that are looked for.
func CanaryRows() []Data { return []Data{Content, Number} }

// JudgeCanary makes a canary's table out of outcomes. What has no outcome counts as not tried, for the reason.
func JudgeCanary(namespace, relay, reason string, steps map[ID]Outcome, sightings []Sighting) *Canary {
	c := &Canary{Namespace: namespace, Relay: relay, State: Kept}
	for _, e := range CanaryCatalogue() {
		if slices.ContainsFunc(Places(), func(p Place) bool { return p.in() == e.ID }) {
			continue
		}
		o, ok := steps[e.ID]
		if !ok {
			o = Outcome{State: NotTried, Detail: reason}
		}
		c.Steps = append(c.Steps, Check{ID: e.ID, Title: e.Title, Outcome: o})
		c.State = worst(c.State, o.State)
	}
	for _, data := range CanaryRows() {
		for _, place := range Places() {
			is := Sighting{place, data, Outcome{State: NotTried, Detail: reason}}
			if at := slices.IndexFunc(sightings, func(s Sighting) bool { return s.Place == place && s.Data == data }); at >= 0 {
				is = sightings[at]
			}
			c.Sightings = append(c.Sightings, is)
			c.State = worst(c.State, is.State)
		}
	}
	return c
}

// Sighting returns one of the searches.
func (c *Canary) Sighting(data Data, place Place) Sighting {
	for _, s := range c.Sightings {
		if s.Data == data && s.Place == place {
			return s
		}
	}
	return Sighting{place, data, Outcome{State: NotTried}}
}

// findings are the canary's checks of a state, what was seen alike of both kinds of data once.
func (c *Canary) findings(state State) (all []Finding) {
	relays := []string{c.Namespace + "/" + c.Relay}
	for _, e := range CanaryCatalogue() {
		for _, s := range c.Steps {
			if s.ID == e.ID && s.State == state {
				all = append(all, Finding{Check: s, Relays: relays, Cells: []string{"the canary"}})
			}
		}
		var here []Finding
		for _, s := range c.Sightings {
			if s.Place.in() != e.ID || s.State != state {
				continue
			}
			if at := slices.IndexFunc(here, func(f Finding) bool { return f.Detail == s.Detail }); at >= 0 {
				here[at].Cells = append(here[at].Cells, string(s.Data))
				continue
			}
			here = append(here, Finding{Check: Check{ID: e.ID, Title: e.Title, Outcome: s.Outcome}, Relays: relays, Cells: []string{string(s.Data)}})
		}
		all = append(all, here...)
	}
	return all
}

// canary writes the table of a canary.
func canary(out io.Writer, c *Canary) error {
	fmt.Fprintf(out, "\nA canary through %s in namespace %s: where it was looked for\n\n", c.Relay, c.Namespace)
	table := tabwriter.NewWriter(out, 0, 0, 2, ' ', 0)
	fmt.Fprint(table, "DATA")
	for _, p := range Places() {
		fmt.Fprint(table, "\t", strings.ToUpper(string(p)))
	}
	for _, d := range CanaryRows() {
		fmt.Fprint(table, "\n", d)
		for _, p := range Places() {
			fmt.Fprint(table, "\t", word(c.Sighting(d, p).State))
		}
	}
	fmt.Fprint(table, "\n\n")
	if err := table.Flush(); err != nil {
		return err
	}
	for _, s := range c.Steps {
		fmt.Fprintf(out, "  %s: %s: %s\n", s.ID, s.Title, word(s.State))
	}
	return nil
}
