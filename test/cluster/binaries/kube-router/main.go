// Command kube-router is the part of kube-router that enforces network policies, on one node. The whole also routes and balances,
// which this cluster leaves to others, and takes several times as long to build.
package main

import (
	"context"
	"fmt"
	"os"
	"os/signal"
	"sync"
	"syscall"

	"github.com/cloudnativelabs/kube-router/v2/pkg/controllers/netpol"
	"github.com/cloudnativelabs/kube-router/v2/pkg/healthcheck"
	"github.com/cloudnativelabs/kube-router/v2/pkg/options"
	"github.com/spf13/pflag"
	"k8s.io/client-go/informers"
	"k8s.io/client-go/kubernetes"
	"k8s.io/client-go/tools/cache"
	"k8s.io/client-go/tools/clientcmd"
)

func main() {
	ctx, stop := signal.NotifyContext(context.Background(), syscall.SIGINT, syscall.SIGTERM)
	defer stop()
	if err := run(ctx); err != nil {
		fmt.Fprintln(os.Stderr, "kube-router:", err)
		os.Exit(1)
	}
}

// run enforces until ctx ends.
func run(ctx context.Context) error {
	settings := options.NewKubeRouterConfig()
	settings.EnableIPv4, settings.RunFirewall = true, true
	flags := pflag.NewFlagSet("kube-router", pflag.ContinueOnError)
	flags.StringVar(&settings.Kubeconfig, "kubeconfig", "", "the file that says where the API server is")
	flags.StringVar(&settings.HostnameOverride, "node", "", "the name of the node that this is")
	flags.StringSliceVar(&settings.ClusterIPCIDRs, "service-range", settings.ClusterIPCIDRs, "addresses of services")
	if err := flags.Parse(os.Args[1:]); err != nil {
		return err
	}
	where, err := clientcmd.BuildConfigFromFlags("", settings.Kubeconfig)
	if err != nil {
		return fmt.Errorf("reading the kubeconfig: %w", err)
	}
	client, err := kubernetes.NewForConfig(where)
	if err != nil {
		return err
	}
	factory := informers.NewSharedInformerFactory(client, 0)
	pods := factory.Core().V1().Pods().Informer()
	namespaces := factory.Core().V1().Namespaces().Informer()
	policies := factory.Networking().V1().NetworkPolicies().Informer()
	factory.Start(ctx.Done())
	for kind, synced := range factory.WaitForCacheSync(ctx.Done()) {
		if !synced {
			return fmt.Errorf("listing %s did not end", kind)
		}
	}
	tables, sets, err := netpol.NewIPTablesHandlers(settings)
	if err != nil {
		return fmt.Errorf("preparing iptables: %w", err)
	}
	var ipset sync.Mutex
	controller, err := netpol.NewNetworkPolicyController(client, settings, pods, policies, namespaces, &ipset, tables, sets)
	if err != nil {
		return fmt.Errorf("starting the policies' controller: %w", err)
	}
	for _, watch := range []struct {
		informer cache.SharedIndexInformer
		handler  cache.ResourceEventHandler
	}{
		{pods, controller.PodEventHandler},
		{namespaces, controller.NamespaceEventHandler},
		{policies, controller.NetworkPolicyEventHandler},
	} {
		if _, err := watch.informer.AddEventHandler(watch.handler); err != nil {
			return fmt.Errorf("watching: %w", err)
		}
	}
	// The controller says that it lives after each of its rounds. Nobody asks: the cluster sees that the process stays.
	lives := make(chan *healthcheck.ControllerHeartbeat)
	go func() {
		for range lives {
		}
	}()
	var running sync.WaitGroup
	running.Add(1)
	controller.Run(lives, ctx.Done(), &running)
	running.Wait()
	return nil
}
