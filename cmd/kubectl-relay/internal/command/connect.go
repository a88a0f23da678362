package command

import (
	"context"
	"fmt"
	"io"
	"slices"
	"strings"
	"text/tabwriter"

	"github.com/spf13/cobra"
	"k8s.io/cli-runtime/pkg/genericiooptions"
	"sigs.k8s.io/controller-runtime/pkg/client"

	"github.com/relaykeep/relaykeep/api/v1alpha1"
	"github.com/relaykeep/relaykeep/cmd/kubectl-relay/internal/connect"
	"github.com/relaykeep/relaykeep/cmd/kubectl-relay/internal/printable"
)

// connectFlags are the own flags of connect.
type connectFlags struct {
	showSecrets           bool
	vaultAddress, vaultCA string
	output                textOrJSON
}

func newConnect(streams genericiooptions.IOStreams) *cobra.Command {
	var f connectFlags
	cmd := &cobra.Command{
		Use:   "connect " + strings.Join(connect.Products(), "|") + " NAME",
		Short: "Print what Chatwoot, Typebot or n8n is told to use a relay",
		Long: `Print what a team inbox, a bot or a workflow program is told to use a relay in place of the
hosted Cloud API: each setting under the name that the product has for it, with this relay's
value, the commands to run, and what does not work with that product. It changes nothing.

The settings are those of the version that is named, read in the product's own source; the page
that is named has the sources. Capital letters, such as CHATWOOT or ACCOUNT, are yours to fill in.

No secret is printed: where one belongs, the command that prints it stands. With --show-secrets
the webhook secret and the verify token stand there themselves, read from Vault as kubectl relay
credentials does. An access token is not printed in any case: the first step makes one for the
product alone.`,
		Example: `  kubectl relay connect chatwoot acme -n acme

  # With the webhook's secret and verify token
  kubectl relay connect n8n acme -n acme --show-secrets`,
		Args: func(cmd *cobra.Command, args []string) error {
			if len(args) != 2 || !slices.Contains(connect.Products(), args[0]) {
				return usage(cmd, "give %s, and one BusinessRelay", strings.Join(connect.Products(), ", "))
			}
			return nil
		},
	}
	flags := cmd.Flags()
	flags.BoolVar(&f.showSecrets, "show-secrets", false, "print the webhook secret and the verify token")
	flags.StringVar(&f.vaultAddress, "vault-address", "", "with --show-secrets: https URL of the region's Vault, as this machine reaches it; default: the DataRegion's")
	flags.StringVar(&f.vaultCA, "vault-ca", "", "with --show-secrets: PEM file with Vault's CA certificates; default: the DataRegion's")
	f.output.add(cmd)
	cluster := newCluster(cmd)
	cmd.ValidArgsFunction = func(cmd *cobra.Command, args []string, typed string) ([]string, cobra.ShellCompDirective) {
		switch len(args) {
		case 0:
			return connect.Products(), cobra.ShellCompDirectiveNoFileComp
		case 1:
			return cluster.relays(cmd, nil, typed)
		}
		return nil, cobra.ShellCompDirectiveNoFileComp
	}
	cmd.RunE = func(cmd *cobra.Command, args []string) error {
		if err := f.output.check(cmd); err != nil {
			return err
		}
		k, namespace, err := cluster.connect()
		if err != nil {
			return err
		}
		relay, err := findRelay(cmd.Context(), k, namespace, args[1])
		if err != nil {
			return err
		}
		told, err := f.relay(cmd.Context(), k, relay)
		if err != nil {
			return err
		}
		guide, err := connect.For(args[0], told)
		if err != nil {
			return err
		}
		if f.output == asJSON {
			return writeJSON(streams.Out, guide)
		}
		return printGuide(streams.Out, guide, relay)
	}
	return cmd
}

// relay is what a product has to know of a relay.
func (f *connectFlags) relay(ctx context.Context, k client.Client, relay *v1alpha1.BusinessRelay) (connect.Relay, error) {
	at, spec := relay.Status.Endpoint, relay.Spec
	if at.URL == "" || at.PhoneNumberID == "" || at.BusinessAccountID == "" {
		return connect.Relay{}, noEndpoint(relay)
	}
	told := connect.Relay{
		Namespace: relay.Namespace, Name: relay.Name, Region: string(spec.DataRegion),
		Endpoint: at.URL, Shared: at.SharedURL, PhoneNumber: spec.PhoneNumber, PhoneNumberID: at.PhoneNumberID, BusinessAccountID: at.BusinessAccountID,
		OwnAuthority:      spec.Endpoint.TLSSecretName == "" && !spec.Endpoint.TerminateAtGateway,
		CredentialsSecret: receiversSecret(relay),
		EncryptsPayloads:  spec.PayloadEncryption != nil,
		HidesNumbers:      spec.Privacy.ShareNumbers != nil && !*spec.Privacy.ShareNumbers,
	}
	if w := spec.Webhook; w != nil {
		told.MaxUpdates = int(w.MaxUpdates)
	}
	if !f.showSecrets {
		return told, nil
	}
	region, err := readRegion(ctx, k, string(spec.DataRegion))
	if err != nil {
		return told, err
	}
	v, err := regionVault(region, f.vaultAddress, f.vaultCA)
	if err != nil {
		return told, err
	}
	c, err := readCredentials(ctx, k, v, relay, region)
	if err != nil {
		return told, err
	}
	told.Secret, told.VerifyToken = c.WebhookSecret, c.VerifyToken
	return told, nil
}

// printGuide prints a guide for people.
func printGuide(out io.Writer, g connect.Guide, relay *v1alpha1.BusinessRelay) error {
	fmt.Fprintf(out, "%s %s with relay %s in namespace %s, as its source has it; it was not run. Sources: %s\n", g.Product, g.Version, relay.Name, relay.Namespace, g.Page)
	for i, s := range g.Steps {
		fmt.Fprintf(out, "\n%d. %s:\n", i+1, printable.Text(s.Title))
		table := tabwriter.NewWriter(out, 0, 0, 3, ' ', 0)
		for _, row := range s.Settings {
			fmt.Fprintf(table, "   %s\t%s\n", row.Name, printable.Text(row.Value))
		}
		if err := table.Flush(); err != nil {
			return err
		}
		if s.Text != "" {
			fmt.Fprintf(out, "   %s\n", printable.Indented(strings.TrimSpace(printable.Text(s.Text)), "   "))
		}
		for _, c := range s.Commands {
			fmt.Fprintf(out, "   %s\n", printable.Text(c))
		}
	}
	if w := relay.Spec.Webhook; w != nil {
		fmt.Fprintf(out, "\nThe relay delivers to %s now.\n", printable.Text(w.URL))
	}
	fmt.Fprintln(out, "\nWhat does not work, or needs care:")
	for _, l := range g.Limits {
		fmt.Fprintf(out, "- %s\n", printable.Text(l))
	}
	return nil
}
