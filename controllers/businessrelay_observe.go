package controllers

import (
	"context"
	"fmt"
	"net"
	"regexp"
	"slices"
	"time"

	appsv1 "k8s.io/api/apps/v1"
	corev1 "k8s.io/api/core/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"sigs.k8s.io/controller-runtime/pkg/client"

	"github.com/relaykeep/relaykeep/api/contract"
	"github.com/relaykeep/relaykeep/api/v1alpha1"
	"github.com/relaykeep/relaykeep/controllers/internal/outcome"
	"github.com/relaykeep/relaykeep/controllers/internal/retention"
)

// reported are the conditions that a relay reports about itself. Others in its answer
// are ignored.
func reported() []string {
	return []string{
		v1alpha1.ConditionKeysReady, v1alpha1.ConditionCarrierConnected, v1alpha1.ConditionWebhookVerified, v1alpha1.ConditionVolumeHasRoom,
		v1alpha1.ConditionSendingUnlimited, v1alpha1.ConditionLogVerifiable,
	}
}

// Patterns of the values that a relay may put into the status. It is a tenant's pod and
// not trusted further.
var (
	reasonPattern      = regexp.MustCompile(`^[A-Z][A-Za-z0-9]{0,63}$`)
	numberIDPattern    = regexp.MustCompile(`^[0-9]{1,32}$`)
	imagePattern       = regexp.MustCompile(`^[A-Za-z0-9@:._/+-]{1,512}$`)
	fingerprintPattern = regexp.MustCompile(`^[0-9a-f ]{1,128}$`)
)

// notRunning is said of a relay that cannot be asked how it is.
const notRunning = "no pod of the relay is running"

// creating is how long a container may be created before that is told as a trouble.
const creating = 30 * time.Second

// qualities are those of the Cloud API.
func qualities() []string { return []string{"GREEN", "YELLOW", "RED", "UNKNOWN"} }

// split separates the relay's own pods from the janitor's.
func split(pods []corev1.Pod) (relays, janitors []corev1.Pod) {
	for _, pod := range pods {
		switch pod.Labels[v1alpha1.LabelComponent] {
		case v1alpha1.ComponentRelay:
			relays = append(relays, pod)
		case v1alpha1.ComponentJanitor:
			janitors = append(janitors, pod)
		}
	}
	slices.SortFunc(relays, func(a, b corev1.Pod) int {
		return slices.Compare([]byte(a.Name), []byte(b.Name))
	})
	return relays, janitors
}

// rolledOut returns nil if all of a StatefulSet's pods are up and current, and else what
// the operator waits for: in the same words until a pod is ready, as each change is a write of the status.
func rolledOut(live client.Object, want int32) error {
	set, ok := live.(*appsv1.StatefulSet)
	current := int32(0)
	if ok && set != nil && set.Status.ObservedGeneration >= set.Generation {
		if current = min(set.Status.UpdatedReplicas, set.Status.ReadyReplicas); current >= want && set.Status.Replicas <= want {
			return nil
		}
	}
	return outcome.Waiting(outcome.Recheck, v1alpha1.ReasonRelayStarting, "%d of %d pods are up to date and ready", current, want)
}

// observeRelay follows the pod that can tell of the relay, and carries over what it last said.
func (p *pass) observeRelay(pods []corev1.Pod) {
	key := client.ObjectKeyFromObject(p.relay)
	p.pods = len(pods)
	pod := p.holder(key, pods)
	p.status.Region.Node, p.status.Image = "", ""
	if pod == nil {
		p.Poller.Forget(key)
		p.unknown(v1alpha1.ReasonNotReported, notRunning)
		return
	}
	p.status.Region.Node = pod.Spec.NodeName
	for _, s := range pod.Status.ContainerStatuses {
		p.status.Image = matching(imagePattern, s.ImageID, "")
	}
	if p.working != nil {
		p.working = p.explain(p.working, pod)
	}
	if pod.Status.PodIP == "" {
		p.unknown(v1alpha1.ReasonNotReported, notRunning)
		return
	}
	p.asked = p.Poller.Follow(key, pod.Status.PodIP, stamp(pod))
	seen := p.Poller.Latest(key)
	switch {
	case seen.Unreachable():
		p.unknown(v1alpha1.ReasonRelayUnreachable, "the relay's status port did not answer three times in a row: see the logs of pod "+pod.Name)
	case seen.Status == nil || seen.Status.Holder != "":
		p.pending() // another replica can tell, and is asked next
	default:
		p.carryOver(seen.Status)
	}
}

