package main

import (
	"bytes"
	"errors"
	"flag"
	"io"
	"log/slog"
	"slices"
	"strings"
	"testing"
	"time"
)

func TestFlagsOfTheChartAreUnderstood(t *testing.T) {
	s, err := parse([]string{
		"--relay-image=ghcr.io/relaykeep/relay:dev", "--leader-elect=true", "--operator-namespace=relaykeep-system",
		"--leader-election-lease-duration=60s", "--leader-election-renew-deadline=40s", "--leader-election-retry-period=10s",
		"--health-probe-bind-address=:8081", "--metrics-bind-address=:8080", "--log-level=debug",
		"--poll-interval=30s", "--max-concurrent-reconciles=4", "--keeper-image-pull-secrets=registry,mirror.example.org",
	}, io.Discard)
	if err != nil {
		t.Fatal(err)
	}
	if !s.leaderElect || s.leaseDuration != time.Minute || s.logLevel != slog.LevelDebug || s.metricsAddress != ":8080" {
		t.Errorf("settings are %+v", s)
	}
	if got := s.controllers.PullSecrets; !slices.Equal(got, []string{"registry", "mirror.example.org"}) {
		t.Errorf("the pull secrets are %q", got)
	}
}

func TestPullSecretsAreNames(t *testing.T) {
	for _, list := range []string{"a,,b", "a b", "A", ",", "../a"} {
		if _, err := parse([]string{"--relay-image=r", "--keeper-image-pull-secrets=" + list}, io.Discard); err == nil {
			t.Errorf("%q is taken", list)
		}
	}
	s, err := parse([]string{"--relay-image=r", "--keeper-image-pull-secrets="}, io.Discard)
	if err != nil || len(s.controllers.PullSecrets) != 0 {
		t.Errorf("an empty list is %+v, %v", s, err)
	}
}

func TestNamespaceComesFromThePodUnlessSaid(t *testing.T) {
	t.Setenv("POD_NAMESPACE", "from-the-pod")
	for args, want := range map[string]string{"": "from-the-pod", "--operator-namespace=said": "said"} {
		s, err := parse(append(strings.Fields(args), "--relay-image=r"), io.Discard)
		if err != nil {
			t.Fatal(err)
		}
		if got := s.controllers.OperatorNamespace; got != want {
			t.Errorf("with %q the namespace is %q, want %q", args, got, want)
		}
	}
}

func TestWrongSettingsAreAllNamed(t *testing.T) {
	t.Setenv("POD_NAMESPACE", "")
	_, err := parse([]string{
		"--poll-interval=1ms", "--max-concurrent-reconciles=0", "--leader-elect", "--leader-election-retry-period=1h", "what",
	}, io.Discard)
	if err == nil {
		t.Fatal("nothing was said of wrong settings")
	}
	for _, want := range []string{"--relay-image", "--poll-interval", "--max-concurrent", "--operator-namespace", "-retry-period", "what"} {
		if !strings.Contains(err.Error(), want) {
			t.Errorf("%q does not mention %s", err, want)
		}
	}
}

func TestHelpNamesEveryFlag(t *testing.T) {
	var out bytes.Buffer
	if _, err := parse([]string{"--help"}, &out); !errors.Is(err, flag.ErrHelp) {
		t.Fatalf("help ended with %v", err)
	}
	for _, want := range []string{"-relay-image", "-kubeconfig", "-leader-elect", "-poll-interval", "-version", "POD_NAMESPACE"} {
		if !strings.Contains(out.String(), want) {
			t.Errorf("help does not mention %s", want)
		}
	}
}
