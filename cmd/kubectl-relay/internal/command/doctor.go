package command

import (
	"context"
	"errors"
	"fmt"
	"io"
	"slices"
	"strings"

	"github.com/spf13/cobra"
	"k8s.io/apimachinery/pkg/api/meta"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/cli-runtime/pkg/genericiooptions"
	"sigs.k8s.io/controller-runtime/pkg/client"

	"github.com/relaykeep/relaykeep/api/v1alpha1"
	"github.com/relaykeep/relaykeep/cmd/kubectl-relay/internal/printable"
)

func newDoctor(streams genericiooptions.IOStreams) *cobra.Command {
	var all bool
	cmd := &cobra.Command{
		Use:   "doctor [NAME]",
		Short: "Say what is wrong, and the command that shows or mends it",
		Long: `Look at one relay, or at all of the namespace (-A: of the cluster), and at their regions. Each
thing that is wrong is printed with its reason, the operator's message, and the command that
shows or mends it. It changes nothing.

It exits with 1 if something is wrong, so that a pipeline can use it.`,
		Example: `  kubectl relay doctor acme -n acme

  # Everything in the cluster
  kubectl relay doctor -A`,
		Args: func(cmd *cobra.Command, args []string) error {
			if len(args) > 1 {
				return usage(cmd, "give one BusinessRelay or none, not %d arguments", len(args))
			}
			return nil
		},
	}
	cmd.Flags().BoolVarP(&all, "all-namespaces", "A", false, "the relays of all namespaces")
	cluster := newCluster(cmd)
	cmd.RunE = func(cmd *cobra.Command, args []string) error {
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
		return examine(cmd.Context(), streams.Out, k, namespace, strings.Join(args, ""))
	}
	return cmd
}

// examine prints what is wrong with relays and their regions; it returns an error if anything is.
func examine(ctx context.Context, out io.Writer, k client.Reader, namespace, name string) error {
	relays, err := findRelays(ctx, k, namespace, name)
	if err != nil {
		return err
	}
	var d doctor
	var regions []string
	for i := range relays {
		r := &relays[i]
		if region := string(r.Spec.DataRegion); !slices.Contains(regions, region) {
			regions = append(regions, region)
		}
		d.look(out, subject{"BusinessRelay", r.Namespace, r.Name, string(r.Spec.DataRegion)}, r.Status.Conditions, relayConditions())
	}
	slices.Sort(regions)
	for _, region := range regions {
		o, err := readRegion(ctx, k, region)
		if err != nil {
			fmt.Fprintf(out, "DataRegion %s\n  %v\n\n", region, err)
			d.problems++
			continue
		}
		d.look(out, subject{"DataRegion", "", region, region}, o.Status.Conditions, regionConditions())
	}
	what := fmt.Sprintf("%s and %s", count(len(relays), "relay"), count(len(regions), "region"))
	if d.problems > 0 {
		return fmt.Errorf("%s found with %s", count(d.problems, "problem"), what)
	}
	fmt.Fprintf(out, "Nothing is wrong with %s.\n", what)
	return nil
}

func count(n int, what string) string {
	if n == 1 {
		return "1 " + what
	}
	return fmt.Sprintf("%d %ss", n, what)
}

// relayConditions are those of a relay that should be True, in the order in which their causes are to be looked for.
func relayConditions() []string {
	return []string{
		v1alpha1.ConditionPlaced, v1alpha1.ConditionKeysReady, v1alpha1.ConditionCarrierConnected, v1alpha1.ConditionWebhookVerified,
		v1alpha1.ConditionVolumeHasRoom, v1alpha1.ConditionRetentionHealthy, v1alpha1.ConditionReady,
	}
}

func regionConditions() []string {
	return []string{v1alpha1.ConditionReady, v1alpha1.ConditionKeeperHealthy, v1alpha1.ConditionLeftoversHealthy}
}

// subject is what is looked at.
type subject struct{ kind, namespace, name, region string }

// doctor counts what is wrong.
type doctor struct{ problems int }

