package command

import (
	"context"
	"errors"
	"fmt"
	"io"
	"net/url"
	"slices"
	"strings"
	"text/tabwriter"

	"github.com/spf13/cobra"
	"k8s.io/cli-runtime/pkg/genericiooptions"
	"sigs.k8s.io/controller-runtime/pkg/client"

	"github.com/relaykeep/relaykeep/api/v1alpha1"
	"github.com/relaykeep/relaykeep/cmd/kubectl-relay/internal/audit"
	"github.com/relaykeep/relaykeep/controllers/expected"
)

func newProcessors(streams genericiooptions.IOStreams) *cobra.Command {
	var output textOrJSON
	var all bool
	cmd := &cobra.Command{
		Use:   "processors [NAME]",
		Short: "List who gets what of a relay, and in which countries",
		Long: `List who gets something of a relay's data: the carrier, Vault and PostgreSQL that its DataRegion names, and the
webhook and the processors that the business names, each with what it gets and where it is. Without a name, of all relays
of the namespace, or with -A of the cluster.

Countries are as the DataRegion's admin and the business declare them. A receiver outside the region's countries is a
transfer; if the DataRegion forbids it, nothing is sent there.`,
		Example: `  kubectl relay processors acme -n acme
  kubectl relay processors -A -o json`,
		Args: func(cmd *cobra.Command, args []string) error {
			if len(args) > 1 {
				return usage(cmd, "give one BusinessRelay or none, not %d arguments", len(args))
			}
			return nil
		},
	}
	output.add(cmd)
	cmd.Flags().BoolVarP(&all, "all-namespaces", "A", false, "the relays of all namespaces")
	cluster := newCluster(cmd)
	cmd.ValidArgsFunction = cluster.firstRelay()
	cmd.RunE = func(cmd *cobra.Command, args []string) error {
		if err := output.check(cmd); err != nil {
			return err
		}
		if all && len(args) > 0 {
			return usage(cmd, "give a name or --all-namespaces, not both")
		}
		k, namespace, err := cluster.connect()
		if err != nil {
			return err
		}
		if all {
			namespace = ""
		}
		parties, err := findInvolved(cmd.Context(), k, namespace, strings.Join(args, ""))
		if err != nil {
			return err
		}
		if output == asJSON {
			return writeJSON(streams.Out, map[string]any{"processors": parties})
		}
		return printInvolved(streams.Out, parties)
	}
	return cmd
}

// findInvolved lists who is involved in relays.
func findInvolved(ctx context.Context, k client.Reader, namespace, name string) ([]audit.Receiver, error) {
	relays, err := findRelays(ctx, k, namespace, name)
	if err != nil {
		return nil, err
	}
	return involvedInAll(ctx, k, relays)
}

// involvedInAll lists who is involved in relays: all whose DataRegions can be read, if one cannot.
func involvedInAll(ctx context.Context, k client.Reader, relays []v1alpha1.BusinessRelay) (parties []audit.Receiver, failed error) {
	parties = []audit.Receiver{}
	regions := map[string]*v1alpha1.DataRegion{}
	for i := range relays {
		in := string(relays[i].Spec.DataRegion)
		if _, known := regions[in]; !known {
			region, err := readRegion(ctx, k, in)
			regions[in], failed = region, errors.Join(failed, err)
		}
		if regions[in] != nil {
			parties = append(parties, involvedIn(&relays[i], regions[in])...)
		}
	}
	return parties, failed
}

// involvedIn lists who is involved in one relay.
func involvedIn(r *v1alpha1.BusinessRelay, region *v1alpha1.DataRegion) (all []audit.Receiver) {
	within := make([]string, 0, 1)
	for _, c := range region.Spec.InCountries() {
		within = append(within, string(c))
	}
	if len(within) == 0 {
		within = append(within, string(region.Spec.Type))
	}
	transfers := expected.Transfers(r, region)
	add := func(p audit.Receiver) {
		p.Namespace, p.Relay = r.Namespace, r.Name
		if p.ChosenBy == "" {
			p.ChosenBy, p.Countries = "region", within
		}
		if i := slices.IndexFunc(transfers, func(t v1alpha1.Transfer) bool { return t.Receiver == p.Party }); i >= 0 {
			p.Transfer, p.Forbidden = true, transfers[i].Forbidden
		}
		all = append(all, p)
	}
	if x := region.Spec.Carrier.XMPP; x != nil {
		add(audit.Receiver{Party: "carrier", Where: string(x.Domain), Gets: "ciphertext, addresses and times"})
	}
	add(audit.Receiver{Party: "vault", Where: hostOf(region.Spec.Vault.Address), Gets: "keys"})
	if p := region.Spec.Postgres; p != nil && r.Spec.Storage.Postgres != nil {
		add(audit.Receiver{Party: "postgresql", Where: string(p.Address), Gets: "sealed rows"})
	}
	const copied = "messages and statuses"
	if w := r.Spec.Webhook; w != nil {
		add(audit.Receiver{Party: "webhook", Where: hostOf(w.URL), Countries: declared(w.Country), Gets: copied, ChosenBy: "business"})
	}
	for _, p := range r.Spec.Processors {
		add(audit.Receiver{Party: "processor " + p.Name, Where: hostOf(p.URL), Countries: declared(p.Country), Gets: copied, Purpose: p.Purpose, ChosenBy: "business"})
	}
	return all
}

func declared(c v1alpha1.CountryCode) []string {
	if c == "" {
		return nil
	}
	return []string{string(c)}
}

// hostOf is the host and port of a URL.
func hostOf(address string) string {
	u, err := url.Parse(address)
	if err != nil {
		return "-"
	}
	return u.Host
}

func printInvolved(out io.Writer, parties []audit.Receiver) error {
	if len(parties) == 0 {
		_, err := fmt.Fprintln(out, "There is no BusinessRelay here; -A looks in all namespaces.")
		return err
	}
	table := tabwriter.NewWriter(out, 0, 0, 3, ' ', 0)
	fmt.Fprintln(table, "NAMESPACE\tRELAY\tPARTY\tWHERE\tCOUNTRIES\tTRANSFER\tGETS\tPURPOSE")
	for i := range parties {
		p := &parties[i]
		fmt.Fprintf(table, "%s\t%s\t%s\t%s\t%s\t%s\t%s\t%s\n", p.Namespace, p.Relay, p.Party, p.Host(), p.In(), p.Goes(), p.Gets, p.Line())
	}
	return table.Flush()
}

// processorsIn names processors and how they are.
func processorsIn(all []v1alpha1.ProcessorStatus) string {
	texts := make([]string, len(all))
	for i, p := range all {
		texts[i] = p.Name + " (" + p.Reason + ")"
	}
	return strings.Join(texts, ", ")
}

// transfersIn names transfers.
func transfersIn(all []v1alpha1.Transfer) string {
	texts := make([]string, len(all))
	for i, t := range all {
		texts[i] = t.Receiver + " in " + t.Country
		if t.Country == "" {
			texts[i] = t.Receiver + " without a country"
		}
		if t.Forbidden {
			texts[i] += " (forbidden)"
		}
	}
	return strings.Join(texts, ", ")
}
