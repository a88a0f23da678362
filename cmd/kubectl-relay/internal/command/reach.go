package command

import (
	"context"
	"fmt"
	"net"
	"slices"
	"strings"
	"time"

	corev1 "k8s.io/api/core/v1"
	apierrors "k8s.io/apimachinery/pkg/api/errors"
	"sigs.k8s.io/controller-runtime/pkg/client"

	"github.com/relaykeep/relaykeep/api/contract"
	"github.com/relaykeep/relaykeep/api/v1alpha1"
	"github.com/relaykeep/relaykeep/cmd/kubectl-relay/internal/forward"
)

// forwardTimeout bounds the connecting to a relay's pod through the API server.
const forwardTimeout = 30 * time.Second

// way is how an endpoint is reached.
type way struct {
	// dial replaces the connection to the endpoint's host; nil for none.
	dial func(context.Context) (net.Conn, error)
	// plain says that no TLS is spoken there.
	plain bool
	// failed adds to the error of a call what this way has to do with it.
	failed func(error) error
	close  func()
}

// reach finds the way to a relay's endpoint: the address of --endpoint-address, or else the port of its pod, through the
// API server. Who may not open that port, or whose API server does not lead there, reaches it by its name, as the
// business's programs do.
func (f *endpointFlags) reach(ctx context.Context, cluster *cluster, k client.Client, relay *v1alpha1.BusinessRelay) (way, error) {
	if f.endpointAddress != "" {
		return f.given(), nil
	}
	ctx, cancel := context.WithTimeout(ctx, forwardTimeout)
	defer cancel()
	pod, err := runningPod(ctx, k, relay)
	switch {
	case apierrors.IsForbidden(err):
		return byName(err), nil
	case err != nil:
		return way{}, err
	}
	config, err := cluster.config()
	if err != nil {
		return way{}, err
	}
	forwarder, err := forward.Open(ctx, config, relay.Namespace, pod)
	if err != nil {
		return byName(err), nil // which tells it, if that fails as well
	}
	return throughPod(relay, pod, forwarder), nil
}

// given is the way to --endpoint-address.
func (f *endpointFlags) given() way {
	return way{
		dial: func(ctx context.Context) (net.Conn, error) {
			return new(net.Dialer).DialContext(ctx, "tcp", f.endpointAddress)
		},
		failed: func(err error) error { return fmt.Errorf("calling the relay at --endpoint-address: %w", err) },
		close:  func() {},
	}
}

// byName is the way to the endpoint's own host. Refused says why its pod cannot be used.
func byName(refused error) way {
	return way{
		failed: func(err error) error {
			return fmt.Errorf("calling the relay by its name: %w; nor can it be called through its pod: %w; if you reach the endpoint elsewhere, say where with --endpoint-address", err, refused)
		},
		close: func() {},
	}
}

// throughPod is the way through the API server to the port of a relay's pod.
func throughPod(relay *v1alpha1.BusinessRelay, pod string, forwarder *forward.Forwarder) way {
	return way{
		dial:  func(context.Context) (net.Conn, error) { return forwarder.Dial(contract.EndpointPort) },
		plain: relay.Spec.Endpoint.TerminateAtGateway,
		failed: func(err error) error {
			return fmt.Errorf("calling the relay through its pod %s: %w; see kubectl relay check relay/%s -n %s", pod, err, relay.Name, relay.Namespace)
		},
		close: func() { _ = forwarder.Close() },
	}
}

// runningPod returns the name of a pod of the relay that runs; of several, one that is ready. It reads each by its name,
// so that it takes the rights that kubectl port-forward takes, and no others.
func runningPod(ctx context.Context, k client.Reader, relay *v1alpha1.BusinessRelay) (string, error) {
	pods, err := runningPods(ctx, k, relay)
	if err != nil {
		return "", err
	}
	return pods[0], nil
}

// runningPods returns the names of all pods of the relay that run, of which there is one at least; those that are ready
// come first.
func runningPods(ctx context.Context, k client.Reader, relay *v1alpha1.BusinessRelay) ([]string, error) {
	if relay.Spec.Suspend {
		return nil, fmt.Errorf("relay %s is stopped by spec.suspend, and nothing of it answers: kubectl patch brelay %s -n %s --type merge -p '{\"spec\":{\"suspend\":false}}'", relay.Name, relay.Name, relay.Namespace)
	}
	var ready, running, idle []string
	for _, name := range podNames(relay) {
		var pod corev1.Pod
		switch err := k.Get(ctx, client.ObjectKey{Namespace: relay.Namespace, Name: name}, &pod); {
		case apierrors.IsNotFound(err):
			idle = append(idle, name+" is not there")
		case err != nil:
			return nil, explain(err, "pod "+name, "")
		case pod.DeletionTimestamp != nil:
			idle = append(idle, name+" is being deleted")
		case pod.Status.Phase != corev1.PodRunning:
			idle = append(idle, name+" is "+string(pod.Status.Phase))
		case isReady(&pod):
			ready = append(ready, name)
		default:
			running = append(running, name)
		}
	}
	running = append(ready, running...)
	if len(running) == 0 {
		return nil, fmt.Errorf("no pod of relay %s runs (%s): see kubectl relay check relay/%s -n %s", relay.Name, strings.Join(idle, ", "), relay.Name, relay.Namespace)
	}
	return running, nil
}

// podNames are the names of a relay's pods.
func podNames(relay *v1alpha1.BusinessRelay) []string {
	names := make([]string, max(1, relay.Spec.Replicas))
	for i := range names {
		names[i] = fmt.Sprintf("%s-%d", v1alpha1.TenantName(relay.Name), i)
	}
	return names
}

func isReady(pod *corev1.Pod) bool {
	return slices.ContainsFunc(pod.Status.Conditions, func(c corev1.PodCondition) bool {
		return c.Type == corev1.PodReady && c.Status == corev1.ConditionTrue
	})
}
