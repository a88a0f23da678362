package command

import (
	"context"
	"fmt"
	"io"
	"slices"
	"strings"
	"time"

	corev1 "k8s.io/api/core/v1"
	storagev1 "k8s.io/api/storage/v1"
	apierrors "k8s.io/apimachinery/pkg/api/errors"
	"k8s.io/apimachinery/pkg/api/meta"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/klog/v2"
	"sigs.k8s.io/controller-runtime/pkg/client"

	"github.com/relaykeep/relaykeep/api/v1alpha1"
	"github.com/relaykeep/relaykeep/cmd/kubectl-relay/internal/permission"
	"github.com/relaykeep/relaykeep/cmd/kubectl-relay/internal/printable"
)

// examiner looks at relays and regions, for doctor and for check.
type examiner struct {
	k   client.Reader
	now time.Time
	ask queueAsker // nil: queues are not looked at
}

// subject is what is looked at.
type subject struct{ kind, namespace, name, region string }

// String is how the subject is headed.
func (s subject) String() string {
	return strings.TrimSpace(s.kind + " " + strings.TrimPrefix(s.namespace+"/"+s.name, "/"))
}

// finding is something that is wrong, and the command that shows or mends it.
type finding struct{ what, remedy string }

// report is what was found out about one object.
type report struct {
	subject
	facts    []string // what was looked at, and how it is; further lines of one are indented
	findings []finding
	told     []string // reasons that are among the findings
}

func (r *report) factf(format string, a ...any) { r.facts = append(r.facts, fmt.Sprintf(format, a...)) }

// wrong adds a finding about a reason, unless a condition told it already.
func (r *report) wrong(reason, what string) {
	if !slices.Contains(r.told, reason) {
		r.told = append(r.told, reason)
		r.findings = append(r.findings, finding{what, r.remedy(reason)})
	}
}

// unread is the fact that something could not be looked at.
func (r *report) unread(what string, err error) {
	why := permission.Missing(err)
	if why == "" {
		why = err.Error()
	}
	r.factf("%s: not looked at: %s", what, why)
}

// print writes what is wrong; with facts also the rest. Without them it writes nothing about an object that is well.
func (r *report) print(out io.Writer, facts bool) {
	if !facts && len(r.findings) == 0 {
		return
	}
	fmt.Fprintln(out, r.subject)
	if facts {
		for _, f := range r.facts {
			fmt.Fprintf(out, "  %s\n", strings.ReplaceAll(f, "\n", "\n    "))
		}
		if len(r.findings) > 0 {
			fmt.Fprintln(out)
		}
	}
	for _, f := range r.findings {
		fmt.Fprintf(out, "  %s\n", f.what)
		if f.remedy != "" {
			fmt.Fprintf(out, "    %s\n", f.remedy)
		}
	}
	fmt.Fprintln(out)
}

// relayConditions are those of a relay that should be True, in the order in which to look for causes.
func relayConditions() []string {
	return []string{
		v1alpha1.ConditionPlaced, v1alpha1.ConditionKeysReady, v1alpha1.ConditionCarrierConnected, v1alpha1.ConditionWebhookVerified,
		v1alpha1.ConditionVolumeHasRoom, v1alpha1.ConditionSendingUnlimited, v1alpha1.ConditionLogVerifiable, v1alpha1.ConditionRetentionHealthy, v1alpha1.ConditionTransfersAllowed, v1alpha1.ConditionReady,
	}
}

func regionConditions() []string {
	return []string{
		v1alpha1.ConditionReady, v1alpha1.ConditionVaultReady, v1alpha1.ConditionCarrierReady,
		v1alpha1.ConditionKeeperHealthy, v1alpha1.ConditionLeftoversHealthy,
	}
}

// judge finds what is wrong by conditions. What is only a consequence of what was found is left out.
func (r *report) judge(is []metav1.Condition, should []string) {
	tell := func(c metav1.Condition) {
		r.wrong(c.Reason, fmt.Sprintf("%s is %s, %s: %s", c.Type, c.Status, c.Reason, printable.Text(c.Message)))
	}
	if len(is) == 0 {
		message := "the operator has not seen it"
		if r.namespace != "" {
			message += ": it does not run, or does not watch this namespace (watchNamespaces of its release)"
		}
		tell(metav1.Condition{Type: v1alpha1.ConditionReady, Status: metav1.ConditionUnknown, Reason: reasonUnseen, Message: message})
	}
	ready := meta.FindStatusCondition(is, v1alpha1.ConditionReady)
	asleep := ready != nil && ready.Reason == v1alpha1.ReasonSuspended // and reports nothing
	var well []string
	for _, kind := range should {
		switch c := meta.FindStatusCondition(is, kind); {
		case c == nil || asleep && c.Status == metav1.ConditionUnknown:
		case c.Status == metav1.ConditionTrue && c.Reason != v1alpha1.ReasonNoReceipts:
			well = append(well, kind)
		case waits(*c):
			r.factf("%s is %s, %s", kind, c.Status, c.Reason)
		default:
			tell(*c)
		}
	}
	if c := meta.FindStatusCondition(is, v1alpha1.ConditionReconciling); c != nil && c.Reason == v1alpha1.ReasonUpdatePaused {
		tell(*c)
	}
	if len(well) > 0 {
		r.factf("as it should be: %s", strings.Join(well, ", "))
	}
}