// holder returns the pod that holds the relay's store, as far as is known: the one that was followed, the one that
// that one named, or else the first; nil if there is none.
func (p *pass) holder(key client.ObjectKey, pods []corev1.Pod) *corev1.Pod {
	host, seen := p.Poller.Followed(key)
	if seen.Unreachable() {
		host = ""
	} else if seen.Status != nil && seen.Status.Holder != "" {
		if named, _, err := net.SplitHostPort(seen.Status.Holder); err == nil && at(pods, named) != nil {
			host = named
		}
	}
	if pod := at(pods, host); pod != nil {
		return pod
	}
	return first(pods)
}

// markPlaced says of a relay that has its place whether its pods are there. One runs on a node that is not the region's after
// somebody took the node's label away. Nothing is moved: where the business's data may be, a person decides.
func (p *pass) markPlaced(ctx context.Context, pods []corev1.Pod) error {
	if !p.placed {
		return nil
	}
	for i := range pods {
		pod := &pods[i]
		name := pod.Spec.NodeName
		if name == "" || pod.DeletionTimestamp != nil || slices.Contains(p.nodeNames, name) {
			continue
		}
		node := &corev1.Node{} // a node that was labelled just now may not be in the cache yet
		if err := p.Live.Get(ctx, client.ObjectKey{Name: name}, node); client.IgnoreNotFound(err) != nil {
			return fmt.Errorf("reading the node of the relay's pod: %w", err)
		}
		if node.Labels[v1alpha1.LabelNodeRegion] != p.region.Name {
			p.marks.Mark(v1alpha1.ConditionPlaced, metav1.ConditionFalse, v1alpha1.ReasonNodeElsewhere, fmt.Sprintf(
				"pod %s runs on node %s, which does not have the region's label: give the node its label %s=%s back, or delete the pod, which then starts on a node that has it",
				pod.Name, name, v1alpha1.LabelNodeRegion, p.region.Name))
			return nil
		}
	}
	p.marks.Mark(v1alpha1.ConditionPlaced, metav1.ConditionTrue, v1alpha1.ReasonPlaced,
		"the region has a node and a storage class for the relay")
	return nil
}

// at returns the pod with an address that is not being deleted, nil if there is none.
func at(pods []corev1.Pod, host string) *corev1.Pod {
	i := slices.IndexFunc(pods, func(pod corev1.Pod) bool {
		return host != "" && pod.DeletionTimestamp == nil && pod.Status.PodIP == host
	})
	if i < 0 {
		return nil
	}
	return &pods[i]
}

// first returns the first pod that is not being deleted, nil if there is none.
func first(pods []corev1.Pod) *corev1.Pod {
	for i := range pods {
		if pods[i].DeletionTimestamp == nil {
			return &pods[i]
		}
	}
	return nil
}

// stamp changes whenever a pod may have something new to report.
func stamp(pod *corev1.Pod) string {
	ready, restarts := false, int32(0)
	for _, s := range pod.Status.ContainerStatuses {
		ready, restarts = s.Ready, s.RestartCount
	}
	return fmt.Sprintf("%s/%t/%d", pod.UID, ready, restarts)
}

// explain adds the pod's state to the reason why the relay is not up. That its container is being created is no news at first.
func (p *pass) explain(err error, pod *corev1.Pod) error {
	v := outcome.Of(err)
	for _, c := range pod.Status.Conditions {
		if c.Type == corev1.PodScheduled && c.Status == corev1.ConditionFalse {
			return outcome.Waiting(outcome.Recheck, v.Reason, "%s: no node takes pod %s: %s", v.Message, pod.Name, outcome.Clip(c.Message))
		}
	}
	for _, s := range pod.Status.ContainerStatuses {
		if w := s.State.Waiting; w != nil {
			if left := creating - p.Now().Sub(pod.CreationTimestamp.Time); w.Reason == "ContainerCreating" && left > 0 {
				p.lookAgain(left)
				return err
			}
			// The kubelet's own message may contain the name of a Secret or an image, and
			// changes with each attempt. People who may read the pod find it there.
			return outcome.Waiting(outcome.Recheck, v.Reason, "%s: pod %s waits, %s: if this persists, see kubectl describe pod %s -n %s",
				v.Message, pod.Name, w.Reason, pod.Name, pod.Namespace)
		}
	}
	return err
}

