package main

import (
	"bytes"
	"strings"
	"testing"

	"github.com/spf13/pflag"

	"github.com/relaykeep/relaykeep/api/contract"
)

// run runs the command line and returns what it printed.
func run(t *testing.T, args ...string) (string, error) {
	t.Helper()
	var out bytes.Buffer
	root := rootCommand()
	root.SetOut(&out)
	root.SetErr(&out)
	root.SetArgs(args)
	err := root.ExecuteContext(t.Context())
	return out.String(), err
}

func TestVersionIsPrinted(t *testing.T) {
	out, err := run(t, "version")
	if err != nil || strings.TrimSpace(out) != version {
		t.Errorf("printed %q, %v", out, err)
	}
}

func TestMistakesOnTheCommandLineAreNamed(t *testing.T) {
	cases := map[string]struct {
		args []string
		want string
	}{
		"log level":  {[]string{"serve", "--log-level", "loud"}, `"loud" is not debug`},
		"no Vault":   {[]string{"serve"}, "--vault-address: is missing"},
		"no carrier": {[]string{"erase"}, "--xmpp-domain: is missing"},
		"command":    {[]string{"sing"}, `unknown command "sing"`},
		"argument":   {[]string{"serve", "fast"}, `unknown command "fast"`},
	}
	for name, tc := range cases {
		t.Run(name, func(t *testing.T) {
			if _, err := run(t, tc.args...); err == nil || !strings.Contains(err.Error(), tc.want) {
				t.Errorf("error is %v, want %q", err, tc.want)
			}
		})
	}
}

func TestVersionGoesToStandardOutput(t *testing.T) {
	for _, ask := range []string{"version", "--version"} {
		var out, complaint bytes.Buffer
		root := rootCommand()
		root.SetOut(&out)
		root.SetErr(&complaint)
		root.SetArgs([]string{ask})
		if err := root.Execute(); err != nil || out.String() != version+"\n" || complaint.Len() > 0 {
			t.Errorf("%s: %v, %q, %q", ask, err, out.String(), complaint.String())
		}
	}
}

func TestReleasedRelay_TakesNoOtherPath(t *testing.T) {
	for _, command := range []string{"serve", "retain", "erase"} {
		leaf, _, err := rootCommand().Find([]string{command})
		if err != nil {
			t.Fatal(err)
		}
		paths := 0
		try := func(f *pflag.Flag) {
			if !strings.HasPrefix(f.DefValue, "/") {
				return
			}
			paths++
			for _, other := range []string{"/dev/stdin", "/proc/self/fd/0", "relay.json", f.DefValue + "/", ""} {
				if _, err := run(t, command, "--"+f.Name, other); err == nil || !strings.Contains(err.Error(), "a released relay only uses "+f.DefValue) {
					t.Errorf("%s --%s %q: error is %v", command, f.Name, other, err)
				}
			}
			// Not run: it would write into this machine's own /dev.
			own, _, _ := rootCommand().Find([]string{command})
			if err := own.ParseFlags([]string{"--" + f.Name, f.DefValue}); err != nil || ownPathsOnly(own, nil) != nil {
				t.Errorf("%s --%s refuses its own path: %v, %v", command, f.Name, err, ownPathsOnly(own, nil))
			}
		}
		leaf.LocalFlags().VisitAll(try)
		leaf.InheritedFlags().VisitAll(try)
		if want := map[string]int{"serve": 1, "retain": 3, "erase": 3}[command]; paths < want {
			t.Errorf("%s has %d flags for paths, want %d at least", command, paths, want)
		}
	}
}

// A user who may run a program in a relay's pod is not that pod's own process, and must
// not be able to send the relay's token to another Vault.
func TestReleasedRelay_TakesAddressesAsItsPodsOwnProcessOnly(t *testing.T) {
	places := append(contract.Vault{}.Arguments(), contract.XMPP{}.Arguments()...)
	for _, command := range []string{"serve", "retain", "erase"} {
		for _, place := range places {
			if command == "retain" && strings.HasPrefix(place, "--xmpp-") {
				continue
			}
			if _, err := run(t, command, place+"https://evil.test"); err == nil || !strings.Contains(err.Error(), "only as its pod's own process") {
				t.Errorf("%s %s: error is %v", command, place, err)
			}
		}
	}
}
