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
  status                  how one relay is, or all
  doctor                  what is wrong, and the command that shows or mends it
  check                   look closely at a region or a relay, and say what was looked at
  audit                   try who may see what, and show it as a table
  setup vault             prepare a region's Vault: mounts, policies, roles
  setup carrier-account   put a relay's carrier account into Vault
  adopt                   let a relay take over what Vault holds under its names
  erase                   destroy a relay's keys with your own Vault login
  orphans                 list what deleted relays left behind
  move                    move a relay to another region, with all that it has
  purge-now               run a relay's janitor now, and say what it erased
  processors              who gets what of a relay, and in which countries
  receipts                what janitor, keeper and erasures destroyed of a relay
  usage                   how much businesses used, to bill by
For a business:
  credentials             what the business's own programs need to call its relay
  connect                 what Chatwoot, Typebot or n8n is told to use a relay
  invite                  the address and QR code with which customers write to it
  customers               the customers whose keys the relay may not read
  dead-letters            the webhooks that a relay gave up
  replay-webhooks         deliver webhooks that a relay gave up
  fingerprints            the identity keys of one customer's devices, to compare
  rotate                  replace a relay's identity or credentials
  token                   make, list and revoke named access tokens
  erase-customer          erase everything that is stored about one person
  export-customer         show everything that is stored about one person
  log                     the log of what was done with the business's data
  audit                   check what an installation promises, and its logs
For everyone:
  chat                    chat with a business as a customer
  completion              complete commands and names in a shell

Commands that read the cluster take kubectl's flags too, such as --user, --cluster,
--token and --request-timeout.

Exit codes: 0 done; 1 failed; 2 wrong usage; 3 chat received fewer messages than
--expect; 4 Kubernetes or Vault denied access; 5 audit --strict could not try everything.`,
		Version: version,
		Args:    cobra.ArbitraryArgs, // unknown commands are wrong usage, with its exit code
		RunE: func(cmd *cobra.Command, args []string) error {
			if len(args) > 0 {
				return unknownCommand(cmd, args[0])
			}
			return cmd.Help()
		},
		Annotations:       map[string]string{cobra.CommandDisplayNameAnnotation: "kubectl relay"},
		SilenceUsage:      true,
		SilenceErrors:     true,
		DisableAutoGenTag: true,

		SuggestionsMinimumDistance: 2,
	}
	root.SetVersionTemplate("{{.Version}}\n")
	root.SetIn(streams.In)
	root.SetOut(streams.Out)
	root.SetErr(streams.ErrOut)
	root.SetFlagErrorFunc(func(cmd *cobra.Command, err error) error { return usage(cmd, "%v", err) })
	root.AddCommand(newAdopt(streams), newAudit(streams, version), newChat(streams), newCheck(streams), newCompletion(streams), newConnect(streams), newCredentials(streams), newCustomers(streams), newDeadLetters(streams), newDoctor(streams),
		newErase(streams), newEraseCustomer(streams), newExportCustomer(streams), newFingerprints(streams), newInvite(streams), newLog(streams), newMove(streams), newOrphans(streams), newProcessors(streams), newPurgeNow(streams), newReceipts(streams), newReplayWebhooks(streams), newRotate(streams),
		newSetup(streams), newStatus(streams), newToken(streams), newUsage(streams), newVersion(streams, version))
	finish(root)
	return root
}

// finish gives every command of a tree what all have: errors that mean the same everywhere are explained, and arguments
// are no files unless a command says so.
func finish(cmd *cobra.Command) {
	if run := cmd.RunE; run != nil {
		cmd.RunE = func(cmd *cobra.Command, args []string) error { return explained(run(cmd, args)) }
	}
	if cmd.ValidArgsFunction == nil {
		cmd.ValidArgsFunction = cobra.NoFileCompletions
	}
	for _, child := range cmd.Commands() {
		finish(child)
	}
}

func newVersion(streams genericiooptions.IOStreams, version string) *cobra.Command {
	return &cobra.Command{
		Use:   "version",
		Short: "Print this program's version",
		Args:  none,
		Run:   func(*cobra.Command, []string) { fmt.Fprintln(streams.Out, version) },
	}
}
