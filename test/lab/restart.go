package lab

import (
	"context"
	"fmt"
	"net"
	"strconv"

	corev1 "k8s.io/api/core/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/types"

	"github.com/relaykeep/relaykeep/api/contract"
	"github.com/relaykeep/relaykeep/api/v1alpha1"
)

// RestartRelay replaces a business's relay and waits until its successor is Ready
// and answers.
func (l *Lab) RestartRelay(ctx context.Context, b *Business) error {
	pod, err := l.RelayPod(ctx, b)
	if err != nil {
		return err
	}
	if err := l.kube.Delete(ctx, pod); err != nil {
		return fmt.Errorf("ending the relay of %s: %w", b.Name, err)
	}
	wait, cancel := context.WithTimeout(ctx, relayPatience)
	defer cancel()
	if err := l.waitSuccessor(wait, b, pod.UID); err != nil {
		return fmt.Errorf("%w\n%s", err, l.trouble(ctx, b))
	}
	return nil
}

func (l *Lab) waitSuccessor(ctx context.Context, b *Business, former types.UID) error {
	err := Poll(ctx, func(ctx context.Context) error {
		next, err := l.RelayPod(ctx, b)
		if err != nil {
			return err
		}
		if next.UID == former || !ready(next) {
			return fmt.Errorf("the relay of %s has no successor that is ready", b.Name)
		}
		return l.reachable(ctx, b)
	})
	if err != nil {
		return err
	}
	_, err = l.WaitCondition(ctx, b.Relay(), v1alpha1.ConditionReady, metav1.ConditionTrue)
	return err
}

func ready(pod *corev1.Pod) bool {
	for _, c := range pod.Status.Conditions {
		if c.Type == corev1.PodReady {
			return c.Status == corev1.ConditionTrue
		}
	}
	return false
}

// reachable fails until the Service of a business's endpoint leads to a relay, which
// is a moment after that is ready. On a cluster that is not the lab's own, Services
// cannot be reached from here.
func (l *Lab) reachable(ctx context.Context, b *Business) error {
	if !l.own {
		return nil
	}
	address, err := l.serviceAddress(ctx, b)
	if err != nil {
		return err
	}
	conn, err := new(net.Dialer).DialContext(ctx, "tcp", net.JoinHostPort(address, strconv.Itoa(int(contract.EndpointPort))))
	if err != nil {
		return fmt.Errorf("reaching the endpoint of %s: %w", b.Name, err)
	}
	return conn.Close()
}

// serviceAddress is the address of a business's Service within the cluster.
func (l *Lab) serviceAddress(ctx context.Context, b *Business) (string, error) {
	var service corev1.Service
	if err := l.kube.Get(ctx, types.NamespacedName{Namespace: b.Name, Name: b.Tenant()}, &service); err != nil {
		return "", fmt.Errorf("reading the Service of %s: %w", b.Name, err)
	}
	return service.Spec.ClusterIP, nil
}
