package probe

import (
	"context"
	"encoding/json"
	"fmt"
	"slices"
	"strings"

	appsv1 "k8s.io/api/apps/v1"
	batchv1 "k8s.io/api/batch/v1"
	corev1 "k8s.io/api/core/v1"
	apierrors "k8s.io/apimachinery/pkg/api/errors"
	"sigs.k8s.io/controller-runtime/pkg/client"

	"github.com/relaykeep/relaykeep/api/v1alpha1"
	"github.com/relaykeep/relaykeep/cmd/kubectl-relay/internal/audit"
	"github.com/relaykeep/relaykeep/controllers/expected"
)

// configKey is the key of a relay's configuration file in its ConfigMap.
const configKey = "relay.json"

// maxReplicas is more than any relay may have (spec.replicas).
const maxReplicas = 10

// subject is one relay with the objects that the operator made for it, each read once.
type subject struct {
	relay     *v1alpha1.BusinessRelay
	region    *v1alpha1.DataRegion
	regionErr error
	set       read[*appsv1.StatefulSet]
	config    read[*corev1.ConfigMap]
	account   read[*corev1.ServiceAccount]
	claim     read[*corev1.PersistentVolumeClaim] // nil without an error if there is none
	janitor   read[*batchv1.CronJob]
	pods      read[[]corev1.Pod] // those that are there
}

// gather reads what belongs to a relay.
func (a *auditor) gather(ctx context.Context, relay *v1alpha1.BusinessRelay) *subject {
	s := &subject{relay: relay}
	s.region, s.regionErr = a.shared.regionNamed(ctx, string(relay.Spec.DataRegion))
	tenant := client.ObjectKey{Namespace: relay.Namespace, Name: v1alpha1.TenantName(relay.Name)}
	s.set = get(ctx, a.Client, tenant, &appsv1.StatefulSet{})
	s.config = get(ctx, a.Client, tenant, &corev1.ConfigMap{})
	s.account = get(ctx, a.Client, tenant, &corev1.ServiceAccount{})
	s.janitor = get(ctx, a.Client, client.ObjectKey{Namespace: relay.Namespace, Name: relay.Name + v1alpha1.SuffixRetention}, &batchv1.CronJob{})
	s.claim = get(ctx, a.Client, client.ObjectKey{Namespace: relay.Namespace, Name: v1alpha1.ClaimName(relay)}, &corev1.PersistentVolumeClaim{})
	if apierrors.IsNotFound(s.claim.err) {
		s.claim = read[*corev1.PersistentVolumeClaim]{}
	}
	for i := range min(max(1, int(relay.Spec.Replicas)), maxReplicas) {
		pod := get(ctx, a.Client, client.ObjectKey{Namespace: relay.Namespace, Name: fmt.Sprintf("%s-%d", tenant.Name, i)}, &corev1.Pod{})
		switch {
		case apierrors.IsNotFound(pod.err):
		case pod.err != nil:
			s.pods.err = pod.err
		default:
			s.pods.value = append(s.pods.value, *pod.value)
		}
	}
	return s
}

func (s *subject) tenant() string { return v1alpha1.TenantName(s.relay.Name) }

func (s *subject) at() string { return fmt.Sprintf("%s -n %s", s.relay.Name, s.relay.Namespace) }

// running returns a pod of the relay that is ready, or else one that runs.
func (s *subject) running() *corev1.Pod {
	var found *corev1.Pod
	for i := range s.pods.value {
		pod := &s.pods.value[i]
		switch {
		case pod.DeletionTimestamp != nil || pod.Status.Phase != corev1.PodRunning:
		case slices.ContainsFunc(pod.Status.Conditions, func(c corev1.PodCondition) bool {
			return c.Type == corev1.PodReady && c.Status == corev1.ConditionTrue
		}):
			return pod
		case found == nil:
			found = pod
		}
	}
	return found
}

// noPod is the outcome of a check that needs a pod.
func (s *subject) noPod() audit.Outcome {
	switch {
	case s.pods.err != nil:
		return unread("pods of the relay", s.pods.err)
	case s.relay.Spec.Suspend:
		return notTried("the relay is suspended, and has no pod")
	}
	return notTried("no pod of the relay runs: kubectl relay check relay/%s", s.at())
}