// unknown marks all that a relay reports as not known: conditions and processors.
func (p *pass) unknown(reason, message string) {
	for _, kind := range reported() {
		if kind == v1alpha1.ConditionWebhookVerified && p.markNoWebhook() {
			continue
		}
		p.marks.Mark(kind, metav1.ConditionUnknown, reason, message)
	}
	p.carryProcessors(nil, reason)
}

// pending keeps the last report of a relay that has not been asked since the operator
// started, so that a restart of the operator changes no condition.
func (p *pass) pending() {
	for _, kind := range reported() {
		if c := p.marks.Get(kind); c != nil {
			p.marks.Mark(kind, c.Status, c.Reason, c.Message)
			continue
		}
		p.marks.Mark(kind, metav1.ConditionUnknown, v1alpha1.ReasonNotReported, "the operator has not asked the relay yet")
	}
}

// carryOver copies those of the relay's values that have the expected form.
func (p *pass) carryOver(s *contract.Status) {
	p.unsaid(s)
	for _, c := range s.Conditions {
		if !slices.Contains(reported(), c.Type) || !reasonPattern.MatchString(c.Reason) ||
			!slices.Contains([]contract.ConditionStatus{contract.True, contract.False, contract.Unknown}, c.Status) {
			continue
		}
		if c.Type == v1alpha1.ConditionWebhookVerified && p.markNoWebhook() {
			continue
		}
		p.marks.Mark(c.Type, metav1.ConditionStatus(c.Status), c.Reason, c.Message)
	}
	p.carryProcessors(s.Processors, v1alpha1.ReasonNotReported)
	p.learnIDs(s)
	p.status.Identity.Fingerprint = matching(fingerprintPattern, s.Fingerprint, p.status.Identity.Fingerprint)
	// With this configuration, and its keys, the relay uses the identity and the credentials that it names.
	if keys := p.marks.Get(v1alpha1.ConditionKeysReady); s.ConfigHash == p.configHash && p.configHash != "" && keys != nil && keys.Status == metav1.ConditionTrue {
		p.status.Rotation = v1alpha1.RotationStatus(p.relay.Spec.Rotation)
	}
	if s.DeviceID != 0 {
		p.status.Identity.DeviceID = int64(s.DeviceID)
	}
	if slices.Contains(qualities(), s.Quality) {
		p.status.Quality = s.Quality
	}
	p.learnConduct(s.Integrity)
	// Only for a relay that has its number: an initialized relay keeps the number.
	if s.InitializedTime != nil && p.status.InitializedTime == nil && p.numbered {
		p.status.InitializedTime = new(metav1.NewTime(s.InitializedTime.UTC()).Rfc3339Copy())
	}
}

// unsaid marks the conditions that a relay's answer leaves out.
func (p *pass) unsaid(s *contract.Status) {
	for _, kind := range reported() {
		if slices.ContainsFunc(s.Conditions, func(c contract.Condition) bool { return c.Type == kind }) {
			continue
		}
		if kind == v1alpha1.ConditionWebhookVerified && p.markNoWebhook() {
			continue
		}
		p.marks.Mark(kind, metav1.ConditionUnknown, v1alpha1.ReasonNotReported, "the relay has not reported this yet")
	}
}

// matching returns said if it has the expected form, and was otherwise.
func matching(form *regexp.Regexp, said, was string) string {
	if form.MatchString(said) {
		return said
	}
	return was
}

// observeRetention judges the janitor's runs.
func (p *pass) observeRetention(pods []corev1.Pod) {
	runs := retention.Runs(pods)
	retention.Record(&p.status.Retention, runs)
	h := retention.Judge(p.Now(), p.relay.CreationTimestamp.Time, p.status.Retention, retention.Last(runs))
	p.marks.Mark(v1alpha1.ConditionRetentionHealthy, h.Status, h.Reason, h.Message)
	p.lookAgain(h.Recheck)
}
