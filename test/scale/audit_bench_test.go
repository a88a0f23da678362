package scale_test

import (
	"bytes"
	"context"
	"encoding/json"
	"os"
	"os/exec"
	"path/filepath"
	"testing"
	"time"

	corev1 "k8s.io/api/core/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/apis/meta/v1/unstructured"
	utilyaml "k8s.io/apimachinery/pkg/util/yaml"

	"github.com/relaykeep/relaykeep/api/v1alpha1"
	"github.com/relaykeep/relaykeep/test/repository"
)

// audited is how many relays are audited.
const audited = 100

// BenchmarkAudit measures kubectl relay audit --all. Nothing answers at Vault and at pods' ports here: an audit that waits
// for those takes no less time than one that is answered.
func BenchmarkAudit(b *testing.B) {
	program, c := buildManager(b), startCluster(b)
	_, kubeconfig := c.user("relaykeep-manager", "config", "rbac", "role.yaml")
	file := filepath.Join(b.TempDir(), "manager.kubeconfig")
	check(b, os.WriteFile(file, kubeconfig, 0o600))
	startManager(b, program, file)
	c.create(&corev1.ServiceAccount{ObjectMeta: metav1.ObjectMeta{Namespace: operatorNamespace, Name: "relaykeep-manager"}})
	c.addRegions()
	up := counted(c, &v1alpha1.BusinessRelayList{}, audited, func(r *v1alpha1.BusinessRelay) bool {
		return is(r.Status.Conditions, v1alpha1.ConditionReady)
	})
	each(b, audited, func(ctx context.Context, n int) error { return c.admin.Create(ctx, relay(n)) })
	up()
	c.installPolicies()

	plugin := filepath.Join(b.TempDir(), "kubectl-relay")
	out, err := exec.CommandContext(b.Context(), "go", "build", "-trimpath", "-ldflags", "-s -w", "-o", plugin, "../../cmd/kubectl-relay").CombinedOutput()
	if err != nil {
		b.Fatalf("building kubectl-relay: %v\n%s", err, out)
	}
	_, kubeconfig = c.user("auditor")
	check(b, os.WriteFile(file, kubeconfig, 0o600))
	var report, complaint bytes.Buffer
	audit := exec.CommandContext(b.Context(), plugin, "audit", "--all", "-o", "json", "--kubeconfig", file)
	audit.Env = append(os.Environ(), "VAULT_TOKEN=", "VAULT_ADDR=", "HOME="+b.TempDir())
	audit.Stdout, audit.Stderr = &report, &complaint
	before, begun := c.requests(), time.Now()
	_ = audit.Run() // which exits with what it found
	b.ReportMetric(float64(time.Since(begun).Nanoseconds()), "audit-ns/op")
	asked := c.requests().since(before)
	b.ReportMetric((asked.reads+asked.writes)/audited, "requests/relay")
	var told struct {
		Relays []struct {
			Checks []struct{ ID, State string }
		}
	}
	if err := json.Unmarshal(report.Bytes(), &told); err != nil || len(told.Relays) != audited {
		b.Fatalf("the audit of %d relays: %v\n%s", len(told.Relays), err, complaint.String())
	}
	for _, r := range told.Relays {
		for _, check := range r.Checks {
			if (check.ID == "workloads" || check.ID == "relay-network" || check.ID == "account-rights") && check.State != "kept" {
				b.Errorf("%s is %s", check.ID, check.State)
			}
		}
	}
}

// installPolicies installs the admission policies.
func (c *cluster) installPolicies() {
	c.tb.Helper()
	folder, err := repository.File("config", "admission")
	check(c.tb, err)
	files, err := filepath.Glob(filepath.Join(folder, "*.yaml"))
	check(c.tb, err)
	for _, file := range files {
		data, err := os.ReadFile(file)
		check(c.tb, err)
		documents := utilyaml.NewYAMLToJSONDecoder(bytes.NewReader(data))
		for {
			object := &unstructured.Unstructured{}
			if documents.Decode(object) != nil {
				break
			}
			c.create(object)
		}
	}
}
