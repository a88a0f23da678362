// Package lab brings up everything that the demo and the tests on the cluster
// need, all of it real: a cluster of two nodes in two regions, a Vault and a
// Prosody for each region, a webhook for each business, Relaykeep from its chart,
// two regions and two businesses. What it brought up stays when the program ends;
// bringing it up again changes nothing that is right already.
//
// It must not know what is told or tested in the environment.
package lab

import (
	"bufio"
	"context"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"strings"

	"sigs.k8s.io/controller-runtime/pkg/client"

	"github.com/relaykeep/relaykeep/test/lab/authority"
	"github.com/relaykeep/relaykeep/test/lab/process"
	"github.com/relaykeep/relaykeep/test/lab/report"
)

// Environment variables that use a cluster which is there already.
const (
	// envCluster, set to 1, uses the cluster that KUBECONFIG names.
	envCluster = "DEMO_CLUSTER"
	// envAddress is then the address of this machine as the cluster's pods reach it.
	envAddress = "DEMO_ADDRESS"
)

// Lab is the environment.
type Lab struct {
	root       string // of the repository
	dir        string // everything that the lab keeps
	address    string // where pods reach this machine
	kubeconfig string
	own        bool     // the cluster is the lab's own
	version    string   // the images' tag
	images     []string // as test/images names them
	keep       []string // further images that relays may run
	program    string   // the cluster's; empty: that of root
	report     *report.Reporter
	keeper     *process.Keeper

	// Set by the steps of Up, or by Attach.
	authority *authority.Authority
	kube      client.Client
	kubectl   string
	helm      string
}

// New returns the lab of the repository that the working directory is in. It
// starts nothing.
func New(r *report.Reporter) (*Lab, error) {
	root, err := repository()
	if err != nil {
		return nil, err
	}
	l := &Lab{
		version: current, images: []string{"manager", "relay", "relay-testclock"}, keep: []string{TestClockRelay},
		root: root, dir: filepath.Join(root, ".cluster", "lab"), own: true, report: r,
		address: "10.99.0.1", kubeconfig: filepath.Join(root, ".cluster", "kubeconfig"),
	}
	l.keeper = process.NewKeeper(filepath.Join(l.dir, "processes"))
	if os.Getenv(envCluster) == "1" {
		l.own = false
		l.address, l.kubeconfig = os.Getenv(envAddress), os.Getenv("KUBECONFIG")
		if l.address == "" || l.kubeconfig == "" {
			return nil, fmt.Errorf("with %s=1, set KUBECONFIG to the cluster's and %s to the address at which its pods reach this machine", envCluster, envAddress)
		}
	}
	return l, nil
}

// Up brings everything up that is not, in order, and reports each step.
func (l *Lab) Up(ctx context.Context) error {
	if err := os.MkdirAll(filepath.Join(l.dir, "logs"), 0o755); err != nil {
		return fmt.Errorf("making the lab's folder: %w", err)
	}
	for _, s := range []struct {
		title string
		do    func(context.Context) (string, error)
	}{
		{"the programs of the cluster are built", l.buildCluster},
		{"a Kubernetes cluster runs", l.startCluster},
		{"Relaykeep is built: images, kubectl plugin, chart", l.build},
		{"the images are on the nodes", l.load},
		{"a Prosody for each region answers", l.startProsodies},
		{"a Vault for each region answers", l.startVaults},
		{"each business's webhook answers", l.startReceivers},
		{"Relaykeep is installed with its chart", l.install},
		{"the regions are Ready", l.applyRegions},
		{"each region's Vault is set up for relays, once", l.setUpVaults},
		{"the businesses' relays are Ready", l.applyBusinesses},
	} {
		if err := l.report.Step(ctx, s.title, s.do); err != nil {
			return err
		}
	}
	return nil
}

// Down ends what Up started: the processes that it recorded and, when it is the
// lab's own, the cluster.
func (l *Lab) Down(ctx context.Context) error {
	stopped := l.report.Step(ctx, "Vaults, Prosodys and webhooks have ended", func(ctx context.Context) (string, error) {
		return "", l.keeper.StopAll(ctx)
	})
	if !l.own {
		return stopped
	}
	ended := l.report.Step(ctx, "the cluster has ended", func(ctx context.Context) (string, error) {
		if err := l.compileCluster(ctx); err != nil {
			return "", err
		}
		if _, err := l.run(ctx, command{path: l.clusterProgram(), args: []string{"down"}}); err != nil {
			return "", err
		}
		return "", os.RemoveAll(l.dir)
	})
	return errors.Join(stopped, ended)
}

// product is the module whose repository the lab belongs to.
const product = "module github.com/relaykeep/relaykeep"

// repository returns the root of the repository that the working directory is in.
func repository() (string, error) {
	dir, err := os.Getwd()
	if err != nil {
		return "", fmt.Errorf("finding the repository: %w", err)
	}
	for {
		if f, err := os.Open(filepath.Join(dir, "go.mod")); err == nil {
			line, _ := bufio.NewReader(f).ReadString('\n')
			_ = f.Close()
			if strings.TrimSpace(line) == product {
				return dir, nil
			}
		}
		parent := filepath.Dir(dir)
		if parent == dir {
			return "", errors.New("not inside a clone of Relaykeep: run it from there")
		}
		dir = parent
	}
}
