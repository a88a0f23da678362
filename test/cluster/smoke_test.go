package main

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io/fs"
	"net"
	"net/http"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"
	"text/template"
	"time"

	"github.com/relaykeep/relaykeep/test/cluster/internal/build"
)

// smokeSwitch is the variable that lets the test use a running cluster: 1 for the repository's, or the directory of its state.
const smokeSwitch = "RELAYKEEP_CLUSTER_SMOKE"

// smokeImage is the cluster's own image with a shell.
const smokeImage = "cluster.relaykeep.test/tools:v1"

// pod is a pod of the test: a small web server with a shell beside it.
type pod struct{ Name, Role, Region, Claim string }

// smoke drives the running cluster through kubectl, as its administrator.
type smoke struct {
	kubectlPath, kubeconfig, state string
}

// kubectl runs kubectl; input may be empty.
func (s smoke) kubectl(ctx context.Context, input string, args ...string) (string, error) {
	cmd := exec.CommandContext(ctx, s.kubectlPath, args...)
	cmd.Env = append(os.Environ(), "KUBECONFIG="+s.kubeconfig)
	cmd.Stdin = strings.NewReader(input)
	out, err := cmd.CombinedOutput()
	return string(out), err
}

// must runs kubectl and fails the test when that fails.
func (s smoke) must(t *testing.T, input string, args ...string) string {
	t.Helper()
	out, err := s.kubectl(t.Context(), input, args...)
	if err != nil {
		t.Fatalf("kubectl %s: %v\n%s", strings.Join(args, " "), err, out)
	}
	return out
}

// fetch gets a URL from within a pod and returns what it answers, empty when nothing does within two seconds.
func (s smoke) fetch(ctx context.Context, from, url string) string {
	out, err := s.kubectl(ctx, "", "exec", "-n", "cluster-smoke", from, "--", "probe", "get", url)
	if err != nil {
		return ""
	}
	return strings.TrimSpace(out)
}

// eventually waits until the condition holds.
func eventually(t *testing.T, what string, condition func() bool) {
	t.Helper()
	for deadline := time.Now().Add(30 * time.Second); !condition(); {
		if time.Now().After(deadline) {
			t.Fatalf("not within 30 s: %s", what)
		}
	}
}

func newSmoke(t *testing.T) smoke {
	t.Helper()
	state := os.Getenv(smokeSwitch)
	if state == "" {
		t.Skipf("needs the running cluster (cluster up): set %s=1", smokeSwitch)
	}
	root, err := repository()
	if err != nil {
		t.Fatal(err)
	}
	dir, err := build.DefaultDir()
	if err != nil {
		t.Fatal(err)
	}
	cache := &build.Cache{Dir: dir, Sources: filepath.Join(root, "test", "cluster", "binaries"), Report: os.Stderr}
	path, err := cache.Path(t.Context(), "kubectl")
	if err != nil {
		t.Fatal(err)
	}
	if state == "1" {
		state = filepath.Join(root, ".cluster")
	}
	return smoke{kubectlPath: path, kubeconfig: filepath.Join(state, "kubeconfig"), state: state}
}

func manifest(t *testing.T, name string, data any) string {
	t.Helper()
	var b bytes.Buffer
	if err := template.Must(template.ParseFiles(filepath.Join("testdata", name))).Execute(&b, data); err != nil {
		t.Fatal(err)
	}
	return b.String()
}

// TestSmoke shows, on the running cluster, everything that its users rely on.
func TestSmoke(t *testing.T) {
	s := newSmoke(t)
	remove := func() {
		_, _ = s.kubectl(context.Background(), "", "delete", "namespace", "cluster-smoke", "--ignore-not-found", "--timeout=90s")
	}
	remove()
	t.Cleanup(remove)
	s.must(t, manifest(t, "smoke.yaml", map[string]any{
		"Image":   smokeImage,
		"Regions": []string{"na", "eu"},
		"Pods": []pod{
			{"web-na", "web", "na", "data-na"},
			{"web-eu", "web", "eu", "data-eu"},
			{"client-na", "client", "na", ""},
			{"client-eu", "client", "eu", ""},
			{"stranger-na", "stranger", "na", ""},
			{"stranger-eu", "stranger", "eu", ""},
		},
	}), "apply", "-f", "-")
	s.must(t, "", "wait", "-n", "cluster-smoke", "--for=condition=Ready", "pods", "--all", "--timeout=90s")
	t.Run("a storage class keeps volume and pod in its region", s.storage)
	t.Run("names and services work across nodes", s.services)
	t.Run("an administrator reaches into pods on both nodes", s.reach)
	t.Run("the restricted profile is enforced", s.restricted)
	t.Run("a node cannot claim a region for itself", s.nodeRestriction)
	t.Run("a token proves a service account to its reviewer", s.tokens)
	t.Run("network policies hold in both directions", s.policies)
	t.Run("a deleted claim's volume is removed", s.deletion)
}