// waits says whether a condition is what was asked for, or is only about to become True.
func waits(c metav1.Condition) bool {
	return c.Reason == v1alpha1.ReasonSuspended || c.Reason == v1alpha1.ReasonAwaitingFirstRun || c.Reason == v1alpha1.ReasonNotConfigured ||
		c.Reason == v1alpha1.ReasonNobodyTells
}

// relayReport looks at a relay by what it reported.
func relayReport(relay *v1alpha1.BusinessRelay) *report {
	r := &report{subject: subject{"BusinessRelay", relay.Namespace, relay.Name, string(relay.Spec.DataRegion)}}
	r.judge(relay.Status.Conditions, relayConditions())
	return r
}

// pods looks at a relay's pods.
func (e examiner) pods(ctx context.Context, relay *v1alpha1.BusinessRelay, r *report) {
	for _, name := range podNames(relay) {
		var pod corev1.Pod
		switch err := e.k.Get(ctx, client.ObjectKey{Namespace: relay.Namespace, Name: name}, &pod); {
		case apierrors.IsNotFound(err):
			r.factf("pod %s: not there", name)
		case err != nil:
			r.unread("pod "+name, err)
		default:
			ready, restarts := "not ready", 0
			if isReady(&pod) {
				ready = "ready"
			}
			for _, c := range pod.Status.ContainerStatuses {
				restarts += int(c.RestartCount)
			}
			r.factf("pod %s: %s on %s, %s, %s", name, pod.Status.Phase, orDash(pod.Spec.NodeName), ready, count(restarts, "restart"))
		}
	}
}

// regionNamed looks at the region of a name.
func (e examiner) regionNamed(ctx context.Context, name string) *report {
	region, err := readRegion(ctx, e.k, name)
	if err != nil {
		r := &report{subject: subject{"DataRegion", "", name, name}}
		r.findings = append(r.findings, finding{what: err.Error()}) // which says what to do
		return r
	}
	return e.region(ctx, region)
}

// region looks at a region: its conditions, its nodes, its storage class, and what its relays say of its Vault and its
// carrier. What somebody may not read is left out.
func (e examiner) region(ctx context.Context, region *v1alpha1.DataRegion) *report {
	r := &report{subject: subject{"DataRegion", "", region.Name, region.Name}}
	r.judge(region.Status.Conditions, regionConditions())
	if in := listed(region.Spec.InCountries()); in != "" {
		r.factf("countries: %s, as declared", in)
	}
	e.nodes(ctx, region, r)
	e.storageClass(ctx, region, r)
	e.services(ctx, region, r)
	return r
}

// nodes looks at which of the region's nodes take relays.
func (e examiner) nodes(ctx context.Context, region *v1alpha1.DataRegion, r *report) {
	var nodes corev1.NodeList
	if err := e.k.List(ctx, &nodes, client.MatchingLabels{v1alpha1.LabelNodeRegion: region.Name}); err != nil {
		r.unread("nodes", err)
		return
	}
	var hindered []finding
	for i := range nodes.Items {
		if h := hindrance(&nodes.Items[i], region); h.what != "" {
			hindered = append(hindered, h)
		}
	}
	takes := len(nodes.Items) - len(hindered)
	fact := fmt.Sprintf("nodes: %d of %d take relays", takes, len(nodes.Items))
	if takes == 0 { // each is a reason
		r.wrong(v1alpha1.ReasonNoMatchingNode, "no node takes relays")
		r.findings = append(r.findings, hindered...)
		hindered = nil
	}
	for _, h := range hindered {
		fact += fmt.Sprintf("\n%s: %s", h.what, h.remedy)
	}
	r.factf("%s", fact)
}