// look prints what is wrong with one object. What is only a consequence of what was printed is left out.
func (d *doctor) look(out io.Writer, s subject, is []metav1.Condition, should []string) {
	var told []string
	tell := func(c metav1.Condition) {
		if len(told) == 0 {
			fmt.Fprintln(out, strings.TrimSpace(s.kind+" "+strings.TrimPrefix(s.namespace+"/"+s.name, "/")))
		}
		told = append(told, c.Reason)
		d.problems++
		fmt.Fprintf(out, "  %s is %s, %s: %s\n", c.Type, c.Status, c.Reason, printable.Text(c.Message))
		fmt.Fprintf(out, "    %s\n", s.remedy(c.Reason))
	}
	if len(is) == 0 {
		message := "the operator has not seen it"
		if s.namespace != "" {
			message += ": it does not run, or does not watch this namespace (watchNamespaces of its release)"
		}
		tell(metav1.Condition{Type: v1alpha1.ConditionReady, Status: metav1.ConditionUnknown, Reason: reasonUnseen, Message: message})
	}
	ready := meta.FindStatusCondition(is, v1alpha1.ConditionReady)
	asleep := ready != nil && ready.Reason == v1alpha1.ReasonSuspended // and reports nothing
	for _, kind := range should {
		c := meta.FindStatusCondition(is, kind)
		if c == nil || c.Status == metav1.ConditionTrue || waits(*c) || asleep && c.Status == metav1.ConditionUnknown || slices.Contains(told, c.Reason) {
			continue
		}
		tell(*c)
	}
	if c := meta.FindStatusCondition(is, v1alpha1.ConditionReconciling); c != nil && c.Reason == v1alpha1.ReasonUpdatePaused {
		tell(*c)
	}
	if len(told) > 0 {
		fmt.Fprintln(out)
	}
}

// waits says whether a condition is what was asked for, or is only about to become True.
func waits(c metav1.Condition) bool {
	return c.Reason == v1alpha1.ReasonSuspended || c.Reason == v1alpha1.ReasonAwaitingFirstRun || c.Reason == v1alpha1.ReasonNotConfigured
}

// reasonUnseen is ours, for an object without conditions.
const reasonUnseen = "NotSeen"

// errNoRemedy is only for the test that every reason of the operator has a remedy.
var errNoRemedy = errors.New("no remedy of its own")

// remedy is the command that shows or mends what a reason stands for.
func (s subject) remedy(reason string) string {
	text, err := remedyFor(reason)
	if err != nil {
		text = "kubectl describe KIND NAME -n NAMESPACE"
	}
	if s.kind == "DataRegion" && (reason == v1alpha1.ReasonOverdue || reason == v1alpha1.ReasonRunFailed) { // its keeper's
		text = "kubectl get cronjobs,jobs,pods -A -l " + v1alpha1.LabelComponent + "=" + v1alpha1.ComponentKeeper + "," + v1alpha1.LabelRegion + "=REGION"
	}
	if s.namespace == "" {
		text = strings.ReplaceAll(text, " -n NAMESPACE", "")
	}
	return strings.NewReplacer("KIND", strings.ToLower(s.kind), "NAMESPACE", s.namespace, "NAME", s.name, "REGION", s.region).Replace(text)
}