func (s smoke) storage(t *testing.T) {
	for region, node := range map[string]string{"na": "na-1", "eu": "eu-1"} {
		got := s.must(t, "", "get", "pod", "-n", "cluster-smoke", "web-"+region, "-o", "jsonpath={.spec.nodeName}")
		if got != node {
			t.Errorf("web-%s runs on %s, want %s", region, got, node)
		}
		if s.volume(t, region, node) == "" {
			t.Errorf("no volume of node %s holds what web-%s wrote", node, region)
		}
		s.must(t, "", "patch", "pvc", "-n", "cluster-smoke", "data-"+region, "-p", `{"spec":{"resources":{"requests":{"storage":"32Mi"}}}}`)
		out, err := s.kubectl(t.Context(), "", "patch", "pvc", "-n", "cluster-smoke", "data-"+region,
			"-p", `{"spec":{"resources":{"requests":{"storage":"8Mi"}}}}`)
		if err == nil {
			t.Errorf("a volume was made smaller: %s", out)
		}
	}
}

// volume is the directory of what a region's web server wrote, empty when there is none.
func (s smoke) volume(t *testing.T, region, node string) string {
	t.Helper()
	files, err := filepath.Glob(filepath.Join(s.state, "nodes", node, "volumes", "*", "index.html"))
	if err != nil {
		t.Fatal(err)
	}
	for _, file := range files {
		content, err := os.ReadFile(file)
		if err == nil && strings.TrimSpace(string(content)) == "marker-of-web-"+region {
			return filepath.Dir(file)
		}
	}
	return ""
}

func (s smoke) deletion(t *testing.T) {
	dir := s.volume(t, "na", "na-1")
	s.must(t, "", "delete", "-n", "cluster-smoke", "pod/web-na", "pvc/data-na", "--now")
	eventually(t, "the volume is removed", func() bool {
		_, err := os.Stat(dir)
		return errors.Is(err, fs.ErrNotExist)
	})
	if s.volume(t, "eu", "eu-1") == "" {
		t.Error("another claim's volume is gone, too")
	}
}

func (s smoke) services(t *testing.T) {
	for _, from := range []string{"stranger-na", "stranger-eu"} {
		for _, region := range []string{"na", "eu"} {
			url := "http://web-" + region + ".cluster-smoke.svc.cluster.local/"
			if got := s.fetch(t.Context(), from, url); got != "marker-of-web-"+region {
				t.Errorf("%s gets %q from %s", from, got, url)
			}
		}
		out := s.must(t, "", "exec", "-n", "cluster-smoke", from, "--", "nslookup", "anything.eu.relay.test")
		if !strings.Contains(out, "10.99.0.1") {
			t.Errorf("%s does not find this machine by name: %s", from, out)
		}
	}
}

func (s smoke) reach(t *testing.T) {
	for _, name := range []string{"web-na", "web-eu"} {
		if out := s.must(t, "", "logs", "-n", "cluster-smoke", name); !strings.Contains(out, "serving "+name) {
			t.Errorf("the log of %s is %q", name, out)
		}
		out := s.must(t, "", "exec", "-n", "cluster-smoke", name, "--", "cat", "/data/index.html")
		if strings.TrimSpace(out) != "marker-of-"+name {
			t.Errorf("exec in %s prints %q", name, out)
		}
		s.forward(t, name)
	}
}

// forward fetches a page of the pod through a forwarded port.
func (s smoke) forward(t *testing.T, name string) {
	t.Helper()
	port := freePort(t, "127.0.0.1")
	ctx, cancel := context.WithCancel(t.Context())
	defer cancel()
	cmd := exec.CommandContext(ctx, s.kubectlPath, "port-forward", "-n", "cluster-smoke", name, fmt.Sprintf("%d:8080", port))
	cmd.Env = append(os.Environ(), "KUBECONFIG="+s.kubeconfig)
	if err := cmd.Start(); err != nil {
		t.Fatal(err)
	}
	defer func() { cancel(); _ = cmd.Wait() }()
	url := fmt.Sprintf("http://127.0.0.1:%d/", port)
	eventually(t, "a forwarded port answers for "+name, func() bool {
		response, err := http.Get(url)
		if err != nil {
			return false
		}
		defer response.Body.Close()
		return response.StatusCode == http.StatusOK
	})
}

