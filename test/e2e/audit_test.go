//go:build e2e

package e2e

import (
	"context"
	"encoding/json"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"github.com/relaykeep/relaykeep/test/lab"
)

// audited are the checks of one relay: how each ended, and what was seen.
type audited map[string]struct{ state, detail string }

// auditAcme audits acme's relay with the rights of the admins of cluster and Vault.
func auditAcme(t *testing.T) audited {
	t.Helper()
	// It exits with 1 if something is broken, and prints its report all the same.
	out, failed := environment.AsVaultAdmin(within(t), lab.EU, "relay", "audit", lab.Acme.Name, "-n", lab.Acme.Name, "--probe-network", "-o", "json")
	var report struct {
		Relays []struct {
			Checks []struct{ ID, State, Detail string }
		}
	}
	if err := json.Unmarshal([]byte(out), &report); err != nil || len(report.Relays) != 1 {
		t.Fatalf("the audit: %v, %v", err, failed)
	}
	checks := audited{}
	for _, c := range report.Relays[0].Checks {
		checks[c.ID] = struct{ state, detail string }{c.State, c.Detail}
	}
	return checks
}

// TestAudit_TellsWhatHoldsOnTheCluster audits acme, and again after a network policy was deleted while the operator was
// stopped: the network itself then shows that it is open.
func TestAudit_TellsWhatHoldsOnTheCluster(t *testing.T) {
	checks := auditAcme(t)
	for id, c := range checks {
		switch {
		case id == "hidden-numbers" && c.state == "by design": // the business is told numbers
		case id == "release" && c.state == "not tried": // no release was named
		case slices.Contains([]string{"janitor-runs", "keeper-runs", "keys"}, id) && c.state == "not tried": // neither ran yet
		case c.state != "kept":
			t.Errorf("%s is %s: %s", id, c.state, c.detail)
		}
	}
	scale := func(replicas string) {
		kubectl(t, "scale", "deployment", "--all", "-n", lab.Namespace, "--replicas="+replicas)
	}
	scale("0")
	defer func() {
		scale("1")
		check(t, until(within(t), func(ctx context.Context) (bool, error) {
			policies, err := environment.Kubectl(ctx, "get", "networkpolicy", "-n", lab.Acme.Name, "-o", "name")
			return strings.Contains(policies, "acme-relay"), err
		}))
	}()
	kubectl(t, "wait", "pod", "-n", lab.Namespace, "-l", "app.kubernetes.io/component=manager", "--for=delete", "--timeout=60s")
	kubectl(t, "delete", "networkpolicy", "acme-relay", "-n", lab.Acme.Name)
	checks = auditAcme(t)
	for _, id := range []string{"relay-network", "reach"} {
		if c := checks[id]; c.state != "broken" {
			t.Errorf("without the policy, %s is %s: %s", id, c.state, c.detail)
		}
	}
}

// TestAudit_CanaryLeavesNothing sends a canary through acme's relay and has it looked for in the cluster's own files.
func TestAudit_CanaryLeavesNothing(t *testing.T) {
	places, err := environment.Places(within(t), lab.Acme)
	check(t, err)
	// In a cluster at rest, nothing may be written into etcd between a step and the search.
	prepare := filepath.Join(t.TempDir(), "prepare")
	check(t, os.WriteFile(prepare, []byte("#!/bin/sh\nexec kubectl annotate namespace "+lab.Acme.Name+" example.org/canary=$1 --overwrite >/dev/null\n"), 0o700))
	t.Cleanup(func() {
		_, err := environment.Kubectl(withoutTest(), "annotate", "namespace", lab.Acme.Name, "example.org/canary-")
		check(t, err)
	})
	out, failed := environment.AsVaultAdmin(within(t), lab.EU, "relay", "audit", lab.Acme.Name, "-n", lab.Acme.Name, "--canary", "-o", "json", "--prepare", prepare,
		"--search", "volume="+places.Blind[0], "--search", "etcd="+places.Blind[1], "--search", "carrier="+environment.ProsodyData(lab.EU))
	var report struct {
		Canary struct {
			Steps     []struct{ ID, State, Detail string }
			Sightings []struct{ Place, Data, State, Detail string }
		}
	}
	if err := json.Unmarshal([]byte(out), &report); err != nil || len(report.Canary.Steps) == 0 || len(report.Canary.Sightings) == 0 {
		t.Fatalf("the audit: %v, %v", err, failed)
	}
	for _, s := range report.Canary.Steps {
		if s.State != "kept" {
			t.Errorf("%s is %s: %s", s.ID, s.State, s.Detail)
		}
	}
	for _, s := range report.Canary.Sightings {
		want := "kept"
		if s.Place == "carrier" && s.Data == "customer's number" {
			want = "by design"
		}
		if s.State != want {
			t.Errorf("%s in %s is %s: %s", s.Data, s.Place, s.State, s.Detail)
		}
	}
}
