package command

import (
	"bytes"
	"net"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/spf13/cobra"
	"k8s.io/cli-runtime/pkg/genericiooptions"
)

// completed is what a shell is offered for a line, of which the last word is being typed.
func completed(t *testing.T, words ...string) []string {
	t.Helper()
	out, _, err := run(t, append([]string{cobra.ShellCompRequestCmd}, words...)...)
	check(t, err)
	lines := strings.Split(strings.TrimSpace(out), "\n")
	return lines[:len(lines)-1] // the last one is for the shell
}

func testCompletion(t *testing.T, k *kubernetes) {
	t.Setenv("KUBECONFIG", k.kubeconfig)
	for line, want := range map[string]string{
		"status -n acme ":                    "acme",
		"status -n acme b":                   "",
		"status -n acme acme ":               "",
		"export-customer -n acme acme ":      "", // never customers
		"rotate -n acme acme ":               "identity access",
		"connect ":                           "chatwoot n8n typebot",
		"connect n8n -n acme ":               "acme",
		"check ":                             "region/ relay/ regions relays",
		"check region/":                      "region/eu",
		"check -n acme relay/a":              "relay/acme",
		"check -n acme relay/acme region/e":  "region/eu",
		"check region ":                      "eu",
		"check pod/":                         "",
		"orphans --region ":                  "eu",
		"orphans ":                           "",
		"setup vault --region e":             "eu",
		"status --namespace ac":              "acme",
		"credentials acme -o ":               "text json yaml env ca",
		"completion ":                        "bash fish kubectl powershell zsh",
		"token create acme --for x --scope ": "send read media templates audit admin",
	} {
		if got := strings.Join(completed(t, strings.Split(line, " ")...), " "); got != want {
			t.Errorf("%q offers %q, want %q", line, got, want)
		}
	}
	t.Run("to every command that takes a relay", func(t *testing.T) {
		var walk func(*cobra.Command, []string)
		walk = func(cmd *cobra.Command, path []string) {
			form := strings.Fields(cmd.Use)
			if len(form) > 1 && strings.HasPrefix(strings.TrimPrefix(form[1], "["), "NAME") {
				if got := completed(t, append(path, "-n", "acme", "")...); !slices.Equal(got, []string{"acme"}) {
					t.Errorf("%v offers %q", path, got)
				}
			}
			for _, child := range cmd.Commands() {
				walk(child, append(path[:len(path):len(path)], child.Name()))
			}
		}
		walk(New(genericiooptions.NewTestIOStreamsDiscard(), "v1"), nil)
	})
	t.Run("as kubectl asks for them", func(t *testing.T) {
		var out bytes.Buffer
		root := New(genericiooptions.NewTestIOStreamsDiscard(), "v1")
		root.SetOut(&out)
		root.SetArgs(Args([]string{"/usr/bin/" + CompletionProgram, "status", "-n", "acme", ""}))
		check(t, root.ExecuteContext(t.Context()))
		if !strings.HasPrefix(out.String(), "acme\n:") {
			t.Errorf("kubectl is told %q", out.String())
		}
	})
	t.Run("that the user may see", func(t *testing.T) {
		t.Setenv("KUBECONFIG", k.user(t, "stranger"))
		if got := completed(t, "status", "-n", "acme", ""); len(got) != 0 {
			t.Errorf("a stranger is offered %q", got)
		}
	})
}

func TestCompletion_IsSilentAndSoonOverWithoutACluster(t *testing.T) {
	silent, err := net.Listen("tcp", "127.0.0.1:0") // takes connections and says nothing
	check(t, err)
	defer func() { _ = silent.Close() }()
	t.Setenv("HOME", t.TempDir())
	t.Setenv("KUBECONFIG", "")
	write := func(server string) string {
		file := filepath.Join(t.TempDir(), "config")
		check(t, os.WriteFile(file, []byte(`{apiVersion: v1, kind: Config, current-context: c, clusters: [{name: c, cluster: {server: "`+server+`"}}],
			contexts: [{name: c, context: {cluster: c}}, {name: d, context: {cluster: c}}]}`), 0o600))
		return "--kubeconfig=" + file
	}
	for name, args := range map[string][]string{
		"no kubeconfig":     {"status", ""},
		"nobody there":      {"status", write("https://127.0.0.1:1"), ""},
		"nobody who speaks": {"status", write("http://" + silent.Addr().String()), ""},
	} {
		start := time.Now()
		out, _, err := run(t, append([]string{cobra.ShellCompRequestCmd}, args...)...)
		check(t, err)
		if strings.TrimSpace(out) != ":4" { // no names, and no files
			t.Errorf("%s: offered %q", name, out)
		}
		if took := time.Since(start); took > 2*completionTime {
			t.Errorf("%s: it took %s", name, took)
		}
	}
	if got := completed(t, "status", write("https://127.0.0.1:1"), "--context", ""); strings.Join(got, " ") != "c d" {
		t.Errorf("contexts are %q", got)
	}
}

func TestCompletion_ScriptsAreForTheirShells(t *testing.T) {
	for shell, mark := range map[string]string{
		"bash": "complete -o default -F __start_kubectl-relay kubectl-relay", "zsh": "#compdef kubectl-relay",
		"fish": "complete -c kubectl-relay", "powershell": "Register-ArgumentCompleter -CommandName 'kubectl-relay'", "kubectl": `exec kubectl-relay __complete "$@"`,
	} {
		out, _, err := run(t, "completion", shell)
		check(t, err)
		if !strings.Contains(out, mark) {
			t.Errorf("%s gets:\n%.300s", shell, out)
		}
		if sh, err := exec.LookPath("sh"); err == nil && shell == "kubectl" {
			cmd := exec.CommandContext(t.Context(), sh, "-n")
			cmd.Stdin = strings.NewReader(out)
			check(t, cmd.Run())
		}
	}
}

func TestArgs_CompleteUnderTheNameThatKubectlLooksFor(t *testing.T) {
	for _, tt := range [][2][]string{
		{{"/bin/kubectl-relay", "status", "acme"}, {"status", "acme"}},
		{{"/bin/kubectl_complete-relay", "status", ""}, {"__complete", "status", ""}},
		{{"kubectl_complete-relay.exe", "status", ""}, {"__complete", "status", ""}},
		{nil, nil},
	} {
		if got := Args(tt[0]); !slices.Equal(got, tt[1]) {
			t.Errorf("%q are %q, want %q", tt[0], got, tt[1])
		}
	}
}