// hindrance says why a node takes no relays of a region, and the command that shows or mends it; it is empty if it does.
func hindrance(node *corev1.Node, region *v1alpha1.DataRegion) finding {
	name := node.Name
	switch state := v1alpha1.StateOf(node); {
	case !region.Admits(node.Labels):
		return finding{"node " + name + " lacks labels of spec.placement.nodeSelector", "kubectl get node " + name + " --show-labels"}
	case state == v1alpha1.NodeCordoned:
		return finding{"node " + name + " is cordoned", "kubectl uncordon " + name}
	case state != v1alpha1.NodeUsable:
		return finding{"node " + name + " is " + string(state), "kubectl describe node " + name}
	}
	for i := range node.Spec.Taints {
		taint := &node.Spec.Taints[i]
		if taint.Effect == corev1.TaintEffectPreferNoSchedule || slices.ContainsFunc(region.Spec.Placement.Tolerations, func(t corev1.Toleration) bool {
			return t.ToleratesTaint(klog.Background(), taint, true)
		}) {
			continue
		}
		remedy := fmt.Sprintf("kubectl taint node %s %s:%s-", name, taint.Key, taint.Effect)
		if strings.HasPrefix(taint.Key, "node.kubernetes.io/") { // Kubernetes' own, which go by themselves
			remedy = "kubectl describe node " + name
		}
		return finding{fmt.Sprintf("node %s has the taint %s, which spec.placement.tolerations lacks", name, taint.ToString()), remedy}
	}
	return finding{}
}

// storageClass looks for the region's storage class.
func (e examiner) storageClass(ctx context.Context, region *v1alpha1.DataRegion, r *report) {
	var class storagev1.StorageClass
	what := "storage class " + string(region.Spec.StorageClassName)
	switch err := e.k.Get(ctx, client.ObjectKey{Name: string(region.Spec.StorageClassName)}, &class); {
	case apierrors.IsNotFound(err):
		r.factf("%s: not there", what)
		r.wrong(v1alpha1.ReasonStorageClassMissing, "there is no "+what)
	case err != nil:
		r.unread(what, err)
	case class.AllowVolumeExpansion == nil || !*class.AllowVolumeExpansion:
		r.factf("%s: there; its volumes cannot grow", what)
	default:
		r.factf("%s: there; its volumes can grow", what)
	}
}

// services looks at what the region's relays say of its Vault and its carrier: nothing else of the cluster knows.
func (e examiner) services(ctx context.Context, region *v1alpha1.DataRegion, r *report) {
	var relays v1alpha1.BusinessRelayList
	if err := e.k.List(ctx, &relays, client.MatchingFields{v1alpha1.FieldDataRegion: region.Name}); err != nil {
		r.unread("Vault and carrier, by what relays say", err)
		return
	}
	vault := sayings{what: "Vault " + region.Spec.Vault.Address, good: "have their keys"}
	carrier := sayings{what: "carrier", good: "are connected"}
	if x := region.Spec.Carrier.XMPP; x != nil {
		carrier.what += " " + string(x.Domain)
	}
	for i := range relays.Items {
		if !relays.Items[i].Spec.Suspend {
			vault.add(&relays.Items[i], v1alpha1.ConditionKeysReady)
			carrier.add(&relays.Items[i], v1alpha1.ConditionCarrierConnected)
		}
	}
	keeper := ""
	if t := region.Status.Keeper.LastSuccessTime; t != nil {
		keeper = fmt.Sprintf("the keeper looked at every wrapping key there %s ago", age(*t, e.now))
	}
	vault.tell(r, keeper)
	carrier.tell(r, "")
}

// maxSayings is how many relays are named for what they say.
const maxSayings = 5

// sayings are what relays say of one service.
type sayings struct {
	what, good string
	well       int
	ill        []string // which relays, why, and the command that shows more
	reasons    []string // of the ill, each once
}

// add counts what a relay says by a condition, if it says anything.
func (s *sayings) add(relay *v1alpha1.BusinessRelay, kind string) {
	c := meta.FindStatusCondition(relay.Status.Conditions, kind)
	switch {
	case c == nil || c.Status == metav1.ConditionUnknown:
	case c.Status == metav1.ConditionTrue:
		s.well++
	default:
		s.ill = append(s.ill, fmt.Sprintf("%s/%s: %s: kubectl relay check relay/%s -n %s", relay.Namespace, relay.Name, c.Reason, relay.Name, relay.Namespace))
		if !slices.Contains(s.reasons, c.Reason) {
			s.reasons = append(s.reasons, c.Reason)
		}
	}
}

// tell adds to a report what relays say, and further what else is known. If all say the same, and the region can be the
// cause, that is wrong with the region.
func (s *sayings) tell(r *report, further string) {
	said := s.well + len(s.ill)
	fact := fmt.Sprintf("%s: %d of %s that tell %s", s.what, s.well, count(said, "relay"), s.good)
	if said == 0 {
		fact = s.what + ": no relay tells"
	}
	if further != "" {
		fact += "; " + further
	}
	for _, ill := range s.ill[:min(len(s.ill), maxSayings)] {
		fact += "\n" + ill
	}
	if more := len(s.ill) - maxSayings; more > 0 {
		fact += fmt.Sprintf("\nand %d more: kubectl relay doctor -A", more)
	}
	r.factf("%s", fact)
	if s.well == 0 && len(s.reasons) == 1 && ofRegion(s.reasons[0]) {
		r.wrong(s.reasons[0], fmt.Sprintf("%s: none of %s that tell %s: %s", s.what, count(said, "relay"), s.good, s.reasons[0]))
	}
}
