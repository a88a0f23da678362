package command

import (
	"fmt"
	"io"

	"github.com/spf13/cobra"
	"k8s.io/cli-runtime/pkg/genericiooptions"
	"sigs.k8s.io/controller-runtime/pkg/client"

	"github.com/relaykeep/relaykeep/api/v1alpha1"
)

func newRotate(streams genericiooptions.IOStreams) *cobra.Command {
	cmd := &cobra.Command{
		Use:   "rotate NAME identity|access",
		Short: "Replace a relay's identity or credentials",
		Long: `Raise a counter in a BusinessRelay's spec.rotation by one, so that its relay replaces its
identity or its credentials. Nothing is lost, and the former ones cannot come back.

access: new access token, webhook secret and verify token. The previous token is accepted
for another day, and the webhook is signed with the previous secret until its receiver
knows the new one, for a day at most.

identity: a new Signal identity with a new fingerprint. Customers' clients show that the
business's device changed, and start new sessions. Messages to the previous identity can be
read for another week. The phone number id and everything else stay as they are.

If a tool such as Argo CD or Flux applies the object, raise the counter at its source
instead: the tool would set it back, which is refused.`,
		Example: `  # The access token got into the wrong hands
  kubectl relay rotate acme access -n acme
  kubectl relay credentials acme -n acme`,
		Args: func(cmd *cobra.Command, args []string) error {
			if len(args) != 2 || args[1] != "identity" && args[1] != "access" {
				return usage(cmd, "give one BusinessRelay, and identity or access")
			}
			return nil
		},
	}
	cluster := newCluster(cmd)
	cmd.ValidArgsFunction = cluster.firstRelay("identity", "access")
	cmd.RunE = func(cmd *cobra.Command, args []string) error {
		ctx := cmd.Context()
		k, namespace, err := cluster.connect()
		if err != nil {
			return err
		}
		relay, err := findRelay(ctx, k, namespace, args[0])
		if err != nil {
			return err
		}
		before := relay.DeepCopy()
		counter := &relay.Spec.Rotation.Identity
		if args[1] == "access" {
			counter = &relay.Spec.Rotation.Access
		}
		*counter++
		// If two people rotate at once, only one rotation happens: the second gets a conflict.
		patch := client.MergeFromWithOptions(before, client.MergeFromWithOptimisticLock{})
		if err := k.Patch(ctx, relay, patch); err != nil {
			return explain(err, "BusinessRelay "+args[0], "try again")
		}
		printRotation(streams.Out, relay, args[1], *counter)
		return nil
	}
	return cmd
}

// printRotation says what a raised counter does, and what is in force until then.
func printRotation(out io.Writer, relay *v1alpha1.BusinessRelay, what string, counter int32) {
	applies := "the relay restarts to apply it"
	if relay.Spec.Suspend {
		applies = "the relay is suspended, and applies it once it is resumed"
	}
	show := map[string]string{"access": "credentials", "identity": "invite"}[what]
	fmt.Fprintf(out, `spec.rotation.%s is now %d; %s.
Until then the former is in force: kubectl relay %s %s -n %s shows it, and says that another is pending.
`, what, counter, applies, show, relay.Name, relay.Namespace)
}
