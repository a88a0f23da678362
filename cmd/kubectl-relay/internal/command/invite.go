package command

import (
	"fmt"
	"strings"

	"github.com/mdp/qrterminal/v3"
	"github.com/spf13/cobra"
	"k8s.io/cli-runtime/pkg/genericiooptions"

	"github.com/relaykeep/relaykeep/api/v1alpha1"
	"github.com/relaykeep/relaykeep/cmd/kubectl-relay/internal/printable"
)

func newInvite(streams genericiooptions.IOStreams) *cobra.Command {
	var output string
	cmd := &cobra.Command{
		Use:   "invite NAME",
		Short: "Show the address and QR code with which customers write to a business",
		Long: `Show the address and QR code with which customers write to a business.

The code is an xmpp: link that opens a chat with the business in any client that
supports OMEMO, such as Conversations, Dino, Gajim, Monal or Profanity. It contains the
relay's identity key: clients that read such links (Conversations and its derivatives)
trust that key and no other from the first message on. For other clients the key is
printed, too: the key that the customer's client shows for the business must be the same.

The link holds nothing secret, but it can only be trusted as much as the place where it is
published. A new identity (spec.rotation.identity) needs a new invitation.`,
		Example: `  # Show the code that customers of acme scan
  kubectl relay invite acme -n acme

  # Only the link, for a web page
  kubectl relay invite acme -n acme -o uri`,
		Args: oneRelay,
	}
	cmd.Flags().StringVarP(&output, "output", "o", "text", "output format: text or uri")
	completeWords(cmd, "output", "text", "uri")
	cluster := newCluster(cmd)
	cmd.ValidArgsFunction = cluster.firstRelay()
	cmd.RunE = func(cmd *cobra.Command, args []string) error {
		if output != "text" && output != "uri" {
			return usage(cmd, "unknown output %q: write text or uri", output)
		}
		k, namespace, err := cluster.connect()
		if err != nil {
			return err
		}
		relay, region, err := readRelay(cmd.Context(), k, namespace, args[0])
		if err != nil {
			return err
		}
		return printInvitation(streams, relay, region, output == "uri")
	}
	return cmd
}

// printInvitation writes a business's invitation, or its link alone.
func printInvitation(streams genericiooptions.IOStreams, relay *v1alpha1.BusinessRelay, region *v1alpha1.DataRegion, linkOnly bool) error {
	if region.Spec.Carrier.XMPP == nil {
		return fmt.Errorf("DataRegion %s has no carrier: set spec.carrier.xmpp", region.Name)
	}
	address := relay.Spec.PhoneNumber + "@" + string(region.Spec.Carrier.XMPP.Domain)
	// The type is for Psi+, which opens a window for single messages otherwise.
	link := "xmpp:" + address + "?message;type=chat" + trusted(relay.Status.Identity)
	if is, asked := relay.Status.Rotation.Identity, relay.Spec.Rotation.Identity; is > 0 && is < asked {
		fmt.Fprintf(streams.ErrOut, "note: a rotation is pending: the relay does not have the identity %d yet (see kubectl relay status %s -n %s); this invitation is for the one in force, %d, and customers need another then\n",
			asked, relay.Name, relay.Namespace, is)
	}
	if linkOnly {
		fmt.Fprintln(streams.Out, link)
		return nil
	}
	name := relay.Spec.Profile.DisplayName
	if name == "" {
		name = relay.Name
	}
	fmt.Fprintf(streams.Out, "%s receives messages at %s\n\n", printable.Text(name), address)
	qrterminal.GenerateHalfBlock(link, qrterminal.M, streams.Out)
	fmt.Fprintf(streams.Out, "\n%s\n", link)
	if f := relay.Status.Identity.Fingerprint; f != "" {
		fmt.Fprintf(streams.Out, "\nIts identity key, which the customer's client must show:\n  %s\n", strings.TrimSpace(f))
	} else {
		fmt.Fprintln(streams.ErrOut, "The relay has not reported its identity key yet: see kubectl get brelay "+relay.Name)
	}
	return nil
}

// trusted is the part of a link that names an identity key, as Conversations writes
// and reads it; empty while there is none.
func trusted(identity v1alpha1.IdentityStatus) string {
	key := strings.ReplaceAll(identity.Fingerprint, " ", "")
	if key == "" || identity.DeviceID == 0 {
		return ""
	}
	return fmt.Sprintf(";omemo-sid-%d=%s", identity.DeviceID, key)
}
