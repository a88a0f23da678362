package audit

import (
	"fmt"
	"io"
	"slices"
	"strings"
	"text/tabwriter"

	"github.com/relaykeep/relaykeep/cmd/kubectl-relay/internal/printable"
)

// word is how a state is written in the terminal: what is broken stands out without colour.
func word(s State) string {
	if s == Broken {
		return "BROKEN"
	}
	return string(s)
}

// Text writes a report for a terminal: the table of one relay, or a line for each of several; then what is broken, with
// the command that shows or mends it; what was not tried, with the reason; and what the business chose that a party may see.
func Text(out io.Writer, r *Report) error {
	if len(r.Relays) == 1 {
		if err := grid(out, &r.Relays[0]); err != nil {
			return err
		}
	} else if err := lines(out, r); err != nil {
		return err
	}
	if err := receivers(out, r); err != nil {
		return err
	}
	if r.Canary != nil {
		if err := canary(out, r.Canary); err != nil {
			return err
		}
	}
	list(out, r, Broken)
	list(out, r, NotTried)
	list(out, r, ByDesign)
	fmt.Fprintln(out, Verdict(r))
	return nil
}

// grid writes the table of one relay.
func grid(out io.Writer, r *Relay) error {
	fmt.Fprintf(out, "%s in namespace %s, region %s: who may see what\n\n", r.Name, r.Namespace, r.Region)
	table := tabwriter.NewWriter(out, 0, 0, 2, ' ', 0)
	fmt.Fprint(table, strings.ToUpper("data"))
	for _, p := range Columns() {
		fmt.Fprint(table, "\t", strings.ToUpper(string(p)))
	}
	for _, d := range Rows() {
		fmt.Fprint(table, "\n", d)
		for _, p := range Columns() {
			fmt.Fprint(table, "\t", word(r.Cell(d, p).State))
		}
	}
	fmt.Fprintln(table)
	return table.Flush()
}

// lines writes a line for each relay.
func lines(out io.Writer, r *Report) error {
	table := tabwriter.NewWriter(out, 0, 0, 3, ' ', 0)
	fmt.Fprintln(table, "NAMESPACE\tNAME\tREGION\tRESULT\tBROKEN\tNOT TRIED\tKEPT\tBY DESIGN")
	for i := range r.Relays {
		t := &r.Relays[i]
		count := map[State]int{}
		for _, c := range t.Cells {
			count[c.State]++
		}
		fmt.Fprintf(table, "%s\t%s\t%s\t%s\t%d\t%d\t%d\t%d\n", t.Namespace, t.Name, t.Region, word(t.State), count[Broken], count[NotTried], count[Kept], count[ByDesign])
	}
	return table.Flush()
}

// Finding is a check that ended the same for some relays.
type Finding struct {
	Check
	Relays []string // namespace/name
	Cells  []string // party and data, in which it counts
}

// Findings are the checks of a state, in the order of the catalogue, those with the same detail once.
func (r *Report) Findings(state State) []Finding {
	var all []Finding
	for i := range r.Relays {
		t := &r.Relays[i]
		for _, c := range t.Of(state) {
			name := t.Namespace + "/" + t.Name
			if at := slices.IndexFunc(all, func(f Finding) bool { return f.ID == c.ID && f.Detail == c.Detail }); at >= 0 {
				all[at].Relays = append(all[at].Relays, name)
				continue
			}
			all = append(all, Finding{Check: c, Relays: []string{name}, Cells: cellsOf(c.ID)})
		}
	}
	order := Catalogue()
	slices.SortStableFunc(all, func(a, b Finding) int {
		place := func(id ID) int { return slices.IndexFunc(order, func(e Entry) bool { return e.ID == id }) }
		return place(a.ID) - place(b.ID)
	})
	if r.Canary != nil {
		all = append(all, r.Canary.findings(state)...)
	}
	return all
}

// cellsOf names the cells in which a check counts, the data of each party together.
func cellsOf(id ID) []string {
	var cells []string
	for _, party := range Columns() {
		var data []string
		for _, p := range table() {
			if p.party == party && slices.Contains(p.checks, id) {
				data = append(data, string(p.data))
			}
		}
		if len(data) > 0 {
			cells = append(cells, fmt.Sprintf("%s (%s)", party, strings.Join(data, ", ")))
		}
	}
	return cells
}

// maxNamed is how many relays are named for a finding.
const maxNamed = 5

// named names the relays of a finding.
func (f *Finding) named() string { return named(f.Relays) }

func named(relays []string) string {
	names := strings.Join(relays[:min(len(relays), maxNamed)], ", ")
	if more := len(relays) - maxNamed; more > 0 {
		names += fmt.Sprintf(" and %d more", more)
	}
	return names
}

func list(out io.Writer, r *Report, state State) {
	found := r.Findings(state)
	if len(found) == 0 {
		return
	}
	fmt.Fprintf(out, "\n%s\n", strings.ToUpper(string(state)))
	for i := range found {
		f := &found[i]
		fmt.Fprintf(out, "  %s: %s\n", f.ID, f.Title)
		if len(r.Relays) > 1 {
			fmt.Fprintf(out, "    of %s\n", f.named())
		}
		if state == Broken || strings.HasPrefix(string(f.ID), "canary-") {
			fmt.Fprintf(out, "    concerns %s\n", strings.Join(f.Cells, "; "))
		}
		fmt.Fprintf(out, "    %s\n", printable.Text(f.Detail))
		if f.Remedy != "" {
			fmt.Fprintf(out, "    %s\n", f.Remedy)
		}
	}
}

// Verdict sums a report up in a sentence.
func Verdict(r *Report) string {
	of := "1 relay"
	if len(r.Relays) != 1 {
		of = fmt.Sprintf("%d relays", len(r.Relays))
	}
	switch r.State {
	case Broken:
		return fmt.Sprintf("\nNot everything that is promised is kept by %s.", of)
	case NotTried:
		return fmt.Sprintf("\nNothing is broken at %s; what was not tried is not known.", of)
	case Kept, ByDesign:
	}
	return fmt.Sprintf("\nEverything was tried, and is kept by %s.", of)
}
