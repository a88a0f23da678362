package main

import (
	"errors"
	"flag"
	"fmt"
	"io"
	"log/slog"
	"os"
	"slices"
	"strings"
	"time"

	"k8s.io/apimachinery/pkg/util/validation"

	"github.com/relaykeep/relaykeep/controllers"
)

// settings are what the flags say.
type settings struct {
	controllers controllers.Options

	namespaces                                []string
	metricsAddress, healthAddress             string
	metricsSecure                             bool
	metricsCertificate                        string
	leaderElect                               bool
	leaseDuration, renewDeadline, retryPeriod time.Duration
	logLevel                                  slog.Level
	showVersion                               bool
}

const usage = `manager runs Relaykeep's operator. It connects to the API server with its service account,
or outside a cluster with --kubeconfig or KUBECONFIG.

  manager --relay-image ghcr.io/relaykeep/relay:VERSION
  manager probe http://HOST:8081/readyz

Flags:
`

// parse reads the flags. Help goes to out, and is reported as flag.ErrHelp.
func parse(args []string, out io.Writer) (*settings, error) {
	s := &settings{}
	f := flag.NewFlagSet("manager", flag.ContinueOnError)
	f.SetOutput(out)
	f.Usage = func() {
		_, _ = fmt.Fprint(out, usage) // nowhere left to report an error
		f.PrintDefaults()
	}
	// controller-runtime registers its own --kubeconfig with the process's flags.
	if k := flag.Lookup("kubeconfig"); k != nil {
		f.Var(k.Value, k.Name, "kubeconfig `file`; only needed outside a cluster")
	}
	f.StringVar(&s.controllers.RelayImage, "relay-image", "", "`reference` of the image that relays run; required")
	f.StringVar(&s.controllers.OperatorNamespace, "operator-namespace", os.Getenv("POD_NAMESPACE"),
		"`namespace` of the operator, whose pods the relays' network policies admit; empty outside a cluster (default: POD_NAMESPACE)")
	f.Func("namespaces", "comma-separated `names` of the namespaces whose BusinessRelays this operator watches; without it, those of all namespaces", s.scope)
	f.Func("keeper-image-pull-secrets", "comma-separated `names` of Secrets in the operator's namespace for pulling the keepers' image", s.pullSecrets)
	f.DurationVar(&s.controllers.PollInterval, "poll-interval", 30*time.Second, "average interval at which each relay is asked for its status")
	f.IntVar(&s.controllers.MaxConcurrentReconciles, "max-concurrent-reconciles", 4, "how many relays are reconciled at a time")
	f.StringVar(&s.metricsAddress, "metrics-bind-address", "0", "`address` of /metrics, for example :8080; 0 serves none")
	f.BoolVar(&s.metricsSecure, "metrics-secure", true, "serve metrics over TLS, and only to those whom the API server allows to get /metrics; false serves them to anybody, over HTTP")
	f.StringVar(&s.metricsCertificate, "metrics-cert-path", "", "`folder` with tls.crt and tls.key for the metrics, which are read again when they change; without it, a self-signed certificate is made at each start")
	f.StringVar(&s.healthAddress, "health-probe-bind-address", ":8081", "`address` of /healthz and /readyz; 0 serves none")
	f.BoolVar(&s.leaderElect, "leader-elect", false, "elect a leader among several managers, with a Lease in the operator's namespace")
	f.DurationVar(&s.leaseDuration, "leader-election-lease-duration", 30*time.Second, "how long a lease stays valid after its leader stopped renewing it")
	f.DurationVar(&s.renewDeadline, "leader-election-renew-deadline", 20*time.Second, "how long a leader tries to renew its lease before it exits")
	f.DurationVar(&s.retryPeriod, "leader-election-retry-period", 4*time.Second, "how long to wait between attempts")
	f.TextVar(&s.logLevel, "log-level", slog.LevelInfo, "log `level`: debug, info, warn or error")
	f.BoolVar(&s.showVersion, "version", false, "print the version and exit")
	if err := f.Parse(args); err != nil {
		return nil, err
	}
	return s, s.check(f.Args())
}

// scope reads a list of namespaces. An empty one is a mistake: it must not stand for all of them.
func (s *settings) scope(list string) error {
	if list == "" {
		return errors.New("it names no namespace: leave the flag out to watch all")
	}
	for name := range strings.SplitSeq(list, ",") {
		if problems := validation.IsDNS1123Label(name); len(problems) > 0 {
			return fmt.Errorf("%q is not a valid namespace name: %s", name, problems[0])
		}
		if slices.Contains(s.namespaces, name) {
			return fmt.Errorf("%q is there twice", name)
		}
		s.namespaces = append(s.namespaces, name)
	}
	return nil
}

// pullSecrets reads a list of names.
func (s *settings) pullSecrets(list string) error {
	s.controllers.PullSecrets = nil
	if list == "" {
		return nil
	}
	for name := range strings.SplitSeq(list, ",") {
		if problems := validation.IsDNS1123Subdomain(name); len(problems) > 0 {
			return fmt.Errorf("%q is not a valid Secret name: %s", name, problems[0])
		}
		s.controllers.PullSecrets = append(s.controllers.PullSecrets, name)
	}
	return nil
}

// check returns every problem of the settings in one error.
func (s *settings) check(rest []string) error {
	if s.showVersion {
		return nil
	}
	var problems []error
	problem := func(bad bool, format string, args ...any) {
		if bad {
			problems = append(problems, fmt.Errorf(format, args...))
		}
	}
	problem(len(rest) > 0, "unexpected arguments %q", rest)
	problem(s.controllers.RelayImage == "", "--relay-image is required")
	problem(s.controllers.PollInterval < time.Second, "--poll-interval must be at least 1s")
	problem(s.controllers.MaxConcurrentReconciles < 1, "--max-concurrent-reconciles must be at least 1")
	problem(s.metricsCertificate != "" && !s.metricsSecure, "--metrics-cert-path is of no use with --metrics-secure=false: leave one of them out")
	problem(s.leaderElect && s.controllers.OperatorNamespace == "", "--leader-elect requires --operator-namespace")
	problem(s.leaseDuration <= s.renewDeadline || s.renewDeadline <= s.retryPeriod,
		"--leader-election-lease-duration must be longer than -renew-deadline, and that longer than -retry-period")
	return errors.Join(problems...)
}