func freePort(t *testing.T, address string) int {
	t.Helper()
	l, err := net.Listen("tcp", net.JoinHostPort(address, "0"))
	if err != nil {
		t.Fatal(err)
	}
	defer l.Close()
	return l.Addr().(*net.TCPAddr).Port
}

func (s smoke) restricted(t *testing.T) {
	out, err := s.kubectl(t.Context(), "", "run", "root", "-n", "cluster-smoke", "--image="+smokeImage, "--privileged")
	if err == nil || !strings.Contains(out, "violates PodSecurity") {
		t.Errorf("a privileged pod is answered with %v: %s", err, out)
	}
}

func (s smoke) nodeRestriction(t *testing.T) {
	kubelet := filepath.Join(s.state, "pki", "kubelet-na-1.kubeconfig")
	label := "node-restriction.kubernetes.io/relaykeep-region=eu"
	out, err := s.kubectl(t.Context(), "", "--kubeconfig", kubelet, "label", "node", "na-1", "--overwrite", label)
	if err == nil || !strings.Contains(out, "is not allowed to modify labels") {
		t.Errorf("a kubelet that labels its own node is answered with %v: %s", err, out)
	}
	out, err = s.kubectl(t.Context(), "", "--kubeconfig", kubelet, "get", "secrets", "-n", "kube-system")
	if err == nil {
		t.Errorf("a kubelet may list secrets: %s", out)
	}
	s.must(t, "", "--kubeconfig", kubelet, "get", "node", "na-1")
}

func (s smoke) tokens(t *testing.T) {
	token := strings.TrimSpace(s.must(t, "", "create", "token", "-n", "cluster-smoke", "default", "--audience=smoke.test"))
	for audience, want := range map[string]bool{"smoke.test": true, "other.test": false} {
		review := map[string]any{
			"apiVersion": "authentication.k8s.io/v1", "kind": "TokenReview",
			"spec": map[string]any{"token": token, "audiences": []string{audience}},
		}
		body, err := json.Marshal(review)
		if err != nil {
			t.Fatal(err)
		}
		got := s.must(t, string(body), "create", "-f", "-", "-o", "jsonpath={.status.authenticated}")
		if (got == "true") != want {
			t.Errorf("for the audience %s the token is authenticated: %q, want %v", audience, got, want)
		}
	}
	out := s.must(t, "", "get", "--raw", "/.well-known/openid-configuration")
	if !strings.Contains(out, `"issuer":"https://10.99.0.1:6443"`) {
		t.Errorf("the issuer is described as %s", out)
	}
}

func (s smoke) policies(t *testing.T) {
	open, closed := serveHere(t), serveHere(t)
	s.must(t, manifest(t, "policies.yaml", map[string]any{"Port": open}), "apply", "-f", "-")
	here := func(port int) string { return fmt.Sprintf("http://10.99.0.1:%d/", port) }
	eu, na := "http://web-eu.cluster-smoke/", "http://web-na.cluster-smoke/"
	eventually(t, "web-eu is closed to strangers of its own node", func() bool { return s.fetch(t.Context(), "stranger-eu", eu) == "" })
	eventually(t, "web-na is out of reach of clients", func() bool { return s.fetch(t.Context(), "client-na", na) == "" })
	eventually(t, "this machine is out of reach of clients", func() bool { return s.fetch(t.Context(), "client-eu", here(closed)) == "" })
	for _, c := range []struct {
		from, url string
		reaches   bool
	}{
		{"client-na", eu, true},
		{"client-eu", eu, true},
		{"stranger-na", eu, false},
		{"stranger-eu", eu, false},
		{"client-na", na, false},
		{"client-eu", na, false},
		{"stranger-na", na, true},
		{"stranger-eu", na, true},
		{"client-na", here(open), true},
		{"client-eu", here(open), true},
		{"client-na", here(closed), false},
		{"client-eu", here(closed), false},
		{"stranger-na", here(closed), true},
		{"stranger-eu", here(closed), true},
	} {
		if got := s.fetch(t.Context(), c.from, c.url) != ""; got != c.reaches {
			t.Errorf("%s reaches %s: %v, want %v", c.from, c.url, got, c.reaches)
		}
	}
}

// serveHere serves a page on this machine, at the address that pods know it by, and returns the port.
func serveHere(t *testing.T) int {
	t.Helper()
	l, err := net.Listen("tcp", "10.99.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	server := &http.Server{
		ReadHeaderTimeout: 5 * time.Second,
		Handler:           http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) { fmt.Fprintln(w, "here") }),
	}
	go func() { _ = server.Serve(l) }()
	t.Cleanup(func() { _ = server.Close() })
	return l.Addr().(*net.TCPAddr).Port
}