// remedyFor has the names of what is looked at in capital letters.
func remedyFor(reason string) (string, error) {
	switch reason {
	case reasonUnseen, v1alpha1.ReasonRetrying, v1alpha1.ReasonNotReported:
		return "kubectl logs -n relaykeep-system -l app.kubernetes.io/component=manager --tail 50", nil
	case v1alpha1.ReasonProgressing, v1alpha1.ReasonRelayStarting:
		return "kubectl describe pod -l app.kubernetes.io/instance=NAME,app.kubernetes.io/component=relay -n NAMESPACE", nil
	case v1alpha1.ReasonRelayUnreachable:
		return "kubectl logs NAME-relay-0 -n NAMESPACE --tail 50", nil
	case v1alpha1.ReasonUpdateWaiting, v1alpha1.ReasonUpdatePaused, v1alpha1.ReasonNumberInUse:
		return "kubectl relay status -A", nil
	case v1alpha1.ReasonNameTaken, v1alpha1.ReasonContested:
		return "kubectl get all,cm,sa,pvc,netpol -n NAMESPACE --show-managed-fields -o yaml", nil
	case v1alpha1.ReasonInvalidPublicKey:
		return "kubectl edit brelay NAME -n NAMESPACE", nil
	case v1alpha1.ReasonPostgresMissing:
		return "kubectl edit dataregion REGION", nil
	case v1alpha1.ReasonRefused:
		return "kubectl describe quota,limits -n NAMESPACE; kubectl get validatingadmissionpolicies", nil
	case v1alpha1.ReasonVolumeNotExpandable, v1alpha1.ReasonStorageClassMissing, v1alpha1.ReasonVolumeElsewhere:
		return "kubectl get storageclass; kubectl get pvc NAME-relay -n NAMESPACE", nil
	case v1alpha1.ReasonGatewayAPIMissing:
		return "kubectl api-resources --api-group gateway.networking.k8s.io", nil
	case v1alpha1.ReasonRegionNotFound, v1alpha1.ReasonRegionNotReady:
		return "kubectl get dataregions; kubectl describe dataregion REGION", nil
	case v1alpha1.ReasonNoMatchingNode:
		return "kubectl get nodes -l " + v1alpha1.LabelNodeRegion + "=REGION", nil
	case v1alpha1.ReasonInUse:
		return "kubectl relay orphans --region REGION", nil
	case v1alpha1.ReasonOverdue, v1alpha1.ReasonRunFailed:
		return "kubectl get cronjobs,jobs -n NAMESPACE; kubectl logs -l app.kubernetes.io/instance=NAME,app.kubernetes.io/component=janitor -n NAMESPACE", nil
	case v1alpha1.ReasonErasing, v1alpha1.ReasonEraseFailed, v1alpha1.ReasonNamespaceTerminating:
		return "kubectl logs job/NAME-erase -n NAMESPACE; kubectl relay erase NAME -n NAMESPACE", nil
	}
	if text := reportedRemedy(reason); text != "" {
		return text, nil
	}
	return "", errNoRemedy
}

// reportedRemedy is about reasons that relays report; empty for others.
func reportedRemedy(reason string) string {
	switch reason {
	case "VaultSealed", "VaultUnavailable":
		return "kubectl get dataregion REGION -o jsonpath={.spec.vault.address}  # unseal or start that Vault"
	case "VaultDenied", "VaultContentUnexpected", "KeysErased", "IdentityMissing", "CredentialsMissing":
		return "kubectl relay setup vault --region REGION"
	case "KeyOverdue":
		return "kubectl create job --from=cronjob/NAME-retention NAME-retention-now -n NAMESPACE"
	case "OwnerChanged":
		return "kubectl relay adopt NAME -n NAMESPACE"
	case "AccountMissing", "RegistrationRefused", "AccountTaken", "CredentialsRefused":
		return "kubectl relay setup carrier-account NAME -n NAMESPACE"
	case "CarrierUnreachable", "TLSFailed":
		return "kubectl get dataregion REGION -o jsonpath={.spec.carrier.xmpp}"
	case "Unreachable", "CertificateUntrusted", "ChallengeFailed", "DeliveryFailing", "EncryptionFailing":
		return "kubectl get brelay NAME -n NAMESPACE -o jsonpath={.spec.webhook}; kubectl get dataregion REGION -o jsonpath={.spec.network}"
	case "FormerCredentials":
		return "kubectl relay credentials NAME -n NAMESPACE"
	case "DeadLetters":
		return "kubectl relay dead-letters NAME -n NAMESPACE"
	case "VolumeFull":
		return "kubectl edit brelay NAME -n NAMESPACE  # raise spec.storage.size"
	case "StoreMissing", "StoreForeign", "StoreLocked", "StoreUnusable", "DatabaseLoginMissing", "DatabaseUnreachable", "DatabaseDenied":
		return "kubectl logs NAME-relay-0 -n NAMESPACE --tail 50"
	}
	return ""
}
