package probe

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"maps"
	"net"
	"net/url"
	"strconv"
	"time"

	corev1 "k8s.io/api/core/v1"
	"k8s.io/apimachinery/pkg/api/resource"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/util/wait"
	"sigs.k8s.io/controller-runtime/pkg/client"

	"github.com/relaykeep/relaykeep/api/contract"
	"github.com/relaykeep/relaykeep/api/v1alpha1"
	"github.com/relaykeep/relaykeep/cmd/kubectl-relay/internal/audit"
)

const (
	// reachTime bounds the life of a pod that tries the network.
	reachTime = 45 * time.Second
	// reachPause is how often it is looked at.
	reachPause = 500 * time.Millisecond
	// neverReady is a condition that nobody sets, so that the pod is never ready.
	neverReady = "relaykeep.dev/never"
)

// target is a place that a relay's pod must not reach.
type target struct{ place, what string }

// reach tries the network from a pod under the relay's policy: at what that must keep from it, and at Vault, which shows
// that the pod reaches anything at all.
func (a *auditor) reach(ctx context.Context, s *subject) audit.Outcome {
	switch {
	case !a.Network:
		return notTried("it takes a pod in the relay's namespace for some seconds: --probe-network")
	case s.set.err != nil:
		return unread("StatefulSet "+s.tenant(), s.set.err)
	case s.regionErr != nil:
		return unread("DataRegion "+string(s.relay.Spec.DataRegion), s.regionErr)
	}
	control, err := placeOf(s.region.Spec.Vault.Address)
	if err != nil {
		return notTried("the address of the region's Vault cannot be read")
	}
	closed := a.targets(ctx, s)
	if len(closed) == 0 {
		return notTried("there is nothing to try it at: no pod of a relay runs")
	}
	result, err := a.tryNetwork(ctx, s, control, closed)
	switch {
	case err != nil:
		return unread("a pod that tries the network", err)
	case !result.Reached[control]:
		return notTried("the pod did not reach Vault either, so that it says nothing about the rest")
	}
	for _, t := range closed {
		if reached, tried := result.Reached[t.place]; !tried {
			return notTried("the pod did not say whether it reached %s", t.what)
		} else if reached {
			return broken("kubectl get networkpolicy -n "+s.relay.Namespace+": does the cluster's network enforce it?", "a pod under the relay's network policy reached %s", t.what)
		}
	}
	return kept("a pod under the relay's network policy reached Vault, and none of %d places that it must not reach", len(closed))
}

// targets are what listens and must be closed to the relay: its own status, the next relay's ports, and the API server.
func (a *auditor) targets(ctx context.Context, s *subject) []target {
	var all []target
	add := func(ip string, port int32, what string) {
		if ip != "" {
			all = append(all, target{net.JoinHostPort(ip, strconv.Itoa(int(port))), what})
		}
	}
	if pod := s.running(); pod != nil {
		add(pod.Status.PodIP, contract.StatusPort, "the relay's status")
	}
	if other := a.neighbour(s.relay); other != nil {
		pod := get(ctx, a.Client, client.ObjectKey{Namespace: other.Namespace, Name: v1alpha1.TenantName(other.Name) + "-0"}, &corev1.Pod{})
		if pod.err == nil && pod.value.Status.Phase == corev1.PodRunning {
			add(pod.value.Status.PodIP, contract.EndpointPort, "another relay's endpoint")
			add(pod.value.Status.PodIP, contract.StatusPort, "another relay's status")
		}
	}
	api := get(ctx, a.Client, client.ObjectKey{Namespace: metav1.NamespaceDefault, Name: "kubernetes"}, &corev1.Service{})
	if api.err == nil && len(all) > 0 {
		add(api.value.Spec.ClusterIP, 443, "the API server")
	}
	return all
}

// placeOf is where a URL leads, HOST:PORT.
func placeOf(address string) (string, error) {
	u, err := url.Parse(address)
	if err != nil || u.Hostname() == "" {
		return "", errors.New("no https URL")
	}
	port := u.Port()
	if port == "" {
		port = "443"
	}
	return net.JoinHostPort(u.Hostname(), port), nil
}

