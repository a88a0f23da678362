// Command manager is the operator's process: it runs the controllers of DataRegions
// and BusinessRelays. It needs no login at Vault and reads no Secret.
package main

import (
	"context"
	"crypto/tls"
	"errors"
	"flag"
	"fmt"
	"io"
	"log/slog"
	"os"
	"path/filepath"
	"runtime/debug"
	"time"

	"github.com/go-logr/logr"
	"k8s.io/apimachinery/pkg/runtime"
	clientgoscheme "k8s.io/client-go/kubernetes/scheme"
	"k8s.io/client-go/rest"
	"k8s.io/klog/v2"
	ctrl "sigs.k8s.io/controller-runtime"
	"sigs.k8s.io/controller-runtime/pkg/client"
	"sigs.k8s.io/controller-runtime/pkg/healthz"
	"sigs.k8s.io/controller-runtime/pkg/metrics/server"

	"github.com/relaykeep/relaykeep/api/v1alpha1"
	"github.com/relaykeep/relaykeep/controllers"
)

// version is set by the build.
var version = "dev"

// Names of the files of the metrics' certificate, as in a Secret of type kubernetes.io/tls.
const (
	certificateFile = "tls.crt"
	keyFile         = "tls.key"
)

// scopeTime bounds the look at the namespaces before the start.
const scopeTime = time.Minute

// leaseName is the Lease by which one of several managers is chosen.
const leaseName = "relaykeep-manager"

// garbage is how much may be allocated, in percent of what is in use, before Go's runtime collects garbage, unless GOGC says
// otherwise. Most of what is in use is the cache, which grows with the relays and hardly changes: with Go's own 100 percent
// as much again would stand by for it.
const garbage = 40

func main() {
	if os.Getenv("GOGC") == "" {
		debug.SetGCPercent(garbage)
	}
	err := run(ctrl.SetupSignalHandler(), os.Args[1:], os.Stdout)
	switch {
	case errors.Is(err, flag.ErrHelp):
	case err != nil:
		fmt.Fprintln(os.Stderr, "manager:", err)
		os.Exit(1)
	}
}

// run parses the arguments and runs the manager until ctx ends, or probes one. It writes the version
// and help to out.
func run(ctx context.Context, args []string, out io.Writer) error {
	if len(args) > 0 && args[0] == "probe" {
		return probe(ctx, args[1:], probePause, out)
	}
	s, err := parse(args, os.Stderr)
	if err != nil {
		return err
	}
	if s.showVersion {
		_, err := fmt.Fprintln(out, version)
		return err
	}
	log := logr.FromSlogHandler(slog.NewJSONHandler(os.Stderr, &slog.HandlerOptions{Level: s.logLevel}))
	ctrl.SetLogger(log)
	klog.SetLogger(log) // client-go's, leader election's among them
	cfg, err := ctrl.GetConfig()
	if err != nil {
		return fmt.Errorf("connecting to the API server: %w", err)
	}
	cfg.UserAgent = "relaykeep-manager/" + version
	cfg.DisableCompression = true // it costs both ends processor time, and the API server is near
	mgr, err := newManager(ctx, cfg, s)
	if err != nil {
		return err
	}
	if err := controllers.Setup(ctx, mgr, s.controllers); err != nil {
		return err
	}
	log.Info("starting", "version", version, "relayImage", s.controllers.RelayImage)
	err = mgr.Start(ctx)
	if errors.Is(err, controllers.ErrNamespaceAppeared) {
		log.Info("ending, so that a new start watches it", "reason", err.Error())
		return nil
	}
	if err != nil {
		return fmt.Errorf("running: %w", err)
	}
	return nil
}

func newManager(ctx context.Context, cfg *rest.Config, s *settings) (ctrl.Manager, error) {
	scheme := runtime.NewScheme()
	err := errors.Join(clientgoscheme.AddToScheme(scheme), v1alpha1.AddToScheme(scheme))
	if err != nil {
		return nil, fmt.Errorf("registering the API types: %w", err)
	}
	if s.controllers.Scope, err = findScope(ctx, cfg, scheme, s.namespaces); err != nil {
		return nil, err
	}
	options, err := controllers.CacheOptions(s.controllers.Scope, s.controllers.OperatorNamespace)
	if err != nil {
		return nil, err
	}
	metrics, err := metricsOptions(s)
	if err != nil {
		return nil, err
	}
	mgr, err := ctrl.NewManager(cfg, ctrl.Options{
		Scheme:                  scheme,
		Cache:                   options,
		Metrics:                 metrics,
		HealthProbeBindAddress:  s.healthAddress,
		LeaderElection:          s.leaderElect,
		LeaderElectionID:        leaseName,
		LeaderElectionNamespace: s.controllers.OperatorNamespace,
		LeaseDuration:           &s.leaseDuration,
		RenewDeadline:           &s.renewDeadline,
		RetryPeriod:             &s.retryPeriod,
		// The process ends right after it stops working, so the next leader need not wait for
		// the lease to expire.
		LeaderElectionReleaseOnCancel: true,
	})
	if err != nil {
		return nil, fmt.Errorf("making the manager: %w", err)
	}
	err = errors.Join(mgr.AddHealthzCheck("ping", healthz.Ping), mgr.AddReadyzCheck("ping", healthz.Ping))
	if err != nil {
		return nil, fmt.Errorf("adding the health checks: %w", err)
	}
	return mgr, nil
}

// findScope finds out which of the namespaces can be watched, and logs which cannot.
func findScope(ctx context.Context, cfg *rest.Config, scheme *runtime.Scheme, namespaces []string) (controllers.Scope, error) {
	if len(namespaces) == 0 {
		return controllers.Scope{}, nil
	}
	live, err := client.New(cfg, client.Options{Scheme: scheme})
	if err != nil {
		return controllers.Scope{}, fmt.Errorf("connecting to the API server: %w", err)
	}
	ctx, cancel := context.WithTimeout(ctx, scopeTime)
	defer cancel()
	scope, err := controllers.NewScope(ctx, live, namespaces)
	if err != nil {
		return controllers.Scope{}, err
	}
	if len(scope.LeftOut) > 0 {
		ctrl.Log.Error(nil, "some namespaces do not exist or have no role for this operator: their BusinessRelays are not watched until they have", "namespaces", scope.LeftOut)
	}
	return scope, nil
}

// metricsOptions says how metrics are served.
func metricsOptions(s *settings) (server.Options, error) {
	if !s.metricsSecure {
		return server.Options{BindAddress: s.metricsAddress}, nil
	}
	if dir := s.metricsCertificate; dir != "" {
		// Where a file is missing, the metrics server would serve a certificate that it makes itself.
		if _, err := tls.LoadX509KeyPair(filepath.Join(dir, certificateFile), filepath.Join(dir, keyFile)); err != nil {
			return server.Options{}, fmt.Errorf("reading the metrics' certificate: %w", err)
		}
	}
	return server.Options{
		BindAddress:    s.metricsAddress,
		SecureServing:  true,
		FilterProvider: controllers.MetricsFilter,
		CertDir:        s.metricsCertificate,
		CertName:       certificateFile,
		KeyName:        keyFile,
		TLSOpts: []func(*tls.Config){func(c *tls.Config) {
			c.MinVersion = tls.VersionTLS12
			c.NextProtos = []string{"http/1.1"} // metrics need none of what HTTP/2 offers, nor its attacks
		}},
	}, nil
}
