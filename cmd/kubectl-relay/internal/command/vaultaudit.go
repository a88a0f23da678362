package command

import (
	"errors"
	"fmt"
	"io"
	"os"
	"text/tabwriter"
	"time"

	"github.com/relaykeep/relaykeep/cmd/kubectl-relay/internal/printable"
	"github.com/relaykeep/relaykeep/cmd/kubectl-relay/internal/vaultaudit"
	"github.com/relaykeep/relaykeep/relay/receipt"
)

// joinAuditFiles holds the files of an audit device of Vault, the oldest first, against a relay's receipts, which are complete for a time.
func joinAuditFiles(files []string, subject vaultaudit.Subject, receipts []receipt.Receipt, complete vaultaudit.Window) (report vaultaudit.Report, err error) {
	readers := make([]io.Reader, 0, len(files))
	for _, name := range files {
		f, err := os.Open(name)
		if err != nil {
			return report, err
		}
		defer f.Close()
		readers = append(readers, f)
	}
	return vaultaudit.Join(io.MultiReader(readers...), subject, receipts, complete)
}

// auditFits is an error if an audit file and receipts do not fit.
func auditFits(r vaultaudit.Report) error {
	if len(r.Findings) > 0 {
		return errors.New("the receipts and Vault's audit file do not fit")
	}
	return nil
}

// maxShown is how many acts are printed for people; -o json has all.
const maxShown = 100

// printAudit prints what an audit file says of a relay.
func printAudit(out io.Writer, r vaultaudit.Report) error {
	if r.Entries == 0 {
		fmt.Fprintln(out, "\nThe audit file has no entries.")
	} else {
		fmt.Fprintf(out, "\nVault's audit file: %d entries from %s to %s.\n", r.Entries, r.From.Format(time.RFC3339), r.To.Format(time.RFC3339))
	}
	if r.Damaged > 0 {
		fmt.Fprintf(out, "%d lines are no entries, the first are %v.\n", r.Damaged, r.DamagedAt[:min(len(r.DamagedAt), 10)])
	}
	fmt.Fprintf(out, "%s and %s that destroyed something were held against each other.\n", count(r.Receipts, "receipt"), count(r.Destroyed, "act"))
	if r.Outside > 0 {
		fmt.Fprintf(out, "%s of times for which the receipts are not complete: held against none.\n", count(r.Outside, "act"))
	}
	for i, f := range r.Findings {
		if i == 0 {
			fmt.Fprintln(out, "\nWhat does not fit:")
		}
		where := ""
		if f.Line > 0 {
			where = fmt.Sprintf(" (line %d)", f.Line)
		}
		fmt.Fprintf(out, "  %s%s: %s\n", f.Time.Format(time.RFC3339), where, f.What)
	}
	if err := printActs(out, "By others, or not what they are there for:", r.Flagged, true); err != nil {
		return err
	}
	if err := printActs(out, "By the relay, its janitor and its keeper:", r.Own, false); err != nil {
		return err
	}
	if r.Left > 0 {
		fmt.Fprintf(out, "\nThere is more than a report has room for: %d further.\n", r.Left)
	}
	return nil
}

func printActs(out io.Writer, title string, acts []vaultaudit.Act, flagged bool) error {
	if len(acts) == 0 {
		return nil
	}
	fmt.Fprintf(out, "\n%s\n", title)
	w := tabwriter.NewWriter(out, 0, 0, 3, ' ', 0)
	for _, a := range acts[:min(len(acts), maxShown)] {
		who, what := a.Who.Party, string(a.Kind)
		if flagged {
			if who == "" {
				who = fmt.Sprintf("%s (entity %s, accessor %s)", printable.Text(orNobody(a.Who.DisplayName)), printable.Text(orDash(a.Who.Entity)), printable.Text(orDash(a.Who.Accessor)))
			}
			what += ": " + printable.Text(a.Path)
		}
		times := count(int(a.Count), "time")
		if a.Refused > 0 {
			times += fmt.Sprintf(", %d refused", a.Refused)
		}
		fmt.Fprintf(w, "  %s\t%s\t%s\t%s\n", a.First.Format(time.RFC3339), who, what, times)
	}
	if left := len(acts) - maxShown; left > 0 {
		fmt.Fprintf(w, "  and %d more: -o json has them all\n", left)
	}
	return w.Flush()
}

func orNobody(name string) string {
	if name == "" {
		return "nobody who is named"
	}
	return name
}
