package command

import (
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"time"

	"github.com/spf13/cobra"
	"golang.org/x/mod/sumdb/note"
	"k8s.io/cli-runtime/pkg/genericiooptions"

	"github.com/relaykeep/relaykeep/cmd/kubectl-relay/internal/vaultaudit"
	"github.com/relaykeep/relaykeep/relay/proof"
)

// Ends of the names of files that audit verify reads in a directory.
const (
	suffixExport     = ".jsonl"
	suffixCheckpoint = ".checkpoint"
)

// auditVerify are the flags of audit verify.
type auditVerify struct {
	keys, witnesses []string
	vault           auditVault
	output          textOrJSON
}

// verified is what audit verify prints.
type verified struct {
	proof.Report
	Vault *vaultaudit.Report `json:"vaultAudit,omitempty"`
}

func newAuditVerify(streams genericiooptions.IOStreams) *cobra.Command {
	var v auditVerify
	cmd := &cobra.Command{
		Use:   "verify DIR|FILE… --key KEY|FILE [--witness-key KEY|FILE]",
		Short: "Check exports of a relay's log, without the relay",
		Long: `Check exports of a relay's log (kubectl relay log export) against their checkpoints, against each other, and against
checkpoints that were kept. It asks neither the relay nor the cluster. It finds a log that is truncated, edited,
forked or rolled back, and says between which entries.

In a directory it reads the exports, *.jsonl, and the checkpoints, *.checkpoint: those that a witness keeps, for
example. Exports must be in order, the oldest first: give them names that begin with the day. The key is what kubectl relay log key printed when the log began. After the log's key has changed, give
both.

With --vault-audit, the erasure receipts in the log are held against the file of an audit
device of Vault, as kubectl relay receipts does with those that are in Vault: what was
destroyed and no receipt says, what a receipt says and nobody did, and what others did with
what is the relay's.`,
		Example: `  kubectl relay audit verify audit --key audit/log.key --witness-key witness.key
  kubectl relay audit verify audit/2026-11-30.jsonl --key relaykeep.dev/log/1234+89abcdef+A…
  kubectl relay audit verify audit --key audit/log.key --vault-audit vault-audit.log --relay acme/acme --region eu`,
		Args: func(cmd *cobra.Command, args []string) error {
			if len(args) == 0 {
				return usage(cmd, "give a directory, or exports and checkpoints")
			}
			return nil
		},
		ValidArgsFunction: func(*cobra.Command, []string, string) ([]string, cobra.ShellCompDirective) {
			return nil, cobra.ShellCompDirectiveDefault
		},
	}
	cmd.Flags().StringArrayVar(&v.keys, "key", nil, "public key of the log, or a file with it; again for a further one (required)")
	cmd.Flags().StringArrayVar(&v.witnesses, "witness-key", nil, "public key of a witness that must have cosigned the log, or a file with it; again for a further one")
	v.vault.add(cmd)
	v.output.add(cmd)
	cmd.RunE = func(cmd *cobra.Command, args []string) error {
		if err := v.output.check(cmd); err != nil {
			return err
		}
		if len(v.keys) == 0 {
			return usage(cmd, "name the log's public key with --key: without it, nothing says who wrote the log (kubectl relay log key)")
		}
		if err := v.vault.check(cmd); err != nil {
			return err
		}
		report, err := v.run(args)
		if err != nil {
			return err
		}
		return v.print(streams.Out, report)
	}
	return cmd
}

// print prints a report, and returns an error if anything is wrong.
func (v *auditVerify) print(out io.Writer, report verified) (err error) {
	if v.output == asJSON {
		err = writeJSON(out, report)
	} else if err = printVerified(out, report.Report); err == nil && report.Vault != nil {
		err = printAudit(out, *report.Vault)
	}
	switch {
	case err != nil:
		return err
	case !report.OK():
		return errors.New("the log does not verify")
	case report.Vault != nil:
		return auditFits(*report.Vault)
	}
	return nil
}

