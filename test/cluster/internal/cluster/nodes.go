package cluster

import (
	"context"
	"errors"
	"fmt"
	"time"

	"github.com/relaykeep/relaykeep/test/cluster/internal/api"
	"github.com/relaykeep/relaykeep/test/cluster/internal/config"
	"github.com/relaykeep/relaykeep/test/cluster/internal/host"
)

// ensureKubelet starts a node's kubelet and waits until the node is ready by a report of that very kubelet.
func (u *up) ensureKubelet(n config.Node) func(context.Context) (string, error) {
	return func(ctx context.Context) (string, error) {
		since := time.Now().Add(-reportAge)
		if _, alive := u.table().Alive("kubelet-" + n.Name); !alive {
			// What an earlier one reported does not count. Reports have whole seconds.
			since = time.Now().Truncate(time.Second)
		}
		return u.running(ctx, u.kubelet(n), func(ctx context.Context) error { return nodeReady(ctx, u.api, n.Name, since) })
	}
}

// ensureProxy starts a node's kube-proxy and waits until Services have addresses there.
func (u *up) ensureProxy(n config.Node) func(context.Context) (string, error) {
	return func(ctx context.Context) (string, error) {
		return u.running(ctx, u.proxy(n), func(ctx context.Context) error { return host.Proxied(ctx, u.namespace(n)) })
	}
}

// ensureRouter starts a node's kube-router and waits until NetworkPolicies hold there.
func (u *up) ensureRouter(n config.Node) func(context.Context) (string, error) {
	return func(ctx context.Context) (string, error) {
		return u.running(ctx, u.router(n), func(ctx context.Context) error { return host.Enforced(ctx, u.namespace(n)) })
	}
}

// reportAge is how old a kubelet's last sign of life may be: it gives one every few seconds.
const reportAge = 40 * time.Second

// nodeReady fails unless the node is ready by a report from since then or later.
func nodeReady(ctx context.Context, client *api.Client, name string, since time.Time) error {
	var node struct {
		Status struct {
			Conditions []struct {
				Type, Status, Message string
				LastHeartbeatTime     time.Time
			}
		}
	}
	if err := client.Get(ctx, "/api/v1/nodes/"+name, &node); err != nil {
		return err
	}
	for _, c := range node.Status.Conditions {
		switch {
		case c.Type != "Ready":
		case c.LastHeartbeatTime.Before(since):
			return errors.New("its kubelet gives no sign of life")
		case c.Status != "True":
			return fmt.Errorf("the node is not ready: %s", c.Message)
		default:
			return nil
		}
	}
	return errors.New("the node says nothing about itself yet")
}

// ensureLabels gives a registered node what only an administrator may give it. The region's label is of a kind that kubelets cannot
// set themselves.
func (u *up) ensureLabels(n config.Node) func(context.Context) (string, error) {
	return func(ctx context.Context) (string, error) {
		type object = map[string]any
		return "set", u.api.Merge(ctx, "/api/v1/nodes/"+n.Name, object{
			"metadata": object{"labels": object{
				"topology.kubernetes.io/region":                   n.Region,
				"topology.kubernetes.io/zone":                     n.Zone,
				"node-restriction.kubernetes.io/relaykeep-region": n.Label,
			}},
			"spec": object{"podCIDR": n.PodRange, "podCIDRs": []string{n.PodRange}},
		})
	}
}

// ensureDNS applies the name server and waits until one answers on every node. It needs every part of the cluster to work, so it
// is the last step and the proof of all others.
func (u *up) ensureDNS(ctx context.Context) (string, error) {
	objects := u.ensureObjects(config.DNS)
	if _, err := objects(ctx); err != nil {
		return "", err
	}
	for {
		failure := dnsReady(ctx, u.api, len(u.all()))
		if failure == nil {
			return "answers on every node", nil
		}
		select {
		case <-ctx.Done():
			return "", fmt.Errorf("%w: %w", ctx.Err(), failure)
		case <-time.After(pollEvery):
		}
	}
}

func dnsReady(ctx context.Context, client *api.Client, want int) error {
	var deployment struct {
		Metadata struct{ Generation int64 }
		Status   struct {
			ObservedGeneration             int64
			UpdatedReplicas, ReadyReplicas int
		}
	}
	if err := client.Get(ctx, "/apis/apps/v1/namespaces/kube-system/deployments/coredns", &deployment); err != nil {
		return err
	}
	s := deployment.Status
	if s.ObservedGeneration < deployment.Metadata.Generation || s.UpdatedReplicas < want || s.ReadyReplicas < want {
		return fmt.Errorf("%d of %d name servers are ready", s.ReadyReplicas, want)
	}
	return nil
}
