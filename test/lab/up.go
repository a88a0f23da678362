package lab

import (
	"context"
	"errors"
	"fmt"
	"os"
	"path/filepath"
)

// Up brings everything up that is not, in order, and reports each step.
func (l *Lab) Up(ctx context.Context) error {
	if err := os.MkdirAll(filepath.Join(l.dir, "logs"), 0o755); err != nil {
		return fmt.Errorf("making the lab's folder: %w", err)
	}
	for _, s := range []struct {
		title string
		do    func(context.Context) (string, error)
	}{
		{"Relaykeep is built: images, kubectl plugin, chart", l.buildAndFetch},
		{"the programs of the cluster are built", l.buildCluster},
		{"a Kubernetes cluster runs", l.startCluster},
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
