package command

import (
	"context"
	"errors"
	"fmt"
	"io"
	"slices"
	"strings"
	"text/tabwriter"
	"time"

	"github.com/spf13/cobra"
	"k8s.io/cli-runtime/pkg/genericiooptions"

	"github.com/relaykeep/relaykeep/api/v1alpha1"
	"github.com/relaykeep/relaykeep/cmd/kubectl-relay/internal/vaultaudit"
	"github.com/relaykeep/relaykeep/relay/receipt"
	"github.com/relaykeep/relaykeep/relay/vault"
)

// receiptsFlags are the own flags of receipts.
type receiptsFlags struct {
	vault  eraseFlags // those that say which Vault
	since  time.Duration
	audit  []string
	remove bool
	output textOrJSON
}

func newReceipts(streams genericiooptions.IOStreams) *cobra.Command {
	var f receiptsFlags
	cmd := &cobra.Command{
		Use:   "receipts [NAME]",
		Short: "Show what janitor, keeper and erasures destroyed of a relay",
		Long: `Show the receipts that a relay's janitor, its region's keeper and erasures left in Vault:
which versions of its wrapping key they destroyed, and by when these were gone, by Vault's
clock. It says what the receipts lack: hours without one, versions that died and that no
run owns to, versions that came back.

With --vault-audit, the receipts are held against the file of an audit device of Vault:
what was destroyed and no receipt says, what a receipt says and nobody did, and what
others than the relay, its janitor and its keeper did with its secrets and keys, or with
what decides about them. It then fails if the two do not fit.

With --remove-expired, receipts older than 13 months are removed, of one relay or, without
a name, of all in the region given with --region.

It uses your own login to Vault, as described for kubectl relay erase. Receipts outlive
the relay: if its object is gone, give its region with --region.`,
		Example: `  export VAULT_TOKEN=...
  kubectl relay receipts acme -n acme

  # Hold them against Vault's audit files, the oldest first
  kubectl relay receipts acme -n acme --vault-audit vault-audit.log.1 --vault-audit vault-audit.log

  # Remove what is older than 13 months, of all relays of a region
  kubectl relay receipts --region eu --remove-expired`,
		Args: func(cmd *cobra.Command, args []string) error {
			if len(args) > 1 {
				return usage(cmd, "name one relay")
			}
			return nil
		},
	}
	flags := cmd.Flags()
	flags.StringVar(&f.vault.vault.region, "region", "", "the DataRegion whose Vault holds the receipts; default: the BusinessRelay's")
	flags.StringVar(&f.vault.vault.vaultAddress, "vault-address", "", "https URL of Vault, as this machine reaches it; default: $VAULT_ADDR, else the DataRegion's")
	flags.StringVar(&f.vault.vault.vaultCA, "vault-ca", "", "PEM file with Vault's CA certificates; default: $VAULT_CACERT, else the DataRegion's")
	flags.DurationVar(&f.since, "since", 0, "only receipts of so much time, such as 720h; 0 for all")
	flags.StringArrayVar(&f.audit, "vault-audit", nil, "file of an audit device of Vault to hold the receipts against; again for the next one")
	flags.BoolVar(&f.remove, "remove-expired", false, "instead, remove receipts that are older than 13 months")
	f.output.add(cmd)
	cluster := newCluster(cmd)
	cmd.ValidArgsFunction = cluster.firstRelay()
	cmd.RunE = func(cmd *cobra.Command, args []string) error { return runReceipts(cmd, streams, &f, cluster, args) }
	return cmd
}

func runReceipts(cmd *cobra.Command, streams genericiooptions.IOStreams, f *receiptsFlags, cluster *cluster, args []string) error {
	if err := f.output.check(cmd); err != nil {
		return err
	}
	switch {
	case f.since < 0:
		return usage(cmd, "--since must not be negative")
	case f.remove && len(f.audit) > 0:
		return usage(cmd, "--remove-expired and --vault-audit are two different things: run one after the other")
	case len(args) == 0 && !f.remove:
		return usage(cmd, "name the relay")
	case len(args) == 0 && f.vault.vault.region == "":
		return usage(cmd, "name the relay, or the region with --region")
	}
	if len(args) == 0 {
		return f.removeAll(cmd.Context(), streams, cluster)
	}
	target, err := f.vault.target(cmd, streams, cluster, args[0])
	if err != nil {
		return err
	}
	v, err := f.vault.client(target.region, target.namespace, args[0])
	if err != nil {
		return err
	}
	if f.remove {
		n, err := removeExpired(cmd.Context(), v)
		return removed(streams.Out, n, err)
	}
	return f.show(cmd.Context(), streams, target, v, args[0])
}

