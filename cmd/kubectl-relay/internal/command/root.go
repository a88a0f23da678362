// Package command holds the commands of kubectl-relay: their flags, their help,
// what they print and with which code they exit. It must not hold logic that a
// relay needs too: policies are relay/vault/setup's, a customer is relay/customer.
package command

import (
	"fmt"

	"github.com/spf13/cobra"
	"k8s.io/cli-runtime/pkg/genericiooptions"
)

// New returns the root command. Version is what `version` prints.
func New(streams genericiooptions.IOStreams, version string) *cobra.Command {
	root := &cobra.Command{
		Use:   "kubectl-relay",
		Short: "Work with Relaykeep's business relays",
		Long: `Work with Relaykeep's business relays.

For those who run the cluster:
  setup vault             prepare a region's Vault: mounts, policies, roles
  setup carrier-account   put a relay's account at the carrier into Vault
  adopt                   give a relay what Vault keeps under its names
  erase                   destroy a relay's keys by your own Vault login
  orphans                 list what relays that are gone left behind
For a business:
  credentials             what the business's own programs need to call its relay
  invite                  the address and QR code by which customers write to it
  fingerprints            the identity keys of one customer's devices, to compare
  rotate                  make a new identity, or new credentials
  erase-customer          erase everything that is kept of one person
  export-customer         show everything that is kept of one person
For everyone:
  chat                    be a customer in this terminal

Those that read the cluster take kubectl's own flags too, such as --user, --cluster,
--token and --request-timeout.

Exit codes: 0 done; 1 failed; 2 wrong usage; 3 chat saw fewer messages than
--expect; 4 Kubernetes or Vault refuses it to you.`,
		Version: version,
		Args:    cobra.ArbitraryArgs, // unknown commands are wrong usage, with its exit code
		RunE: func(cmd *cobra.Command, args []string) error {
			if len(args) > 0 {
				return usage(cmd, "unknown command %q", args[0])
			}
			return cmd.Help()
		},
		Annotations:       map[string]string{cobra.CommandDisplayNameAnnotation: "kubectl relay"},
		SilenceUsage:      true,
		SilenceErrors:     true,
		DisableAutoGenTag: true,
		CompletionOptions: cobra.CompletionOptions{HiddenDefaultCmd: true},
	}
	root.SetVersionTemplate("{{.Version}}\n")
	root.SetIn(streams.In)
	root.SetOut(streams.Out)
	root.SetErr(streams.ErrOut)
	root.SetFlagErrorFunc(func(cmd *cobra.Command, err error) error { return usage(cmd, "%v", err) })
	root.AddCommand(newAdopt(streams), newChat(streams), newCredentials(streams), newErase(streams), newEraseCustomer(streams),
		newExportCustomer(streams), newFingerprints(streams), newInvite(streams), newOrphans(streams), newRotate(streams), newSetup(streams), newVersion(streams, version))
	return root
}

func newVersion(streams genericiooptions.IOStreams, version string) *cobra.Command {
	return &cobra.Command{
		Use:   "version",
		Short: "Print this program's version",
		Args:  none,
		Run:   func(*cobra.Command, []string) { fmt.Fprintln(streams.Out, version) },
	}
}
