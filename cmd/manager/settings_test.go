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
		"--health-probe-bind-address=:8081", "--metrics-bind-address=:8080", "--metrics-secure=true", "--metrics-cert-path=/etc/relaykeep/metrics", "--log-level=debug",
		"--poll-interval=30s", "--max-concurrent-reconciles=4", "--keeper-image-pull-secrets=registry,mirror.example.org",
		"--namespaces=acme,globex",
	}, io.Discard)
	if err != nil {
		t.Fatal(err)
	}
	if !s.leaderElect || s.leaseDuration != time.Minute || s.logLevel != slog.LevelDebug || s.metricsAddress != ":8080" {
		t.Errorf("settings are %+v", s)
	}
	if !s.metricsSecure || s.metricsCertificate != "/etc/relaykeep/metrics" || !slices.Equal(s.namespaces, []string{"acme", "globex"}) {
		t.Errorf("settings are %+v", s)
	}
	if got := s.controllers.PullSecrets; !slices.Equal(got, []string{"registry", "mirror.example.org"}) {
		t.Errorf("the pull secrets are %q", got)
	}
}

func TestNamespaces_AreNamesAndNamedOnce(t *testing.T) {
	for list, says := range map[string]string{
		"": "names no namespace", "a,,b": "not a valid namespace name", ",": "not a valid namespace name", "a b": "not a valid namespace name",
		"A": "not a valid namespace name", "a.b": "not a valid namespace name", "a,b,a": "twice", strings.Repeat("a", 64): "not a valid namespace name",
	} {
		if _, err := parse([]string{"--relay-image=r", "--namespaces=" + list}, io.Discard); err == nil || !strings.Contains(err.Error(), says) {
			t.Errorf("%q ends with %v, want it to say %q", list, err, says)
		}
	}
	s, err := parse([]string{"--relay-image=r", "--namespaces=a,b"}, io.Discard)
	if err != nil || !slices.Equal(s.namespaces, []string{"a", "b"}) {
		t.Errorf("two namespaces are %q, %v", s.namespaces, err)
	}
	if s, err := parse([]string{"--relay-image=r"}, io.Discard); err != nil || len(s.namespaces) != 0 {
		t.Errorf("without the flag they are %q, %v", s.namespaces, err)
	}
}

func TestMetrics_AreSecureUnlessSaid(t *testing.T) {
	for args, want := range map[string]bool{"": true, "--metrics-secure=false": false} {
		if s, err := parse(append(strings.Fields(args), "--relay-image=r"), io.Discard); err != nil || s.metricsSecure != want {
			t.Errorf("with %q the metrics are secure: %v, %v", args, s.metricsSecure, err)
		}
	}
	_, err := parse([]string{"--relay-image=r", "--metrics-secure=false", "--metrics-cert-path=x"}, io.Discard)
	if err == nil || !strings.Contains(err.Error(), "--metrics-cert-path") {
		t.Errorf("a certificate that is not used ends with %v", err)
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
	for _, want := range []string{"-relay-image", "-kubeconfig", "-leader-elect", "-poll-interval", "-namespaces", "-metrics-secure", "-version", "POD_NAMESPACE"} {
		if !strings.Contains(out.String(), want) {
			t.Errorf("help does not mention %s", want)
		}
	}
}