// shownReceipts are what receipts prints.
type shownReceipts struct {
	Receipts []receipt.Receipt `json:"receipts"`
	// Unreadable are entries among them that are no receipts.
	Unreadable int                `json:"unreadable,omitempty"`
	Gaps       []receipt.Gap      `json:"gaps"`
	Audit      *vaultaudit.Report `json:"vaultAudit,omitempty"`
}

func (f *receiptsFlags) show(ctx context.Context, streams genericiooptions.IOStreams, target eraseTarget, v *vault.Client, name string) error {
	now, err := v.Now(ctx)
	if err != nil {
		return err
	}
	var since time.Time
	if f.since > 0 {
		since = now.Add(-f.since)
	}
	s, err := readReceipts(ctx, v, since)
	if err != nil {
		return explainReceipts(err, target.region.Name)
	}
	if len(f.audit) > 0 {
		mounts := target.region.Spec.Vault
		report, err := joinAuditFiles(f.audit, vaultaudit.Subject{
			Region: target.region.Name, Namespace: target.namespace, Account: v1alpha1.TenantName(name),
			AuthPath: string(mounts.AuthPath), KVMount: string(mounts.KVMount), TransitMount: string(mounts.TransitMount), PKIMount: string(mounts.PKIMount),
		}, s.Receipts, vaultaudit.Window{From: since, Until: now})
		if err != nil {
			return err
		}
		s.Audit = &report
	}
	if f.output == asJSON {
		err = writeJSON(streams.Out, s)
	} else {
		err = printReceipts(streams.Out, s)
	}
	if err == nil && s.Audit != nil {
		err = auditFits(*s.Audit)
	}
	return err
}

// readReceipts reads a tenant's receipts, in order, and finds their gaps.
func readReceipts(ctx context.Context, v *vault.Client, since time.Time) (shownReceipts, error) {
	s := shownReceipts{Receipts: []receipt.Receipt{}, Gaps: []receipt.Gap{}}
	for _, by := range receipt.Writers() {
		names, err := v.ReceiptNames(ctx, by, since)
		if err != nil {
			return s, err
		}
		for _, name := range names {
			r, err := v.Receipt(ctx, name)
			switch {
			case errors.Is(err, vault.ErrForeignContent):
				s.Unreadable++
			case errors.Is(err, vault.ErrNotFound): // removed since it was listed
			case err != nil:
				return s, err
			default:
				s.Receipts = append(s.Receipts, r)
			}
		}
	}
	slices.SortStableFunc(s.Receipts, receipt.Order)
	var trail receipt.Trail
	for _, r := range s.Receipts {
		trail.Add(r)
	}
	s.Gaps = append(s.Gaps, trail.Gaps...)
	return s, nil
}

func printReceipts(out io.Writer, s shownReceipts) error {
	if len(s.Receipts) == 0 {
		fmt.Fprintln(out, "There are no receipts. If the region's Vault was set up by a former release, run kubectl relay setup vault for it.")
	} else {
		first, last := s.Receipts[0].Time, s.Receipts[len(s.Receipts)-1].Time
		fmt.Fprintf(out, "%s from %s to %s, by Vault's clock.\n", count(len(s.Receipts), "receipt"), first.Format(time.RFC3339), last.Format(time.RFC3339))
	}
	if s.Unreadable > 0 {
		fmt.Fprintf(out, "%d entries beside them are no receipts.\n", s.Unreadable)
	}
	w := tabwriter.NewWriter(out, 0, 0, 3, ' ', 0)
	rows := 0
	for _, r := range s.Receipts {
		if what := destroyed(r); what != "" {
			if rows++; rows == 1 {
				fmt.Fprintln(w, "\nGONE BY\tBY\tDESTROYED\tLEFT")
			}
			left := "none"
			if !r.Deleted {
				left = fmt.Sprintf("%d-%d", r.Below, r.Latest)
			}
			fmt.Fprintf(w, "%s\t%s\t%s\t%s\n", r.Time.Format(time.RFC3339), r.By, what, left)
		}
	}
	if err := w.Flush(); err != nil {
		return err
	}
	for i, g := range s.Gaps {
		if i == 0 {
			fmt.Fprintln(out, "\nMissing:")
		}
		fmt.Fprintf(out, "  %s to %s: %s\n", g.After.Format(time.RFC3339), g.Until.Format(time.RFC3339), gapText(g))
	}
	if s.Audit != nil {
		return printAudit(out, *s.Audit)
	}
	return nil
}

