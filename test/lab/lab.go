// Package lab brings up everything that the demo and the tests on the cluster
// need, all of it real: a cluster of two nodes in two regions, a Vault and a
// Prosody for each region, a webhook for each business, Relaykeep from its chart,
// two regions and two businesses. What it brought up stays when the program ends;
// bringing it up again changes nothing that is right already.
//
// It must not know what is told or tested in the environment.
package lab

import (
	"fmt"
	"os"
	"path/filepath"

	"sigs.k8s.io/controller-runtime/pkg/client"

	"github.com/relaykeep/relaykeep/test/lab/authority"
	"github.com/relaykeep/relaykeep/test/lab/process"
	"github.com/relaykeep/relaykeep/test/lab/report"
	"github.com/relaykeep/relaykeep/test/repository"
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
	root, err := repository.Root()
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
