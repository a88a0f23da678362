//go:build e2e

package e2e

import (
	"context"
	"crypto/rand"
	"strings"
	"testing"

	"github.com/relaykeep/relaykeep/api/v1alpha1"
	"github.com/relaykeep/relaykeep/test/lab"
)

// TestDrift_IsBroughtBackAndTold changes what the operator made for a relay as an admin could, by hand.
func TestDrift_IsBroughtBackAndTold(t *testing.T) {
	for _, d := range []struct {
		name, object, patch, field, reason string
	}{
		{
			"an opened network policy", "networkpolicy/acme-relay", `{"spec":{"ingress":[{}]}}`,
			`{.spec.ingress[*].from[*].ipBlock.cidr}{.spec.ingress[0].ports[*].port}`, v1alpha1.ReasonNetworkPolicyChanged,
		},
		{
			"a janitor whose Jobs are suspended", "cronjob/acme-retention", `{"spec":{"jobTemplate":{"spec":{"suspend":true}}}}`,
			`{.spec.jobTemplate.spec.suspend}`, v1alpha1.ReasonChildChanged,
		},
		{
			"an external address", "service/acme-relay", `{"spec":{"externalIPs":["192.0.2.7"]}}`,
			`{.spec.externalIPs}`, v1alpha1.ReasonChildChanged,
		},
	} {
		t.Run(d.name, func(t *testing.T) {
			get := func(ctx context.Context) (string, error) {
				return environment.Kubectl(ctx, "get", d.object, "-n", lab.Acme.Name, "-o", "jsonpath="+d.field)
			}
			before, err := get(within(t))
			check(t, err)
			manager := "drift-" + strings.ToLower(rand.Text()[:8]) // no other run's event has it
			kubectl(t, "patch", d.object, "-n", lab.Acme.Name, "--type", "merge", "-p", d.patch, "--field-manager", manager)
			check(t, until(within(t), func(ctx context.Context) (bool, error) {
				now, err := get(ctx)
				return now == before, err
			}))
			check(t, until(within(t), func(ctx context.Context) (bool, error) {
				events, err := environment.Kubectl(ctx, "get", "events.events.k8s.io", "-n", lab.Acme.Name, "--field-selector", "reason="+d.reason, "-o", "jsonpath={.items[*].note}")
				name := d.object[strings.Index(d.object, "/")+1:]
				return strings.Contains(events, name+" was changed by "+manager), err
			}))
		})
	}
}
