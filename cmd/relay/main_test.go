package main

import (
	"bytes"
	"strings"
	"testing"
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
		"log level":     {[]string{"serve", "--log-level", "loud"}, `"loud" is none of debug`},
		"configuration": {[]string{"serve", "--config", "/nonexistent/relay.json"}, "opening the configuration"},
		"command":       {[]string{"sing"}, `unknown command "sing"`},
		"argument":      {[]string{"serve", "fast"}, `unknown command "fast"`},
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