// destroyed words what a run destroyed; empty for nothing.
func destroyed(r receipt.Receipt) string {
	var parts []string
	for _, d := range r.Destroyed {
		if d.Below == d.From+1 {
			parts = append(parts, fmt.Sprintf("version %d", d.From))
		} else {
			parts = append(parts, fmt.Sprintf("versions %d-%d", d.From, d.Below-1))
		}
	}
	if len(r.Carried) > 0 {
		parts = append(parts, count(len(r.Carried), "data key")+" of another region")
	}
	if r.Deleted {
		parts = append(parts, "the key")
	}
	return strings.Join(parts, ", ")
}

func gapText(g receipt.Gap) string {
	switch g.Kind {
	case receipt.Hours:
		return count(g.Hours, "hour") + " without a receipt of the janitor"
	case receipt.Versions:
		return fmt.Sprintf("versions %d-%d died, and no receipt says which run destroyed them", g.From, g.Below-1)
	case receipt.Returned:
		return fmt.Sprintf("versions %d-%d, which were destroyed, came back", g.From, g.Below-1)
	case receipt.Replaced:
		return "the key went back to earlier versions, or is another one, and no receipt says that it was deleted"
	}
	return string(g.Kind)
}

// explainReceipts says what to do about receipts that cannot be read.
func explainReceipts(err error, region string) error {
	if errors.Is(err, vault.ErrNotFound) || errors.Is(err, vault.ErrDenied) {
		return fmt.Errorf("%w: your login may not list and read receipts, or Vault has no place for them: run `kubectl relay setup vault --region %s`", err, region)
	}
	return err
}

// removeAll removes the expired receipts of every relay of a region, also of deleted ones.
func (f *receiptsFlags) removeAll(ctx context.Context, streams genericiooptions.IOStreams, cluster *cluster) error {
	k, _, err := cluster.connect()
	if err != nil {
		return err
	}
	region, err := readRegion(ctx, k, f.vault.vault.region)
	if err != nil {
		return err
	}
	login, err := f.vault.vault.vault(region)
	if err != nil {
		return err
	}
	if login.Token() == "" {
		return errors.New("no Vault token: set VAULT_TOKEN, or log in with `vault login`")
	}
	mounts := regionMounts(login, region)
	tenants, err := vault.ReceiptTenants(ctx, login, mounts)
	if err != nil {
		return explainReceipts(err, region.Name)
	}
	total := 0
	for _, t := range tenants {
		v, err := vault.ForAdmin(login, mounts, t.Namespace, t.Account)
		if err != nil {
			return err
		}
		n, err := removeExpired(ctx, v)
		if total += n; err != nil {
			return removed(streams.Out, total, err)
		}
	}
	return removed(streams.Out, total, nil)
}

func removed(out io.Writer, n int, err error) error {
	fmt.Fprintf(out, "%s removed.\n", count(n, "receipt"))
	if err != nil {
		return fmt.Errorf("%w; run the command again to finish", err)
	}
	return nil
}

// removeExpired removes a tenant's receipts of months that are more than 13 months past.
func removeExpired(ctx context.Context, v *vault.Client) (n int, err error) {
	now, err := v.Now(ctx)
	if err != nil {
		return 0, err
	}
	for _, by := range receipt.Writers() {
		months, err := v.ReceiptMonths(ctx, by)
		if err != nil {
			return n, err
		}
		for _, month := range months {
			if !receipt.Expired(month, now) {
				continue
			}
			gone, err := v.DeleteReceipts(ctx, by, month)
			if n += gone; err != nil {
				return n, err
			}
		}
	}
	return n, nil
}
