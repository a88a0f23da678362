package command

import (
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	apierrors "k8s.io/apimachinery/pkg/api/errors"
	"k8s.io/apimachinery/pkg/api/meta"
	"k8s.io/apimachinery/pkg/runtime/schema"

	"github.com/relaykeep/relaykeep/cmd/kubectl-relay/internal/exit"
)

// refusals are commands that somebody without any right gives, and the permission that each lacks.
func refusals() map[string]string {
	return map[string]string{
		"status acme -n acme":                        "get businessrelays.relaykeep.dev in namespace acme: kubectl auth can-i get businessrelays.relaykeep.dev -n acme",
		"status -A":                                  "list businessrelays.relaykeep.dev in the whole cluster",
		"doctor -n acme":                             "list businessrelays.relaykeep.dev in namespace acme",
		"check region/eu":                            "get dataregions.relaykeep.dev in the whole cluster: kubectl auth can-i get dataregions.relaykeep.dev",
		"check relays -n acme":                       "list businessrelays.relaykeep.dev in namespace acme",
		"connect n8n acme -n acme":                   "get businessrelays.relaykeep.dev in namespace acme",
		"purge-now acme -n acme":                     "get cronjobs.batch in namespace acme",
		"rotate acme access -n acme":                 "get businessrelays.relaykeep.dev in namespace acme",
		"invite acme -n acme":                        "get businessrelays.relaykeep.dev in namespace acme",
		"orphans --region eu":                        "get dataregions.relaykeep.dev in the whole cluster",
		"token list --business-account shop -n acme": "list businessrelays.relaykeep.dev in namespace acme",
		"setup vault --region eu":                    "get dataregions.relaykeep.dev in the whole cluster",
	}
}

func testErrors(t *testing.T, k *kubernetes) {
	own := "--kubeconfig=" + k.kubeconfig
	stranger := "--kubeconfig=" + k.user(t, "stranger")
	noVaultInEnvironment(t)
	t.Run("name the permission that is missing", func(t *testing.T) {
		for line, want := range refusals() {
			_, _, err := run(t, append(strings.Fields(line), stranger)...)
			if exit.Code(err) != exit.Refused || !strings.Contains(err.Error(), "you lack the permission to "+want) {
				t.Errorf("%s: exit %d, %v", line, exit.Code(err), err)
			}
		}
	})
	t.Run("suggest the name that is meant", func(t *testing.T) {
		for line, want := range map[string]string{
			"status acm -n acme":          "there is no BusinessRelay acm in namespace acme; did you mean acme?",
			"credentials acne -n acme":    "did you mean acme?",
			"rotate acmee access -n acme": "did you mean acme?",
			"doctor acme -n default":      "there is one of that name in namespace acme: give it with -n",
			"purge-now acm -n acme":       "did you mean acme?",
			"erase acm -n acme":           "did you mean acme? If the object is gone",
			"check region/eo":             "there is no DataRegion eo; did you mean eu?",
			"check region/atlantis":       "there is no DataRegion atlantis; list all with: kubectl get dataregions",
			"invite unlike -n acme":       "there is no BusinessRelay unlike in namespace acme; try another namespace with -n",
		} {
			_, _, err := run(t, append(strings.Fields(line), own)...)
			if exit.Code(err) != exit.Failed || !strings.Contains(err.Error(), want) {
				t.Errorf("%s: exit %d, %v", line, exit.Code(err), err)
			}
		}
	})
}

func TestErrors_AboutTheKubeconfigSayWhatToSet(t *testing.T) {
	dir := t.TempDir()
	t.Setenv("HOME", dir)
	t.Setenv("KUBECONFIG", "")
	t.Setenv("KUBERNETES_SERVICE_HOST", "")
	file := filepath.Join(dir, "config")
	check(t, os.WriteFile(file, []byte(`{apiVersion: v1, kind: Config, current-context: prod,
		clusters: [{name: c, cluster: {server: "https://127.0.0.1:1"}}], contexts: [{name: prod, context: {cluster: c}}]}`), 0o600))
	without := filepath.Join(dir, "without")
	check(t, os.WriteFile(without, []byte(`{apiVersion: v1, kind: Config, clusters: [{name: c, cluster: {server: "https://127.0.0.1:1"}}], contexts: [{name: prod, context: {cluster: c}}]}`), 0o600))
	for name, tt := range map[string]struct {
		args []string
		want string
	}{
		"none":            {nil, "there is no kubeconfig, so no cluster is known: name the file with --kubeconfig or $KUBECONFIG"},
		"another context": {[]string{"--kubeconfig=" + file, "--context=prd"}, "did you mean prod?"},
		"no context":      {[]string{"--kubeconfig=" + without}, "the kubeconfig has no current context: choose one with --context"},
		"no such file":    {[]string{"--kubeconfig=" + file + "x"}, "no such file"},
		"nobody answers":  {[]string{"--kubeconfig=" + file}, "the API server cannot be reached"},
	} {
		t.Run(name, func(t *testing.T) {
			_, _, err := run(t, append([]string{"status", "acme"}, tt.args...)...)
			if exit.Code(err) != exit.Failed || !strings.Contains(err.Error(), tt.want) {
				t.Errorf("exit %d, %v", exit.Code(err), err)
			}
		})
	}
}

func TestExplained_SaysWhatAnErrorMeansWhoeverMeetsIt(t *testing.T) {
	policy := apierrors.NewForbidden(schema.GroupResource{Resource: "jobs"}, "x", errors.New("ValidatingAdmissionPolicy 'relaykeep-workloads' denied request"))
	err := explained(fmt.Errorf("running the janitor: %w", policy))
	if exit.Code(err) != exit.Refused || strings.Contains(err.Error(), "permission") || !strings.Contains(err.Error(), "relaykeep-workloads") {
		t.Errorf("of a policy: %v", err)
	}
	if err := explained(apierrors.NewUnauthorized("expired")); exit.Code(err) != exit.Refused || !strings.Contains(err.Error(), "log in again") {
		t.Errorf("of an expired login: %v", err)
	}
	unknown := &meta.NoKindMatchError{GroupKind: relayKind().GroupKind()}
	if err := explained(explain(unknown, "BusinessRelay acme", "")); err == nil || !strings.Contains(err.Error(), "install its chart") {
		t.Errorf("of a cluster without relays: %v", err)
	}
	plain := errors.New("disk full")
	if got := explained(plain); got != plain { //nolint:errorlint // it must be the same
		t.Errorf("of anything else: %v", got)
	}
}

func TestNear_IsNotTheNameItself(t *testing.T) {
	if got := near("acme", []string{"acme", "acmee", "globex"}); !slices.Equal(got, []string{"acmee"}) {
		t.Errorf("it is %v", got)
	}
}