// run verifies files.
func (v *auditVerify) run(args []string) (report verified, err error) {
	keys, err := readKeys(v.keys, proof.LogVerifier)
	if err != nil {
		return report, fmt.Errorf("--key: %w", err)
	}
	witnesses, err := readKeys(v.witnesses, proof.WitnessVerifier)
	if err != nil {
		return report, fmt.Errorf("--witness-key: %w", err)
	}
	check, err := proof.NewVerification(keys, witnesses)
	if err != nil {
		return report, err
	}
	files, err := logFiles(args)
	if err != nil {
		return report, err
	}
	for _, name := range files {
		if err := addLogFile(check, name); err != nil {
			return report, err
		}
	}
	if report.Report, err = check.Result(); err != nil {
		return report, err
	}
	report.Vault, err = v.vault.join(files)
	return report, err
}

// maxKeyFile is the largest file with a public key, in bytes.
const maxKeyFile = 4 << 10

// readKeys reads public keys, or files with one a line.
func readKeys(given []string, parse func(string) (note.Verifier, error)) (keys []note.Verifier, err error) {
	for _, text := range given {
		f, err := os.Open(text)
		if err == nil {
			read, failed := io.ReadAll(io.LimitReader(f, maxKeyFile))
			if err := errors.Join(failed, f.Close()); err != nil {
				return nil, err
			}
			text = string(read)
		}
		for line := range strings.Lines(text) {
			if line = strings.TrimSpace(line); line == "" {
				continue
			}
			key, err := parse(line)
			if err != nil {
				return nil, err
			}
			keys = append(keys, key)
		}
	}
	return keys, nil
}

// logFiles are the files that arguments name, in order.
func logFiles(args []string) (files []string, err error) {
	for _, arg := range args {
		info, err := os.Stat(arg)
		if err != nil {
			return nil, err
		}
		if !info.IsDir() {
			files = append(files, arg)
			continue
		}
		entries, err := os.ReadDir(arg)
		if err != nil {
			return nil, err
		}
		entries = slices.DeleteFunc(entries, func(e fs.DirEntry) bool {
			return e.IsDir() || !strings.HasSuffix(e.Name(), suffixExport) && !strings.HasSuffix(e.Name(), suffixCheckpoint)
		})
		for _, e := range entries {
			files = append(files, filepath.Join(arg, e.Name()))
		}
	}
	if len(files) == 0 {
		return nil, fmt.Errorf("there is no export (*%s) and no checkpoint (*%s)", suffixExport, suffixCheckpoint)
	}
	return files, nil
}

func addLogFile(check *proof.Verification, name string) error {
	f, err := os.Open(name)
	if err != nil {
		return err
	}
	defer f.Close()
	if !strings.HasSuffix(name, suffixCheckpoint) {
		return check.Export(name, f)
	}
	text, err := io.ReadAll(io.LimitReader(f, proof.MaxCheckpoint+1))
	if err != nil {
		return err
	}
	return check.Checkpoint(name, text)
}

func printVerified(w io.Writer, r proof.Report) error {
	fmt.Fprintf(w, "Log %s: %d entries, %d of them without content because their time is over.\n", shownLine(r.Log), r.Entries, r.Dropped)
	fmt.Fprintf(w, "Signed up to entry %d; compared with %d checkpoints.\n", r.Signed, r.Kept)
	for _, x := range r.Witnessed {
		fmt.Fprintf(w, "Cosigned by %s up to entry %d, at %s.\n", shownLine(x.Witness), x.Size, x.Time.Format(time.RFC3339))
	}
	if r.OK() {
		_, err := fmt.Fprintln(w, "Nothing was taken away, changed or put in between.")
		return err
	}
	for _, f := range r.Findings {
		fmt.Fprintf(w, "%s%s: %s\n", strings.ToUpper(f.What), place(f), f.Why)
	}
	return nil
}

// place words where a finding is.
func place(f proof.Finding) string {
	text := ""
	switch {
	case f.From >= 0 && f.To == f.From+1:
		text = fmt.Sprintf(" at entry %d", f.From)
	case f.From >= 0:
		text = fmt.Sprintf(" from entry %d to %d", f.From, f.To-1)
	case f.To >= 0:
		text = fmt.Sprintf(" at size %d", f.To)
	}
	if f.File != "" {
		text += " of " + f.File
	}
	return text
}