// settings are what the configuration file says about numbers, encryption and receivers.
type settings struct {
	AcceptUnencrypted bool `json:"acceptUnencrypted"`
	ClearMetadata     bool `json:"clearMetadata"`
	HideNumbers       bool `json:"hideNumbers"`

	Webhook    *receiver  `json:"webhook"`
	Processors []receiver `json:"processors"`
}

// receiver is one in the configuration file; the webhook has no name.
type receiver struct {
	Name string `json:"name"`
	URL  string `json:"url"`
}

// settings reads the file that the relay's pod mounts.
func (s *subject) settings() (settings, *audit.Outcome) {
	var file settings
	switch {
	case s.config.err != nil:
		return file, new(unread("ConfigMap "+s.tenant(), s.config.err))
	case json.Unmarshal([]byte(s.config.value.Data[configKey]), &file) != nil:
		return file, new(broken("kubectl get configmap "+s.tenant()+" -n "+s.relay.Namespace+" -o yaml", "ConfigMap %s holds no configuration", s.tenant()))
	}
	return file, nil
}

// clear looks for what goes over the carrier in clear.
func (s *subject) clear() audit.Outcome {
	file, failed := s.settings()
	spec := s.relay.Spec
	switch {
	case failed != nil:
		return *failed
	case file.AcceptUnencrypted != spec.AcceptUnencrypted || file.ClearMetadata != spec.Privacy.ClearMetadata:
		return broken("kubectl relay doctor "+s.at(), "the configuration says otherwise than the BusinessRelay what may go in clear")
	case file.AcceptUnencrypted:
		return byDesign("the business accepts messages in clear, which the carrier can read: spec.acceptUnencrypted")
	case file.ClearMetadata:
		return byDesign("reactions go in clear to customers with legacy OMEMO: spec.privacy.clearMetadata")
	}
	return kept("unencrypted messages are refused, and reactions are encrypted")
}

// hiddenNumbers looks at whether the business is told numbers.
func (s *subject) hiddenNumbers() audit.Outcome {
	file, failed := s.settings()
	hide := s.relay.Spec.Privacy.ShareNumbers != nil && !*s.relay.Spec.Privacy.ShareNumbers
	switch {
	case failed != nil:
		return *failed
	case file.HideNumbers != hide:
		return broken("kubectl relay doctor "+s.at(), "the configuration says otherwise than the BusinessRelay whether numbers are shared")
	case !hide:
		return byDesign("the business is told its customers' numbers: spec.privacy.shareNumbers")
	}
	return kept("spec.privacy.shareNumbers is false")
}

// processors holds the receivers that the relay is given against those that the business named and the region allows.
func (s *subject) processors() audit.Outcome {
	file, failed := s.settings()
	switch {
	case failed != nil:
		return *failed
	case s.regionErr != nil:
		return unread("DataRegion "+string(s.relay.Spec.DataRegion), s.regionErr)
	}
	allowed, abroad := map[receiver]bool{}, map[string]v1alpha1.Transfer{}
	for _, t := range expected.Transfers(s.relay, s.region) {
		abroad[t.Receiver] = t
	}
	if w := s.relay.Spec.Webhook; w != nil {
		allowed[receiver{URL: w.URL}] = !abroad["webhook"].Forbidden
	}
	for _, p := range s.relay.Spec.Processors {
		allowed[receiver{p.Name, p.URL}] = !abroad["processor "+p.Name].Forbidden
	}
	given := file.Processors
	if file.Webhook != nil {
		given = append(given, receiver{URL: file.Webhook.URL})
	}
	var told []string
	for _, r := range given {
		what := "the webhook"
		if r.Name != "" {
			what = "processor " + r.Name
		}
		if !allowed[r] {
			return broken("kubectl relay doctor "+s.at(), "the relay is given %s, which the BusinessRelay does not name or its DataRegion forbids", what)
		}
		key := strings.TrimPrefix(what, "the ")
		switch t, is := abroad[key]; {
		case is:
			told = append(told, what+" in "+t.Country+", a transfer")
		case r.Name != "":
			told = append(told, what)
		}
	}
	if len(told) > 0 {
		slices.Sort(told)
		return byDesign("the business named " + strings.Join(told, "; ") + ": spec.processors and spec.webhook")
	}
	return kept("no processor is named, and nothing goes to another country")
}
