package main

import (
	"fmt"
	"io"
	"slices"
	"strings"
	"text/tabwriter"
)

// budget is one promise of speed or size.
type budget struct {
	what string // for the table
	// of is measured against by: of/by must stay at or below most. Without by, of
	// itself must.
	of, by key
	most   float64
	atMost string // the promise in words
}

// nsPerOp is a benchmark's time on the wall, cpuPerOp its processor time, which says
// the same on a machine that others work on meanwhile.
func nsPerOp(name string) key  { return key{name, "ns/op"} }
func cpuPerOp(name string) key { return key{name, "cpu-ns/op"} }

// signalPackages are those with the benchmarks of what is not the carrier's.
func signalPackages() []string { return []string{"./relay/signal"} }

// budgets returns every promise, in the order of the table.
func budgets() []budget {
	ours := func(name string) key { return cpuPerOp(name + "/impl=relaykeep") }
	floor := func(name string) key { return cpuPerOp(name + "/impl=primitives") }
	library := func(name string) key { return cpuPerOp(name + "/impl=library") }
	within := func(what, name string, factor float64) budget {
		return budget{what: what, of: ours(name), by: floor(name), most: factor, atMost: fmt.Sprintf("%.1f x the sum of its primitives", factor)}
	}
	faster := func(what, name string, factor float64) budget {
		return budget{what: what, of: ours(name), by: library(name), most: 1 / factor, atMost: fmt.Sprintf("1/%.0f of the library as shipped", factor)}
	}
	return append([]budget{
		within("encrypt 100 B, record included", "Encrypt/size=100", 2.5),
		within("decrypt 100 B, record included", "Decrypt/size=100", 2.5),
		faster("encrypt 100 B", "Encrypt/size=100", 3),
		faster("decrypt 100 B", "Decrypt/size=100", 3),
		faster("encrypt 64 kB", "Encrypt/size=65536", 8),
		faster("decrypt 64 kB", "Decrypt/size=65536", 8),
		within("round trip with two ratchet steps", "RoundTrip", 1.4),
		within("X3DH, initiator", "Initiate", 1.4),
		within("X3DH, responder", "Respond", 1.4),
		{what: "1,000-message jump", of: nsPerOp("Jump/impl=relaykeep"), most: 3e6, atMost: "3 ms"},
		{
			what: "memory of a session with 1,000 skipped keys",
			of:   key{"Memory/skipped=1000/impl=relaykeep", "B/session"}, most: 80_000, atMost: "80 kB",
		},
	}, slices.Concat(carrierBudgets(), routeBudgets(), idleBudgets(), scaleBudgets())...)
}

// printTable writes a row for each budget and returns how many were missed. A budget
// that was not measured is missed.
func printTable(w io.Writer, all []budget, medians map[key]float64) (missed int) {
	t := tabwriter.NewWriter(w, 0, 0, 2, ' ', 0)
	fmt.Fprintln(t, "budget\tmeasured\tagainst\tratio\tmay be at most\t")
	for _, b := range all {
		of, measured := medians[b.of]
		by, peer := 1.0, "-"
		if b.by != (key{}) {
			var ok bool
			by, ok = medians[b.by]
			measured = measured && ok && by > 0
			peer = quantity(by, b.by.unit)
		}
		verdict := "ok"
		if !measured || of/by > b.most {
			verdict = "MISSED"
			missed++
		}
		if !measured {
			fmt.Fprintf(t, "%s\tnot measured\t\t\t%s\t%s\n", b.what, b.atMost, verdict)
			continue
		}
		ratio := "-"
		if b.by != (key{}) {
			ratio = fmt.Sprintf("%.2f", of/by)
		}
		fmt.Fprintf(t, "%s\t%s\t%s\t%s\t%s\t%s\n", b.what, quantity(of, b.of.unit), peer, ratio, b.atMost, verdict)
	}
	_ = t.Flush()
	return missed
}

// quantity writes a value with a unit that suits its size.
func quantity(v float64, unit string) string {
	if !strings.HasSuffix(unit, "ns/op") {
		return fmt.Sprintf("%.0f %s", v, unit)
	}
	switch {
	case v >= 1e6:
		return fmt.Sprintf("%.2f ms", v/1e6)
	case v >= 1e3:
		return fmt.Sprintf("%.1f µs", v/1e3)
	default:
		return fmt.Sprintf("%.0f ns", v)
	}
}
