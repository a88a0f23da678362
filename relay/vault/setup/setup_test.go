package setup_test

import (
	"flag"
	"maps"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"

	"github.com/relaykeep/relaykeep/relay/vault/setup"
)

var update = flag.Bool("update", false, "rewrite the golden files")

func options() setup.Options {
	return setup.Options{
		Region: "eu", KubernetesHost: "https://10.96.0.1:443", KubernetesCA: "-----BEGIN CERTIFICATE-----\n(its authority)\n-----END CERTIFICATE-----\n",
		ReviewerToken: "a token not to be shown", EndpointDomain: "relay.example",
	}
}

func golden(t *testing.T, name, got string) {
	t.Helper()
	path := filepath.Join("testdata", name)
	if *update {
		if err := os.WriteFile(path, []byte(got), 0o600); err != nil {
			t.Fatal(err)
		}
	}
	want, err := os.ReadFile(path)
	if err != nil {
		t.Fatalf("%v (run with -update to write it)", err)
	}
	if diff := cmp.Diff(string(want), got); diff != "" {
		t.Errorf("%s changed (-want +got):\n%s", path, diff)
	}
}

func TestPlanIsPrintedForReviewWithoutSecrets(t *testing.T) {
	var text strings.Builder
	if err := setup.Print(&text, options(), "auth_kubernetes_1234"); err != nil {
		t.Fatal(err)
	}
	if strings.Contains(text.String(), options().ReviewerToken) {
		t.Error("the reviewer's token is printed")
	}
	golden(t, "plan.txt", text.String())
}

func TestMountsCanBeChosen(t *testing.T) {
	o := options()
	o.AuthPath, o.KVMount, o.TransitMount, o.PKIMount = "/k8s-eu/", "secret/relays", "keys-eu", "certs-eu"
	var text strings.Builder
	if err := setup.Print(&text, o, ""); err != nil {
		t.Fatal(err)
	}
	for _, gone := range []string{`"kv/`, `"transit/`, `"pki/`, "auth/kubernetes", "sys/mounts/kv"} {
		if strings.Contains(text.String(), gone) {
			t.Errorf("a default mount is left: %s", gone)
		}
	}
	if !strings.Contains(text.String(), "aliases.ACCESSOR.metadata") {
		t.Error("an unknown accessor is not marked")
	}
}

// Every path that a policy grants must hold both of the tenant's names, or be about
// the login's own token, or be the one PKI role that names check by themselves.
func TestPolicies_GrantOnlyTheTenantsOwnPaths(t *testing.T) {
	policies, err := setup.Policies(options(), "ACC")
	if err != nil {
		t.Fatal(err)
	}
	const namespace, account = "aliases.ACC.metadata.service_account_namespace}}", "aliases.ACC.metadata.service_account_name}}"
	shared := []string{`path "auth/token/renew-self" {`, `path "auth/token/revoke-self" {`, `path "pki/sign/relaykeep-relay-eu" {`}
	delete(policies, "relaykeep-keeper-eu") // no tenant's
	for _, name := range slices.Sorted(maps.Keys(policies)) {
		for line := range strings.Lines(policies[name]) {
			line = strings.TrimSpace(line)
			if !strings.HasPrefix(line, "path ") || slices.Contains(shared, line) {
				continue
			}
			if !strings.Contains(line, namespace) || !strings.Contains(line, account) || strings.Contains(strings.TrimSuffix(line, `/access/+" {`), "+") {
				t.Errorf("%s: %s", name, line)
			}
		}
		for _, word := range []string{"sudo", "patch", "sys/", "export", "backup"} {
			if strings.Contains(policies[name], `"`+word) {
				t.Errorf("%s grants %s", name, word)
			}
		}
	}
}

// The keeper reaches every wrapping key of its mount, and no more than it has to.
func TestKeepersPolicyNamesNothingButWrappingKeysAndItsReceipts(t *testing.T) {
	policies, err := setup.Policies(options(), "ACC")
	if err != nil {
		t.Fatal(err)
	}
	if n := strings.Count(policies["relaykeep-keeper-eu"], `"create"`); n != 1 {
		t.Errorf("the keeper may create at %d paths", n)
	}
	for line := range strings.Lines(policies["relaykeep-keeper-eu"]) {
		line = strings.TrimSpace(line)
		if strings.HasPrefix(line, "path ") && !strings.HasPrefix(line, `path "transit/keys`) && line != `path "auth/token/revoke-self" {` {
			if line != `path "kv-receipts/data/+/+/keeper/*" {` {
				t.Error(line)
			}
		}
		for _, word := range []string{`"delete"`, `"sudo"`, `"patch"`, "decrypt/", "datakey", "kv/", "deletion_allowed", "auto_rotate"} {
			if strings.Contains(line, word) && !strings.HasPrefix(line, "#") {
				t.Error(line)
			}
		}
	}
}

func TestOptionsThatLackSomethingAreRefusedWithWhatToDo(t *testing.T) {
	for name, c := range map[string]struct {
		spoil func(*setup.Options)
		says  string
	}{
		"no region":         {func(o *setup.Options) { o.Region = "" }, "region"},
		"no region's name":  {func(o *setup.Options) { o.Region = "eu/../x" }, "region"},
		"plain http":        {func(o *setup.Options) { o.KubernetesHost = "http://10.0.0.1" }, "https://"},
		"no host":           {func(o *setup.Options) { o.KubernetesHost = "" }, "https://"},
		"no authority":      {func(o *setup.Options) { o.KubernetesCA = "" }, "CA certificate"},
		"no reviewer":       {func(o *setup.Options) { o.ReviewerToken = "" }, "system:auth-delegator"},
		"settings' mount":   {func(o *setup.Options) { o.TransitMount = "transit-settings" }, "-settings"},
		"receipts' mount":   {func(o *setup.Options) { o.KVMount = "kv-receipts" }, "-receipts"},
		"no domain":         {func(o *setup.Options) { o.EndpointDomain = "" }, "endpoint domain"},
		"wildcard domain":   {func(o *setup.Options) { o.EndpointDomain = "*.test" }, "endpoint domain"},
		"several domains":   {func(o *setup.Options) { o.EndpointDomain = "a.test,b.test" }, "endpoint domain"},
		"templating domain": {func(o *setup.Options) { o.EndpointDomain = "{{x}}" }, "endpoint domain"},
	} {
		o := options()
		c.spoil(&o)
		_, err := setup.Plan(o, "")
		if err == nil || !strings.Contains(err.Error(), c.says) {
			t.Errorf("%s: %v", name, err)
		}
	}
}
