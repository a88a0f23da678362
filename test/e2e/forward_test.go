//go:build e2e

package e2e

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/relaykeep/relaykeep/test/lab"
)

// clerk may read acme's credentials, and not forward ports until its second rule allows it.
const clerk = `
apiVersion: rbac.authorization.k8s.io/v1
kind: ClusterRole
metadata: {name: e2e-clerk}
rules:
  - {apiGroups: [relaykeep.dev], resources: [businessrelays, dataregions], verbs: [get]}
  - {apiGroups: [""], resources: [serviceaccounts/token], verbs: [create]}
  - {apiGroups: [""], resources: [pods], verbs: [get]}
  - {apiGroups: [""], resources: [%s], verbs: [create]}
---
apiVersion: rbac.authorization.k8s.io/v1
kind: ClusterRoleBinding
metadata: {name: e2e-clerk}
roleRef: {apiGroup: rbac.authorization.k8s.io, kind: ClusterRole, name: e2e-clerk}
subjects: [{apiGroup: rbac.authorization.k8s.io, kind: User, name: clerk}]
`

// TestForward_ExportsAndErasesAPersonWithoutAFlag has the plugin reach acme's relay through a real kubelet: this machine
// does not know the endpoint's name.
func TestForward_ExportsAndErasesAPersonWithoutAFlag(t *testing.T) {
	customer := environment.CustomerAs("+491713920047")
	chat, err := customer.Say(within(t), lab.Acme, "Please forget me afterwards", 0)
	check(t, err)
	check(t, chat.Wait(within(t)))
	export := func(ctx context.Context, more ...string) (exported struct{ Messages []any }, err error) {
		text, err := environment.Kubectl(ctx, append([]string{"relay", "export-customer", lab.Acme.Name, customer.Number, "-n", lab.Acme.Name}, more...)...)
		if err != nil {
			return exported, err
		}
		return exported, json.Unmarshal([]byte(text), &exported)
	}
	t.Run("exports what they wrote", func(t *testing.T) {
		check(t, lab.Poll(within(t), func(ctx context.Context) error {
			exported, err := export(ctx)
			if err == nil && len(exported.Messages) == 0 {
				err = errors.New("the message has not arrived")
			}
			return err
		}))
	})
	t.Run("names the permission that somebody lacks", func(t *testing.T) {
		t.Cleanup(func() {
			_, err := environment.Kubectl(withoutTest(), "delete", "clusterrole,clusterrolebinding", "e2e-clerk")
			check(t, err)
		})
		may := func(resource string) {
			_, err := environment.Apply(within(t), fmt.Sprintf(clerk, resource))
			check(t, err)
			check(t, lab.Poll(within(t), func(ctx context.Context) error { // authorizers learn of it soon
				resource, sub, _ := strings.Cut(resource, "/") // after a slash it takes a name
				_, err := environment.Kubectl(ctx, "auth", "can-i", "create", resource, "--subresource", sub, "-n", lab.Acme.Name, "--as=clerk")
				return err
			}))
		}
		may("pods/eviction")
		_, err := export(within(t), "--as=clerk")
		if err == nil {
			t.Fatal("it needed no permission")
		}
		contains(t, err.Error(), "nor can it be called through its pod", "you lack the permission to create pods/portforward in namespace acme")
		may("pods/portforward")
		_, err = export(within(t), "--as=clerk")
		check(t, err)
	})
	t.Run("erases them", func(t *testing.T) {
		contains(t, kubectl(t, "relay", "erase-customer", lab.Acme.Name, customer.Number, "-n", lab.Acme.Name, "--yes"), "Erased")
		if _, err := export(within(t)); err == nil || !strings.Contains(err.Error(), "stores nothing about this person") {
			t.Errorf("afterwards: %v", err)
		}
	})
}

// TestCheck_SaysHowARegionIs asks about the regions and relays of the cluster.
func TestCheck_SaysHowARegionIs(t *testing.T) {
	contains(t, kubectl(t, "relay", "check", "region/eu", "relay/acme", "-n", lab.Acme.Name),
		"DataRegion eu\n", "nodes: 1 of 1 take relays", "storage class "+lab.EU.StorageClass+": there", "that tell have their keys", "carrier "+lab.EU.Domain,
		"BusinessRelay acme/acme\n", "pod acme-relay-0: Running on", "Nothing is wrong with 1 relay and 1 region.")
}

// TestCompletion_IsWhatKubectlOffers has kubectl itself complete what follows its plugin's name.
func TestCompletion_IsWhatKubectlOffers(t *testing.T) {
	program := filepath.Join(t.TempDir(), "kubectl_complete-relay")
	check(t, os.WriteFile(program, []byte(kubectl(t, "relay", "completion", "kubectl")), 0o755))
	out, err := environment.Shell(within(t), fmt.Sprintf("PATH=%s:$PATH kubectl __complete relay check -n %s relay/", filepath.Dir(program), lab.Acme.Name))
	check(t, err)
	if !strings.HasPrefix(out, "relay/"+lab.Acme.Name+"\n") {
		t.Errorf("it offers %q", out)
	}
}
