package probe

import (
	"context"
	"slices"
	"strings"

	networkingv1 "k8s.io/api/networking/v1"
	"k8s.io/apimachinery/pkg/api/equality"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/labels"

	"github.com/relaykeep/relaykeep/api/v1alpha1"
	"github.com/relaykeep/relaykeep/cmd/kubectl-relay/internal/audit"
	"github.com/relaykeep/relaykeep/controllers/expected"
)

func (a *auditor) relayNetwork(ctx context.Context, s *subject) audit.Outcome {
	switch {
	case s.regionErr != nil:
		return unread("DataRegion "+string(s.relay.Spec.DataRegion), s.regionErr)
	case s.set.err != nil:
		return unread("StatefulSet "+s.tenant(), s.set.err)
	case s.claim.err != nil:
		return unread("the relay's claim", s.claim.err)
	}
	volume := ""
	if s.claim.value != nil {
		volume = string(s.claim.value.UID)
	}
	want, err := expected.RelayPolicy(s.relay, s.region, volume, a.OperatorNamespace)
	return a.shared.holds(ctx, want, err, s.set.value.Spec.Template.Labels)
}

func (a *auditor) janitorNetwork(ctx context.Context, s *subject) audit.Outcome {
	switch {
	case s.regionErr != nil:
		return unread("DataRegion "+string(s.relay.Spec.DataRegion), s.regionErr)
	case s.janitor.err != nil:
		return unread("CronJob "+s.relay.Name+v1alpha1.SuffixRetention, s.janitor.err)
	}
	want, err := expected.JanitorPolicy(s.relay, s.region)
	return a.shared.holds(ctx, want, err, s.janitor.value.Spec.JobTemplate.Spec.Template.Labels)
}

func (s *shared) keeperNetwork(ctx context.Context, region *v1alpha1.DataRegion) audit.Outcome {
	want, err := expected.KeeperPolicy(region, s.OperatorNamespace)
	if err != nil {
		return unread("the keeper's network policy", err)
	}
	return s.holds(ctx, want, nil, want.Spec.PodSelector.MatchLabels)
}

// holds compares a network policy with what it must be, and looks for others that let the same pods reach or be reached
// by more: policies add up.
func (s *shared) holds(ctx context.Context, want *networkingv1.NetworkPolicy, err error, pod map[string]string) audit.Outcome {
	if err != nil {
		return unread("the network policy as the operator renders it", err)
	}
	all, err := s.networkPolicies(ctx, want.Namespace)
	if err != nil {
		return unread("network policies of namespace "+want.Namespace, err)
	}
	at := slices.IndexFunc(all, func(p networkingv1.NetworkPolicy) bool { return p.Name == want.Name })
	show := "kubectl get networkpolicy -n " + want.Namespace
	if at < 0 {
		return broken(show, "the network policy %s is not there", want.Name)
	}
	if !equality.Semantic.DeepEqual(all[at].Spec, want.Spec) {
		return broken("kubectl describe networkpolicy "+want.Name+" -n "+want.Namespace, "the network policy %s is not what the operator renders", want.Name)
	}
	var widening []string
	for i := range all {
		if all[i].Name != want.Name && opens(&all[i], pod) {
			widening = append(widening, all[i].Name)
		}
	}
	if len(widening) > 0 {
		return broken("kubectl describe networkpolicy "+widening[0]+" -n "+want.Namespace,
			"further network policies open the same pod: %s", strings.Join(widening, ", "))
	}
	return kept("the network policy %s is as the operator renders it, and no other opens the pod", want.Name)
}

// opens says whether a policy selects pods with some labels and lets anything through.
func opens(p *networkingv1.NetworkPolicy, pod map[string]string) bool {
	selector, err := metav1.LabelSelectorAsSelector(&p.Spec.PodSelector)
	return err == nil && selector.Matches(labels.Set(pod)) && len(p.Spec.Ingress)+len(p.Spec.Egress) > 0
}
