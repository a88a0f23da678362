package cluster

import (
	"context"
	"errors"
	"fmt"
	"io"
	"path/filepath"
	"time"

	"github.com/relaykeep/relaykeep/test/cluster/internal/api"
	"github.com/relaykeep/relaykeep/test/cluster/internal/pki"
)

// Status writes what runs, a line for each part, and fails when any part does not.
func (c *Cluster) Status(ctx context.Context, out io.Writer) error {
	names, err := c.table().Names()
	if err != nil {
		return err
	}
	var down []string
	for _, name := range names {
		record, alive := c.table().Alive(name)
		state := fmt.Sprintf("runs as process %d", record.PID)
		if !alive {
			state = "does not run, see " + c.log(name)
			down = append(down, name)
		}
		fmt.Fprintf(out, "%-28s %s\n", name, state)
	}
	if len(names) == 0 {
		return errors.New("no cluster is there: cluster up starts one")
	}
	tls, err := (&pki.Store{Dir: c.pki()}).AdminTLS()
	if err != nil {
		return err
	}
	client := api.New(localURL, tls)
	for _, n := range c.all() {
		state := "ready"
		if err := nodeReady(ctx, client, n.Name, time.Now().Add(-reportAge)); err != nil {
			state = err.Error()
			down = append(down, "node "+n.Name)
		}
		fmt.Fprintf(out, "node %-23s %s\n", n.Name, state)
	}
	if len(down) > 0 {
		return fmt.Errorf("not running: %v; cluster up mends it", down)
	}
	return nil
}

// End ends one of the cluster's processes. Up starts it again.
func (c *Cluster) End(ctx context.Context, name string) error {
	release, err := c.acquire(ctx)
	if err != nil {
		return err
	}
	defer release()
	if _, alive := c.table().Alive(name); !alive {
		return fmt.Errorf("no process %s of the cluster runs: cluster status names them", name)
	}
	return c.table().Stop(ctx, name, grace(name))
}

// Load imports image archives (OCI layouts or docker archives) into both nodes.
func (c *Cluster) Load(ctx context.Context, paths []string) error {
	for _, n := range c.all() {
		if _, alive := c.table().Alive("containerd-" + n.Name); !alive {
			return fmt.Errorf("node %s does not run: cluster up starts it", n.Name)
		}
		for _, path := range paths {
			start := time.Now()
			if _, err := ctr(ctx, n, "images", "import", path); err != nil {
				return err
			}
			fmt.Fprintf(c.out, "%s: %s imported in %.1f s\n", n.Name, filepath.Base(path), time.Since(start).Seconds())
		}
	}
	return nil
}
