package audit

import (
	"cmp"
	"fmt"
	"io"
	"slices"
	"strings"
	"text/tabwriter"

	"github.com/relaykeep/relaykeep/cmd/kubectl-relay/internal/printable"
)

// Receiver is somebody who gets something of a relay: of whom its DataRegion or its business named.
type Receiver struct {
	Namespace string   `json:"namespace"`
	Relay     string   `json:"relay"`
	Party     string   `json:"party"` // carrier, vault, postgresql, webhook, or processor and its name
	Where     string   `json:"where"` // a host or domain
	Countries []string `json:"countries,omitempty"`
	Gets      string   `json:"gets"`
	Purpose   string   `json:"purpose,omitempty"` // of a processor
	ChosenBy  string   `json:"chosenBy"`          // region or business
	Transfer  bool     `json:"transfer,omitempty"`
	Forbidden bool     `json:"forbidden,omitempty"`
}

// Goes says whether what the receiver gets is a transfer to another country, in a word.
func (r *Receiver) Goes() string {
	switch {
	case r.Forbidden:
		return "forbidden"
	case r.Transfer:
		return "yes"
	}
	return "-"
}

// In names the countries.
func (r *Receiver) In() string { return cmp.Or(strings.Join(r.Countries, ","), "-") }

// Line is a text of the business's in one line, without what a terminal would act on.
func (r *Receiver) Line() string {
	return cmp.Or(strings.Join(strings.Fields(printable.Text(r.Purpose)), " "), "-")
}

// Host is where the receiver is, without what a terminal would act on.
func (r *Receiver) Host() string { return cmp.Or(printable.Text(r.Where), "-") }

// Shared is a receiver that some relays have in common.
type Shared struct {
	Receiver
	Relays []string // namespace/name
}

// Named names the relays, and counts those beyond the first.
func (s *Shared) Named() string { return named(s.Relays) }

// InCommon puts the same receiver of several relays together. Those whom a business named come first.
func (r *Report) InCommon() (all []Shared) {
	for _, one := range r.Receivers {
		name := one.Namespace + "/" + one.Relay
		one.Namespace, one.Relay = "", ""
		same := func(s Shared) bool {
			return s.Party == one.Party && s.Where == one.Where && s.Purpose == one.Purpose && s.In() == one.In() && s.Goes() == one.Goes()
		}
		if at := slices.IndexFunc(all, same); at >= 0 {
			all[at].Relays = append(all[at].Relays, name)
			continue
		}
		all = append(all, Shared{one, []string{name}})
	}
	slices.SortStableFunc(all, func(a, b Shared) int { return strings.Compare(a.ChosenBy, b.ChosenBy) })
	return all
}

// receivers writes who gets what.
func receivers(out io.Writer, r *Report) error {
	all := r.InCommon()
	if len(all) == 0 {
		return nil
	}
	fmt.Fprintln(out, "\nWHO GETS WHAT")
	table := tabwriter.NewWriter(out, 2, 0, 3, ' ', 0)
	fmt.Fprint(table, "  PARTY\tWHERE\tCOUNTRIES\tTRANSFER\tGETS\tPURPOSE")
	if len(r.Relays) > 1 {
		fmt.Fprint(table, "\tOF")
	}
	for i := range all {
		s := &all[i]
		fmt.Fprintf(table, "\n  %s\t%s\t%s\t%s\t%s\t%s", s.Party, s.Host(), s.In(), s.Goes(), s.Gets, s.Line())
		if len(r.Relays) > 1 {
			fmt.Fprintf(table, "\t%s", s.Named())
		}
	}
	fmt.Fprintln(table)
	return table.Flush()
}
