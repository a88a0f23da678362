package command

import (
	"os"
	"strings"
	"time"

	"github.com/spf13/cobra"

	"github.com/relaykeep/relaykeep/api/v1alpha1"
	"github.com/relaykeep/relaykeep/cmd/kubectl-relay/internal/vaultaudit"
	"github.com/relaykeep/relaykeep/relay/proof"
	"github.com/relaykeep/relaykeep/relay/receipt"
	"github.com/relaykeep/relaykeep/relay/vault/setup"
)

// receiptsLag is for how long a receipt may be in Vault before a running relay has entered it into its log.
const receiptsLag = time.Hour + 5*time.Minute

// auditVault are the flags of audit verify about Vault's audit file.
type auditVault struct {
	files   []string
	relay   string
	options setup.Options // region and mounts
}

func (a *auditVault) add(cmd *cobra.Command) {
	flags := cmd.Flags()
	flags.StringArrayVar(&a.files, "vault-audit", nil, "file of an audit device of Vault to hold the log's erasure receipts against; again for the next one")
	flags.StringVar(&a.relay, "relay", "", "NAMESPACE/NAME of the relay, for --vault-audit")
	flags.StringVar(&a.options.Region, "region", "", "the relay's DataRegion, for --vault-audit")
	flags.StringVar(&a.options.AuthPath, "auth-path", setup.DefaultAuthPath, "mount of the Kubernetes auth method, for --vault-audit")
	flags.StringVar(&a.options.KVMount, "kv-mount", setup.DefaultKVMount, "mount of the KV engine, for --vault-audit")
	flags.StringVar(&a.options.TransitMount, "transit-mount", setup.DefaultTransitMount, "mount of the transit engine, for --vault-audit")
	flags.StringVar(&a.options.PKIMount, "pki-mount", setup.DefaultPKIMount, "mount of the PKI engine, for --vault-audit")
}

func (a *auditVault) check(cmd *cobra.Command) error {
	namespace, name, named := strings.Cut(a.relay, "/")
	if len(a.files) > 0 && (!named || namespace == "" || name == "" || a.options.Region == "") {
		return usage(cmd, "--vault-audit needs --relay NAMESPACE/NAME and --region: they say what is the relay's in the file")
	}
	return nil
}

// join holds the files against the receipts of exports; nil without files.
func (a *auditVault) join(exports []string) (*vaultaudit.Report, error) {
	if len(a.files) == 0 {
		return nil, nil
	}
	receipts, window, err := loggedReceipts(exports)
	if err != nil {
		return nil, err
	}
	namespace, name, _ := strings.Cut(a.relay, "/")
	report, err := joinAuditFiles(a.files, vaultaudit.Subject{
		Region: a.options.Region, Namespace: namespace, Account: v1alpha1.TenantName(name),
		AuthPath: a.options.AuthPath, KVMount: a.options.KVMount, TransitMount: a.options.TransitMount, PKIMount: a.options.PKIMount,
	}, receipts, window)
	return &report, err
}

// loggedReceipts reads the erasure receipts of exports, each once, and for what time they are complete: from the first entry that
// still has its content on, until shortly before the last.
func loggedReceipts(exports []string) (receipts []receipt.Receipt, complete vaultaudit.Window, err error) {
	var window logged
	seen := map[int64]bool{}
	dropped := false
	take := func(l proof.Line) error {
		if len(l.Entry) == 0 {
			dropped = true
			return nil
		}
		e, err := proof.ParseEntry(l.Entry)
		if err == nil && !seen[l.Index] { // audit verify tells of what is no entry
			seen[l.Index] = true
			window = window.with(e.Time)
			if r, err := receipt.Parse(e.Body); e.Kind == proof.Receipt && err == nil {
				receipts = append(receipts, r)
			}
		}
		return nil
	}
	for _, name := range exports {
		if strings.HasSuffix(name, suffixCheckpoint) {
			continue
		}
		f, err := os.Open(name)
		if err != nil {
			return nil, complete, err
		}
		err = proof.ReadExport(f, func(proof.Header) error { return nil }, take)
		_ = f.Close()
		if err != nil {
			return nil, complete, err
		}
	}
	if len(seen) == 0 {
		window.Until = time.Unix(0, 0)
	}
	if !dropped { // a relay enters all that it finds in Vault, also of before its log began
		window.From = time.Time{}
	}
	return receipts, vaultaudit.Window(window), nil
}

// logged is the time for which a log's receipts are complete.
type logged vaultaudit.Window

// with widens it to an entry's time.
func (w logged) with(at time.Time) logged {
	if w.From.IsZero() || at.Before(w.From) {
		w.From = at
	}
	if until := at.Add(-receiptsLag); until.After(w.Until) {
		w.Until = until
	}
	return w
}