// tryNetwork makes the pod, waits for its result, and deletes it.
func (a *auditor) tryNetwork(ctx context.Context, s *subject, control string, closed []target) (*contract.ProbeResult, error) {
	ctx, cancel := context.WithTimeout(ctx, reachTime)
	defer cancel()
	pod := s.probePod(control, closed)
	if err := a.Client.Create(ctx, pod); err != nil {
		return nil, err
	}
	defer func() {
		ctx, cancel := context.WithTimeout(context.WithoutCancel(ctx), connecting)
		defer cancel()
		_ = a.Client.Delete(ctx, pod, client.GracePeriodSeconds(0)) // it ends by itself soon
	}()
	var result *contract.ProbeResult
	last := "it was not started"
	err := wait.PollUntilContextCancel(ctx, reachPause, false, func(ctx context.Context) (bool, error) {
		is := get(ctx, a.Client, client.ObjectKeyFromObject(pod), &corev1.Pod{})
		if is.err != nil {
			return false, is.err
		}
		for _, c := range is.value.Status.ContainerStatuses {
			switch {
			case c.State.Terminated != nil:
				result = &contract.ProbeResult{}
				if err := json.Unmarshal([]byte(c.State.Terminated.Message), result); err != nil || result.Version != contract.ProbeResultVersion {
					return false, errors.New("its image knows no `relay probe` of this version: upgrade the relay")
				}
				return true, nil
			case c.State.Waiting != nil:
				last = c.State.Waiting.Reason
			case c.State.Running != nil:
				last = "it runs"
			}
		}
		return false, nil
	})
	if wait.Interrupted(err) {
		return nil, fmt.Errorf("it did not end within %s: %s", reachTime, last)
	}
	return result, err
}

// probePod is a pod that the relay's network policy selects, as it selects the relay's own. It holds no token, mounts
// nothing, has no port by a name that the Service knows, and is never ready, so that no request is ever led to it. The
// operator does not see it: it lacks the label of what the operator made.
func (s *subject) probePod(control string, closed []target) *corev1.Pod {
	template := s.set.value.Spec.Template
	labels := maps.Clone(template.Labels)
	delete(labels, v1alpha1.LabelManagedBy)
	args := []string{"probe", "--" + contract.FlagProbeOpen + "=" + control}
	for _, t := range closed {
		args = append(args, "--"+contract.FlagProbeClosed+"="+t.place)
	}
	small := corev1.ResourceList{corev1.ResourceCPU: resource.MustParse("10m"), corev1.ResourceMemory: resource.MustParse("32Mi")}
	own := template.Spec.Containers[0]
	return &corev1.Pod{
		ObjectMeta: metav1.ObjectMeta{Namespace: s.relay.Namespace, GenerateName: s.relay.Name + "-audit-", Labels: labels},
		Spec: corev1.PodSpec{
			AutomountServiceAccountToken: new(false), EnableServiceLinks: new(false), RestartPolicy: corev1.RestartPolicyNever,
			ActiveDeadlineSeconds: new(int64(2 * reachTime / time.Second)), TerminationGracePeriodSeconds: new(int64(0)),
			ReadinessGates: []corev1.PodReadinessGate{{ConditionType: neverReady}},
			NodeSelector:   template.Spec.NodeSelector, Tolerations: template.Spec.Tolerations, ImagePullSecrets: template.Spec.ImagePullSecrets,
			SecurityContext: template.Spec.SecurityContext, HostUsers: template.Spec.HostUsers, RuntimeClassName: template.Spec.RuntimeClassName,
			Containers: []corev1.Container{{
				Name: contract.ContainerProbe, Image: own.Image, ImagePullPolicy: own.ImagePullPolicy, Args: args,
				TerminationMessagePath: contract.TerminationPath, SecurityContext: own.SecurityContext,
				Resources: corev1.ResourceRequirements{Requests: small, Limits: corev1.ResourceList{corev1.ResourceMemory: resource.MustParse("64Mi")}},
			}},
		},
	}
}
