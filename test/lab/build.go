package lab

import (
	"context"
	"crypto/sha256"
	"encoding/hex"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"strings"

	"golang.org/x/sync/errgroup"

	"github.com/relaykeep/relaykeep/test/images/binary"
)

// Images of the lab, as the chart and the operator name them.
const (
	registry = "ghcr.io/relaykeep"
	// current is the tag of what is built from this repository as it is.
	current = "dev"
	// TestClockRelay is the build of the relay whose clock can be set. It is not
	// what relays run: only a janitor that must see the future does.
	TestClockRelay = registry + "/relay:" + current + "-testclock"
)

func (l *Lab) clusterProgram() string {
	if l.program != "" {
		return l.program
	}
	return l.bin("cluster")
}

// compileCluster builds the program that builds, starts and stops the cluster.
func (l *Lab) compileCluster(ctx context.Context) error {
	_, err := l.run(ctx, command{path: "go", args: []string{"build", "-C", filepath.Join("test", "cluster"), "-o", l.clusterProgram(), "."}, env: binary.Environment()})
	return err
}

// buildCluster builds whatever the cluster runs, which takes long the first time.
func (l *Lab) buildCluster(ctx context.Context) (string, error) {
	var err error
	if l.own {
		if _, err = l.run(ctx, command{path: l.clusterProgram(), args: []string{"binaries"}}); err != nil {
			return "", err
		}
	}
	if l.kubectl, err = l.binary(ctx, "kubectl"); err != nil {
		return "", err
	}
	if l.helm, err = l.binary(ctx, "helm"); err != nil {
		return "", err
	}
	return "", l.link(l.kubectl, "kubectl")
}

// binary returns the path of a program of the cluster's catalogue, built if needed.
func (l *Lab) binary(ctx context.Context, name string) (string, error) {
	out, err := l.run(ctx, command{path: l.clusterProgram(), args: []string{"binary", name}})
	return tail(out, 1), err
}

// link puts a program where the lab's other programs are, for those who go on by
// hand afterwards.
func (l *Lab) link(path, name string) error {
	if there, err := os.Readlink(l.bin(name)); err == nil && there == path {
		return nil
	}
	if err := os.Remove(l.bin(name)); err != nil && !errors.Is(err, fs.ErrNotExist) {
		return fmt.Errorf("linking %s: %w", name, err)
	}
	if err := os.Symlink(path, l.bin(name)); err != nil {
		return fmt.Errorf("linking %s: %w", name, err)
	}
	return nil
}

// buildAndFetch builds Relaykeep. Meanwhile it installs and downloads what the next steps
// need: that takes the network, not the processors.
func (l *Lab) buildAndFetch(ctx context.Context) (string, error) {
	if err := l.compileCluster(ctx); err != nil {
		return "", err
	}
	both, whole := errgroup.WithContext(ctx)
	both.Go(func() error {
		// What runs beside the cluster, and what the story calls endpoints with. A failure to build must not interrupt apt.
		_, err := l.run(ctx, command{path: l.clusterProgram(), args: []string{"packages", "curl", "prosody"}})
		if err == nil && l.own {
			_, err = l.run(whole, command{path: l.clusterProgram(), args: []string{"fetch"}})
		}
		return err
	})
	var said string
	both.Go(func() (err error) {
		said, err = l.build(whole)
		return err
	})
	return said, both.Wait()
}

// build builds Relaykeep: what runs in the cluster, for this machine's
// architecture only, and what runs beside it.
func (l *Lab) build(ctx context.Context) (string, error) {
	for _, args := range [][]string{
		{"build", "-o", l.bin(""), "./cmd/kubectl-relay"},
		{"build", "-o", l.bin("lab-receiver"), "./test/lab/receiver"},
		{"run", "./test/images", "-version", l.version, "-platforms", "host", "-image", strings.Join(l.images, ",")},
		{"run", "./charts/generate", "-check"},
	} {
		if _, err := l.run(ctx, command{path: "go", args: args, env: binary.Environment()}); err != nil {
			return "", err
		}
	}
	var evidence strings.Builder
	for _, path := range l.archives() {
		info, err := os.Stat(path)
		if err != nil {
			return "", fmt.Errorf("looking at an image: %w", err)
		}
		fmt.Fprintf(&evidence, "%s, %d MB\n", strings.TrimPrefix(path, l.root+"/"), info.Size()>>20)
	}
	return evidence.String(), nil
}

func (l *Lab) archives() []string {
	var paths []string
	for _, name := range l.images {
		repository, suffix, _ := strings.Cut(name, "-") // as test/images names its archives
		if suffix != "" {
			suffix = "-" + suffix
		}
		paths = append(paths, filepath.Join(l.root, "dist", "images", repository+"-"+l.version+suffix+".tar"))
	}
	return paths
}

// load puts the images onto the nodes. Pods that run an older build under the same
// name are replaced: the chart's annotation does that for the operator's, and
// restartRelays for the relays'.
func (l *Lab) load(ctx context.Context) (string, error) {
	if !l.own {
		return fmt.Sprintf("they must be there already, for example:\nskopeo copy oci-archive:dist/images/relay-dev.tar docker://%s/relay:%s", registry, l.version), nil
	}
	_, err := l.run(ctx, command{path: l.clusterProgram(), args: append([]string{"load", "--state", filepath.Dir(l.dir)}, l.archives()...)})
	return "", err
}

// buildID names the content of the images.
func (l *Lab) buildID() (string, error) {
	sum := sha256.New()
	for _, path := range l.archives() {
		data, err := os.ReadFile(path)
		if err != nil {
			return "", fmt.Errorf("looking at an image: %w", err)
		}
		_, _ = sum.Write(data)
	}
	return hex.EncodeToString(sum.Sum(nil))[:16], nil
}

// remembered returns what remember kept under the name, and nothing when it did not.
func (l *Lab) remembered(name string) (string, error) {
	data, err := os.ReadFile(filepath.Join(l.dir, name))
	if errors.Is(err, fs.ErrNotExist) {
		return "", nil
	}
	if err != nil {
		return "", fmt.Errorf("reading the lab's notes: %w", err)
	}
	return string(data), nil
}

func (l *Lab) remember(name, text string) error {
	if err := os.WriteFile(filepath.Join(l.dir, name), []byte(text), 0o600); err != nil {
		return fmt.Errorf("writing the lab's notes: %w", err)
	}
	return nil
}
