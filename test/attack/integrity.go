package attack

import (
	"context"
	"fmt"

	corev1 "k8s.io/api/core/v1"
	"sigs.k8s.io/controller-runtime/pkg/client"

	"github.com/relaykeep/relaykeep/api/contract"
	"github.com/relaykeep/relaykeep/api/v1alpha1"
	"github.com/relaykeep/relaykeep/test/lab"
)

// configured has a user change one file of the configuration of acme's relay, not really.
func configured(user, file string, edit func(string) string) act {
	return func(ctx context.Context, s *Scene) error {
		now := &corev1.ConfigMap{}
		if err := s.lab.Client().Get(ctx, client.ObjectKey{Namespace: "acme", Name: "acme-relay"}, now); err != nil {
			return fmt.Errorf("preparing: %w", err)
		}
		before := now.DeepCopy()
		now.Data[file] = edit(now.Data[file])
		return by(user, func(ctx context.Context, c client.Client) error {
			return c.Patch(ctx, now, client.MergeFrom(before), client.DryRunAll)
		})(ctx, s)
	}
}

// labelled has a user change what acme's configuration says beside its files, not really.
func labelled(user string) act {
	return by(user, func(ctx context.Context, c client.Client) error {
		o := &corev1.ConfigMap{}
		o.SetNamespace("acme")
		o.SetName("acme-relay")
		return c.Patch(ctx, o, client.RawPatch("application/merge-patch+json", []byte(`{"metadata":{"annotations":{"attack":"none"}}}`)), client.DryRunAll)
	})
}

// atTheLimits are attempts to lift what holds a business back that writes to many strangers.
func atTheLimits() []Attempt {
	const ours = "the admission policy relaykeep-configuration-business"
	unlimited := func(string) string { return `{"version":1,"limits":"Exempt","relays":1,"others":0}` }
	exempt := func(user string) act {
		return by(user, func(ctx context.Context, c client.Client) error {
			o := &v1alpha1.DataRegion{}
			o.SetName(lab.EU.Name)
			patch := client.RawPatch("application/merge-patch+json", []byte(`{"spec":{"integrity":{"exemptNamespaces":["acme"]}}}`))
			return c.Patch(ctx, o, patch, client.DryRunAll)
		})
	}
	elsewhere := func(p *corev1.PodSpec) {
		for i, v := range p.Volumes {
			if v.ConfigMap != nil && v.ConfigMap.Items[0].Key == contract.IntegrityFile {
				p.Volumes[i].ConfigMap = v.ConfigMap.DeepCopy()
				p.Volumes[i].ConfigMap.Name = "attack"
			}
		}
	}
	const who = "acme's admin"
	return []Attempt{
		{who, "lifts the limits of acme's relay in integrity.json", ours, "the operator, which sums the namespace's up", configured(acmeAdmin, contract.IntegrityFile, unlimited), configured(operator, contract.IntegrityFile, unlimited), byPolicy},
		{who, "makes a pod of acme's relay that reads integrity.json out of a ConfigMap of their own", workloadsPolicy, "acme's admin, out of the relay's", changedPodOfRelay("acme-relay-1", elsewhere, nil), podOfRelay("acme-relay-1"), byPolicy},
		{who, "exempts acme's namespace in the DataRegion", "Kubernetes RBAC", "the cluster's admin", exempt(acmeAdmin), exempt(admin), byRBAC},
		{acmesPod, "lifts its own limits in integrity.json", rights, "the operator", configured(acmeAccount, contract.IntegrityFile, unlimited), configured(operator, contract.IntegrityFile, unlimited), byRBAC},
	}
}
