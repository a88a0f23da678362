// Command manager is the operator's process: it runs the controllers of DataRegions
// and BusinessRelays. It needs no login at Vault and reads no Secret.
package main

import (
	"context"
	"errors"
	"flag"
	"fmt"
	"io"
	"log/slog"
	"os"

	"github.com/go-logr/logr"
	"k8s.io/apimachinery/pkg/runtime"
	clientgoscheme "k8s.io/client-go/kubernetes/scheme"
	"k8s.io/client-go/rest"
	"k8s.io/klog/v2"
	ctrl "sigs.k8s.io/controller-runtime"
	"sigs.k8s.io/controller-runtime/pkg/healthz"
	"sigs.k8s.io/controller-runtime/pkg/metrics/server"

	"github.com/relaykeep/relaykeep/api/v1alpha1"
	"github.com/relaykeep/relaykeep/controllers"
)

// version is set by the build.
var version = "dev"

// leaseName is the Lease by which one of several managers is chosen.
const leaseName = "relaykeep-manager"

func main() {
	err := run(ctrl.SetupSignalHandler(), os.Args[1:], os.Stdout)
	switch {
	case errors.Is(err, flag.ErrHelp):
	case err != nil:
		fmt.Fprintln(os.Stderr, "manager:", err)
		os.Exit(1)
	}
}

// run parses the arguments and runs the manager until ctx ends. It writes the version
// and help to out.
func run(ctx context.Context, args []string, out io.Writer) error {
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
	mgr, err := newManager(cfg, s)
	if err != nil {
		return err
	}
	if err := controllers.Setup(ctx, mgr, s.controllers); err != nil {
		return err
	}
	log.Info("starting", "version", version, "relayImage", s.controllers.RelayImage)
	if err := mgr.Start(ctx); err != nil {
		return fmt.Errorf("running: %w", err)
	}
	return nil
}

func newManager(cfg *rest.Config, s *settings) (ctrl.Manager, error) {
	scheme := runtime.NewScheme()
	if err := errors.Join(clientgoscheme.AddToScheme(scheme), v1alpha1.AddToScheme(scheme)); err != nil {
		return nil, fmt.Errorf("registering the API types: %w", err)
	}
	options, err := controllers.CacheOptions()
	if err != nil {
		return nil, err
	}
	mgr, err := ctrl.NewManager(cfg, ctrl.Options{
		Scheme:                  scheme,
		Cache:                   options,
		Metrics:                 server.Options{BindAddress: s.metricsAddress},
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
