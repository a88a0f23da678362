package charts

import (
	"bytes"
	"context"
	"encoding/json"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"

	appsv1 "k8s.io/api/apps/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"

	"github.com/relaykeep/relaykeep/test/nightly"
	"github.com/relaykeep/relaykeep/test/repository"
	"github.com/relaykeep/relaykeep/test/services/apiserver"
	"github.com/relaykeep/relaykeep/test/services/helm"
)

// cluster is an API server that Helm installs into. Nothing runs there, so nothing is waited for.
type cluster struct {
	*apiserver.Server
	t          *testing.T
	kubeconfig string
	program    string // Helm's
}

// helm runs Helm on the release and returns what it printed.
func (c *cluster) helm(args ...string) string {
	c.t.Helper()
	var out, complaint bytes.Buffer
	cmd := exec.CommandContext(c.t.Context(), c.program, append(args, "--namespace", "relaykeep-system", "--kubeconfig", c.kubeconfig)...)
	cmd.Stdout, cmd.Stderr = &out, &complaint
	if err := cmd.Run(); err != nil {
		c.t.Fatalf("helm %s: %v\n%s", strings.Join(args, " "), err, complaint.String())
	}
	return out.String()
}

// operator is the operator's Deployment.
func (c *cluster) operator() *appsv1.Deployment {
	c.t.Helper()
	d, err := c.Kube.AppsV1().Deployments("relaykeep-system").Get(c.t.Context(), "relaykeep-manager", metav1.GetOptions{})
	if err != nil {
		c.t.Fatal(err)
	}
	return d
}

// formerChart is the chart of the last release.
func formerChart(t *testing.T) string {
	t.Helper()
	dir := t.TempDir()
	archive := exec.CommandContext(t.Context(), "git", "archive", "--format=tar", repository.Released, "charts/relaykeep")
	root, err := repository.Root()
	if err != nil {
		t.Fatal(err)
	}
	archive.Dir = root
	files, err := archive.Output()
	if err != nil {
		t.Fatalf("this clone has no commit %s, which was released last: %v", repository.Released, err)
	}
	unpack := exec.CommandContext(t.Context(), "tar", "-xf", "-", "-C", dir)
	unpack.Stdin = bytes.NewReader(files)
	if out, err := unpack.CombinedOutput(); err != nil {
		t.Fatalf("unpacking the former chart: %v\n%s", err, out)
	}
	return filepath.Join(dir, "charts", "relaykeep")
}

// TestChart_InstallsAndUpgradesUnderEachHelm: the last release's chart becomes this one, by either Helm and from the older to
// the newer; the same chart again changes nothing; what businesses have stays when the release is removed.
func TestChart_InstallsAndUpgradesUnderEachHelm(t *testing.T) {
	if nightly.Or(false, true) {
		t.Skip("Helm 3 takes minutes to build: RELAYKEEP_NIGHTLY=1 runs it")
	}
	programs := map[string]func(context.Context) (string, error){
		"3": func(ctx context.Context) (string, error) { return helm.Build3(ctx, t.TempDir()) }, "4": helm.Path,
	}
	paths := map[string]string{}
	for version, path := range programs {
		var err error
		if paths[version], err = path(t.Context()); err != nil {
			t.Fatal(err)
		}
	}
	former := formerChart(t)
	for name, versions := range map[string][2]string{"Helm 4": {"4", "4"}, "Helm 3": {"3", "3"}, "Helm 3, then 4": {"3", "4"}} {
		t.Run(name, func(t *testing.T) {
			c := &cluster{Server: apiserver.StartT(t, apiserver.Options{}), t: t, program: paths[versions[0]]}
			c.kubeconfig = filepath.Join(t.TempDir(), "kubeconfig")
			if err := os.WriteFile(c.kubeconfig, c.Kubeconfig(), 0o600); err != nil {
				t.Fatal(err)
			}
			c.helm("install", "relaykeep", former, "--create-namespace")
			was := c.operator()
			c.program = paths[versions[1]]
			c.helm("upgrade", "relaykeep", "relaykeep", "--set", "image.tag=new")
			is := c.operator()
			if is.UID != was.UID || !strings.HasSuffix(is.Spec.Template.Spec.Containers[0].Image, ":new") {
				t.Errorf("after the upgrade the operator is %s of %s, and was %s", is.Spec.Template.Spec.Containers[0].Image, is.UID, was.UID)
			}
			c.helm("upgrade", "relaykeep", "relaykeep", "--set", "image.tag=new")
			if again := c.operator(); again.Generation != is.Generation {
				t.Error("the same chart again changes the operator")
			}
			var history []struct{ Status string }
			if err := json.Unmarshal([]byte(c.helm("history", "relaykeep", "--output", "json")), &history); err != nil || len(history) != 3 || history[2].Status != "deployed" {
				t.Errorf("the release's history is %+v, %v", history, err)
			}
			c.helm("uninstall", "relaykeep")
			kinds, err := c.Kube.Discovery().ServerResourcesForGroupVersion("relaykeep.dev/v1alpha1")
			if err != nil || len(kinds.APIResources) == 0 {
				t.Errorf("the definitions are gone, and all businesses' relays with them: %v", err)
			}
		})
	}
}
