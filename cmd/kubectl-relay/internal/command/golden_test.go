package command

import (
	"bytes"
	"flag"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
	"github.com/spf13/cobra"
	"k8s.io/cli-runtime/pkg/genericiooptions"

	"github.com/relaykeep/relaykeep/cmd/kubectl-relay/internal/exit"
)

var update = flag.Bool("update", false, "write what is rendered to the golden files")

// golden compares what was rendered with testdata/<name>; -update writes it.
func golden(t *testing.T, name, got string) {
	t.Helper()
	path := filepath.Join("testdata", name)
	if *update {
		check(t, os.MkdirAll(filepath.Dir(path), 0o755))
		check(t, os.WriteFile(path, []byte(got), 0o644))
	}
	want, err := os.ReadFile(path)
	check(t, err)
	if diff := cmp.Diff(string(want), got); diff != "" {
		t.Errorf("%s is not what is rendered now (-file +now; rewrite with -update):\n%s", path, diff)
	}
}

// run runs a command line and returns what it printed.
func run(t *testing.T, args ...string) (stdout, stderr string, err error) {
	t.Helper()
	var out, errOut bytes.Buffer
	root := New(genericiooptions.IOStreams{In: strings.NewReader(""), Out: &out, ErrOut: &errOut}, "v1.2.3")
	root.SetArgs(args)
	err = root.ExecuteContext(t.Context())
	return out.String(), errOut.String(), err
}

func TestHelp(t *testing.T) {
	t.Setenv("HOME", "/home/somebody")
	var walk func(cmd *cobra.Command, path []string)
	walk = func(cmd *cobra.Command, path []string) {
		if cmd.Name() == "help" {
			return
		}
		t.Run(cmd.CommandPath(), func(t *testing.T) {
			out, _, err := run(t, append(path, "--help")...)
			check(t, err)
			golden(t, filepath.Join("help", strings.Join(append([]string{"kubectl-relay"}, path...), "-")+".txt"), out)
		})
		for _, child := range cmd.Commands() {
			walk(child, append(path[:len(path):len(path)], child.Name()))
		}
	}
	walk(New(genericiooptions.NewTestIOStreamsDiscard(), "v1.2.3"), nil)
}

func TestVersionIsTheBuilds(t *testing.T) {
	for _, ask := range []string{"version", "--version"} {
		out, _, err := run(t, ask)
		check(t, err)
		if out != "v1.2.3\n" {
			t.Errorf("%s printed %q", ask, out)
		}
	}
}

func TestWrongUsageSaysWhatAndExits2(t *testing.T) {
	for line, want := range map[string]string{
		"invite":                            "give one BusinessRelay, not 0 arguments",
		"invite acme globex":                "give one BusinessRelay, not 2 arguments",
		"erase-customer acme":               "give one BusinessRelay and one customer",
		"export-customer acme 0123":         "write a telephone number with + and country code, or a user id",
		"rotate acme":                       "identity or access",
		"erase":                             "give one BusinessRelay",
		"invite acme -o png":                `unknown output "png": write text or uri`,
		"credentials acme -o png":           `unknown output "png"`,
		"credentials":                       "give one BusinessRelay",
		"replay-webhooks acme":              "say which dead letters with --id, or --all",
		"replay-webhooks acme --all --id 1": "say which dead letters with --id, or --all",
		"setup carrier-account acme":        "give a password with --password-file",
		"setup carrier-account acme --generate --password-file x": "give a password with --password-file",
		"bogus":                           `unknown command "bogus"`,
		"exprot-customer acme":            `unknown command "exprot-customer"; did you mean export-customer?`,
		"token revok acme":                `unknown command "revok"; did you mean revoke?`,
		"check":                           "region/NAME, relay/NAME, regions or relays",
		"check pods":                      `unknown type "pods"`,
		"check region/eu acme":            `"acme": write TYPE/NAME`,
		"check regions -A":                "--all-namespaces is for relays without a name",
		"connect slack acme":              "give chatwoot, n8n, typebot, and one BusinessRelay",
		"connect n8n":                     "give chatwoot, n8n, typebot, and one BusinessRelay",
		"completion tcsh":                 "give one of bash, fish, kubectl, powershell, zsh",
		"version now":                     `unexpected argument "now"`,
		"chat --to +4930111111":           "--as: not an E.164 number",
		"chat --as +4930111111 --to 0123": "--to: not an E.164 number",
		"chat --as +4930111111 --to +4930111112 --expect -1": "cannot be negative",
		"chat --colour":    "unknown flag: --colour",
		"chat --wait soon": "invalid argument",
	} {
		t.Run(line, func(t *testing.T) {
			_, _, err := run(t, strings.Fields(line)...)
			if exit.Code(err) != exit.Usage || !strings.Contains(err.Error(), want) || !strings.Contains(err.Error(), "--help") {
				t.Errorf("exit %d, error %v; want exit 2 and %q", exit.Code(err), err, want)
			}
		})
	}
}

func check(t *testing.T, err error) {
	t.Helper()
	if err != nil {
		t.Fatal(err)
	}
}
