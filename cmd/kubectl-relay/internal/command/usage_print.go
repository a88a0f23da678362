package command

import (
	"encoding/csv"
	"fmt"
	"io"
	"slices"
	"strconv"
	"text/tabwriter"

	"github.com/relaykeep/relaykeep/api/contract"
	"github.com/relaykeep/relaykeep/cmd/kubectl-relay/internal/printable"
)

// directionIn is how a relay names messages of customers; it names those of the business otherwise.
const directionIn = "in"

// used are counts of a day, or the sums of those of many: a sum is never of anything that is not shown.
type used struct {
	in, out, mediaIn, mediaOut, customers int64
	open                                  bool // the day is not over
}

func usedOn(d contract.UsageDay) (u used) {
	for _, m := range d.Messages {
		if m.Direction == directionIn {
			u.in += m.Count
		} else {
			u.out += m.Count
		}
	}
	u.mediaIn, u.mediaOut, u.open = d.MediaBytes.In, d.MediaBytes.Out, d.Customers == nil
	if !u.open {
		u.customers = *d.Customers
	}
	return u
}

func (u *used) add(b used) {
	u.in, u.out, u.customers = u.in+b.in, u.out+b.out, u.customers+b.customers
	u.mediaIn, u.mediaOut = u.mediaIn+b.mediaIn, u.mediaOut+b.mediaOut
}

// cells are the columns of a table.
func (u *used) cells() string {
	customers := atLeast(u.customers, fewest, "")
	if u.open {
		customers = "-"
	}
	return fmt.Sprintf("%s\t%s\t%s\t%s\t%s", atLeast(u.in, fewest, ""), atLeast(u.out, fewest, ""),
		atLeast(u.mediaIn/megabyte, 1, " MB"), atLeast(u.mediaOut/megabyte, 1, " MB"), customers)
}

// The least that relays tell: of messages and customers, and in bytes.
const (
	fewest   = 10
	megabyte = 1_000_000
)

// atLeast shows a count, or that it is hidden.
func atLeast(n, least int64, unit string) string {
	if n < least {
		return "<" + strconv.FormatInt(least, 10) + unit
	}
	return strconv.FormatInt(n, 10) + unit
}

const usageHead = "RECEIVED\tSENT\tFILES RECEIVED\tFILES SENT\tCUSTOMERS"

func (r *usageReport) write(out io.Writer, format string, one bool) error {
	switch {
	case format == "json":
		return writeJSON(out, map[string]any{"since": r.since, "until": r.until, "relays": append([]relayUsage{}, r.answered...)})
	case format == "csv":
		return r.printCSV(out)
	case one:
		return r.printDays(out)
	case len(r.answered)+len(r.failed) == 0:
		_, err := fmt.Fprintln(out, "There is no BusinessRelay here; -A looks in all namespaces.")
		return err
	}
	fmt.Fprintf(out, "Usage from %s to %s (UTC). Customers are added up over the days.\n\n", r.since, r.until)
	table := tabwriter.NewWriter(out, 0, 0, 3, ' ', 0)
	fmt.Fprintln(table, "NAMESPACE\tNAME\t"+usageHead)
	var sum used
	for _, a := range r.answered {
		of := a.sum()
		fmt.Fprintf(table, "%s\t%s\t%s\n", a.Namespace, a.Name, of.cells())
		sum.add(of)
	}
	fmt.Fprintf(table, "sum\t\t%s\n", sum.cells())
	return table.Flush()
}

func (a *relayUsage) sum() (sum used) {
	for _, d := range a.Days {
		sum.add(usedOn(d))
	}
	return sum
}

// printDays prints the days of the one relay, and what its messages were.
func (r *usageReport) printDays(out io.Writer) error {
	a := r.answered[0]
	fmt.Fprintf(out, "Usage of relay %s in namespace %s from %s to %s (UTC), as of %s.\n\n", a.Name, a.Namespace, r.since, r.until, a.Until.UTC().Format("2006-01-02 15:04"))
	if len(a.Days) == 0 {
		_, err := fmt.Fprintln(out, "Nothing was metered then.")
		return err
	}
	table := tabwriter.NewWriter(out, 0, 0, 3, ' ', 0)
	fmt.Fprintln(table, "DAY\t"+usageHead)
	for _, d := range a.Days {
		u := usedOn(d)
		fmt.Fprintf(table, "%s\t%s\n", d.Day, u.cells())
	}
	sum := a.sum()
	fmt.Fprintf(table, "sum\t%s\n", sum.cells())
	fmt.Fprintln(table, "\nKIND\tRECEIVED\tSENT")
	kinds := map[string]*used{}
	for _, d := range a.Days {
		for _, m := range d.Messages {
			if kinds[m.Kind] == nil {
				kinds[m.Kind] = &used{}
			}
			kinds[m.Kind].add(usedOn(contract.UsageDay{Messages: []contract.UsageCount{m}}))
		}
	}
	for _, k := range sortedKeys(kinds) {
		fmt.Fprintf(table, "%s\t%s\t%s\n", printable.Text(k), atLeast(kinds[k].in, fewest, ""), atLeast(kinds[k].out, fewest, ""))
	}
	return table.Flush()
}

func sortedKeys(of map[string]*used) (keys []string) {
	for k := range of {
		keys = append(keys, k)
	}
	slices.Sort(keys)
	return keys
}

// printCSV prints one line for each count that is shown: customers have no direction, and the kind media_bytes counts
// bytes.
func (r *usageReport) printCSV(out io.Writer) error {
	w := csv.NewWriter(out)
	line := func(a relayUsage, day, direction, kind string, n int64) {
		if n > 0 {
			_ = w.Write([]string{a.Namespace, a.Name, day, direction, kind, strconv.FormatInt(n, 10)}) // Flush has the error
		}
	}
	_ = w.Write([]string{"namespace", "name", "day", "direction", "kind", "count"})
	for _, a := range r.answered {
		for _, d := range a.Days {
			for _, m := range d.Messages {
				line(a, d.Day, printable.Text(m.Direction), printable.Text(m.Kind), m.Count)
			}
			line(a, d.Day, directionIn, "media_bytes", d.MediaBytes.In)
			line(a, d.Day, "out", "media_bytes", d.MediaBytes.Out)
			line(a, d.Day, "", "customers", usedOn(d).customers)
		}
	}
	w.Flush()
	return w.Error()
}
