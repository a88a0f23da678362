package lab

import (
	"context"
	"fmt"
	"os"
	"path/filepath"
)

// former returns a lab on the same cluster whose Relaykeep, with its chart and its
// kubectl plugin, is that of an earlier commit. Its images have the commit as tag.
func (l *Lab) former(ctx context.Context, commit string) (*Lab, error) {
	if _, err := l.run(ctx, command{path: "git", args: []string{"cat-file", "-e", commit + "^{commit}"}, quiet: true}); err != nil {
		return nil, fmt.Errorf("this clone has no commit %s, from which the upgrade begins: if it is a shallow one, run git fetch --unshallow: %w", commit, err)
	}
	f := *l
	f.version, f.images = commit, []string{"manager", "relay"}
	f.program = l.clusterProgram()
	f.root = filepath.Join(l.dir, "former-"+commit)
	if err := os.RemoveAll(f.root); err != nil {
		return nil, fmt.Errorf("making room for commit %s: %w", commit, err)
	}
	if err := os.MkdirAll(f.bin(""), 0o755); err != nil {
		return nil, fmt.Errorf("making room for commit %s: %w", commit, err)
	}
	archive := filepath.Join(l.dir, "former.tar")
	if _, err := l.run(ctx, command{path: "git", args: []string{"archive", "--format=tar", "-o", archive, commit}}); err != nil {
		return nil, err
	}
	_, err := l.run(ctx, command{path: "tar", args: []string{"-xf", archive, "-C", f.root}})
	return &f, err
}

// UpFormer brings everything up as Up does, with Relaykeep as it was at an earlier
// commit. Upgrade goes on from there. The manifests are that commit's, too.
func (l *Lab) UpFormer(ctx context.Context, commit string, regions, businesses func(*Lab) string) (*Lab, error) {
	if err := os.MkdirAll(filepath.Join(l.dir, "logs"), 0o755); err != nil {
		return nil, fmt.Errorf("making the lab's folder: %w", err)
	}
	var f *Lab
	apply := func(manifest func(*Lab) string) func(context.Context) (string, error) {
		return func(ctx context.Context) (string, error) { return f.Apply(ctx, manifest(f)) }
	}
	for _, s := range []struct {
		title string
		do    func(context.Context) (string, error)
	}{
		{"this Relaykeep is built", l.buildAndFetch},
		{"the programs of the cluster are built", l.buildCluster},
		{"a Kubernetes cluster runs", l.startCluster},
		{"Relaykeep of commit " + commit + " is built", func(ctx context.Context) (said string, err error) {
			if f, err = l.former(ctx, commit); err != nil {
				return "", err
			}
			if said, err = f.build(ctx); err != nil {
				return "", err
			}
			return said, f.link(f.kubectl, "kubectl")
		}},
		{"its images are on the nodes", func(ctx context.Context) (string, error) { return f.load(ctx) }},
		{"a Prosody for each region answers", l.startProsodies},
		{"a Vault for each region answers", l.startVaults},
		{"each business's webhook answers", l.startReceivers},
		{"it is installed with its chart", func(ctx context.Context) (string, error) {
			f.authority = l.authority
			return f.install(ctx)
		}},
		{"the regions exist", apply(regions)},
		{"each region's Vault is set up by it", func(ctx context.Context) (string, error) { return f.setUpVaults(ctx) }},
		{"the businesses' relays are made", apply(businesses)},
		{"the businesses' relays are Ready", func(ctx context.Context) (string, error) { return f.awaitBusinesses(ctx) }},
	} {
		if err := l.report.Step(ctx, s.title, s.do); err != nil {
			return nil, err
		}
	}
	return f, nil
}

// Upgrade does what docs/operations.md says of upgrades, from what UpFormer left.
func (l *Lab) Upgrade(ctx context.Context, from *Lab) error {
	l.keep = []string{registry + "/relay:" + from.version}
	build, err := l.buildID()
	if err != nil {
		return err
	}
	// It is the operator that brings relays to the new image: install is not to help.
	if err := l.remember(buildNote, build); err != nil {
		return err
	}
	for _, s := range []struct {
		title string
		do    func(context.Context) (string, error)
	}{
		{"this Relaykeep's images are on the nodes", l.load},
		{"each region's Vault is set up by this Relaykeep", l.setUpVaults},
		{"this Relaykeep is installed with its chart", l.install},
	} {
		if err := l.report.Step(ctx, s.title, s.do); err != nil {
			return err
		}
	}
	return nil
}

// Runs waits until a business's relay runs this lab's Relaykeep and is ready for requests.
func (l *Lab) Runs(ctx context.Context, b *Business) error {
	err := Poll(ctx, func(ctx context.Context) error {
		pod, err := l.RelayPod(ctx, b)
		if err != nil {
			return err
		}
		if image := pod.Spec.Containers[0].Image; image != registry+"/relay:"+l.version || !ready(pod) {
			return fmt.Errorf("the relay of %s runs %s and is ready: %t", b.Name, image, ready(pod))
		}
		return l.reachable(ctx, b)
	})
	if err != nil {
		return fmt.Errorf("%w\n%s", err, l.trouble(context.WithoutCancel(ctx), b))
	}
	return nil
}
