// Package audit is the privacy table: which party may see which data, what is tried to find out whether that holds, and
// how the outcome is shown. It must not know how anything is tried.
package audit

import (
	"cmp"
	"slices"
	"time"
)

// State is how a check or a cell of the table ended.
type State string

// The states, from the worst to the best.
const (
	Broken   State = "broken"    // somebody can do what must not be possible
	NotTried State = "not tried" // the detail says why
	ByDesign State = "by design" // the party may see the data
	Kept     State = "kept"      // it was tried, and refused
)

// worse compares states, the worst first.
func worse(a, b State) int {
	order := []State{Broken, NotTried, ByDesign, Kept}
	return cmp.Compare(slices.Index(order, a), slices.Index(order, b))
}

// Outcome is how one check ended.
type Outcome struct {
	State State `json:"state"`
	// Detail says what was seen, in one sentence without a number, a name of a person or a secret.
	Detail string `json:"detail,omitempty"`
	// Remedy is the command or the step that shows or mends it; empty if there is none.
	Remedy string `json:"remedy,omitempty"`
}

// Check is one check with its outcome.
type Check struct {
	ID    ID     `json:"id"`
	Title string `json:"title"`
	Outcome
}

// Cell is what was found out about one kind of data and one party.
type Cell struct {
	Data   Data   `json:"data"`
	Party  Party  `json:"party"`
	State  State  `json:"state"`
	Why    string `json:"why,omitempty"` // why the party may see the data, if it may
	Checks []ID   `json:"checks"`
}

// Relay is the table of one relay.
type Relay struct {
	Namespace string  `json:"namespace"`
	Name      string  `json:"name"`
	Region    string  `json:"region"`
	State     State   `json:"state"` // the worst of its cells, where by design counts as kept
	Cells     []Cell  `json:"cells"`
	Checks    []Check `json:"checks"`
}

// Report is the outcome of an audit.
type Report struct {
	// Version is that of this format.
	Version int `json:"version"`
	// Time is when the audit began.
	Time time.Time `json:"time"`
	// Program is the version of the program that made it.
	Program string `json:"program"`
	// Cluster is the API server's address.
	Cluster string `json:"cluster"`
	// State is the worst of the relays' and the canary's.
	State  State   `json:"state"`
	Relays []Relay `json:"relays"`
	// Receivers are those who get something of these relays.
	Receivers []Receiver `json:"processors"`
	// Canary is what became of a message that was sent to be looked for; nil if none was.
	Canary *Canary `json:"canary,omitempty"`
}

// FormatVersion is the current Report.Version.
const FormatVersion = 1

// Judge makes a relay's table out of its checks' outcomes. A check without an outcome counts as not tried.
func Judge(namespace, name, region string, outcomes map[ID]Outcome) Relay {
	r := Relay{Namespace: namespace, Name: name, Region: region, State: Kept}
	for _, c := range Catalogue() {
		o, ok := outcomes[c.ID]
		if !ok {
			o = Outcome{State: NotTried, Detail: "nothing was found out"}
		}
		r.Checks = append(r.Checks, Check{ID: c.ID, Title: c.Title, Outcome: o})
	}
	for _, p := range table() {
		cell := Cell{Data: p.data, Party: p.party, State: Kept, Why: p.why, Checks: p.checks}
		if p.why != "" {
			cell.State = ByDesign
		}
		for _, id := range p.checks {
			if is := r.Check(id).State; worse(is, cell.State) < 0 {
				cell.State = is
			}
		}
		r.Cells = append(r.Cells, cell)
		r.State = worst(r.State, cell.State)
	}
	return r
}

// worst adds a state to a sum, in which by design counts as kept.
func worst(sum, state State) State {
	if state != ByDesign && worse(state, sum) < 0 {
		return state
	}
	return sum
}

// Check returns one of the relay's checks.
func (r *Relay) Check(id ID) Check {
	for _, c := range r.Checks {
		if c.ID == id {
			return c
		}
	}
	return Check{ID: id, Outcome: Outcome{State: NotTried, Detail: "there is no such check"}}
}

// Cell returns one of the relay's cells.
func (r *Relay) Cell(data Data, party Party) Cell {
	for _, c := range r.Cells {
		if c.Data == data && c.Party == party {
			return c
		}
	}
	return Cell{Data: data, Party: party, State: NotTried}
}

// Of returns the relay's checks of a state.
func (r *Relay) Of(state State) []Check {
	return slices.DeleteFunc(slices.Clone(r.Checks), func(c Check) bool { return c.State != state })
}

// Sum sets the report's state from its relays.
func (r *Report) Sum() {
	r.State = Kept
	for i := range r.Relays {
		r.State = worst(r.State, r.Relays[i].State)
	}
	if r.Canary != nil {
		r.State = worst(r.State, r.Canary.State)
	}
}
