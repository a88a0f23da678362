package main

import (
	"bytes"
	"cmp"
	"context"
	"fmt"
	"os"
	"path/filepath"
	"slices"
	"strings"
)

// chart packages the Helm chart. Its version is the release's, and its appVersion, which
// is the tag of the images that it installs, too.
func (r *release) chart(ctx context.Context) error {
	if _, err := r.command(ctx, "go", "run", "./charts/generate", "-check"); err != nil {
		return err
	}
	out, err := r.command(ctx, "go", "-C", "test/cluster", "run", ".", "binary", "helm")
	if err != nil {
		return err
	}
	lines := strings.Split(strings.TrimSpace(out), "\n")
	helm := lines[len(lines)-1]
	dir, err := os.MkdirTemp("", "relaykeep-chart-")
	if err != nil {
		return fmt.Errorf("packaging the chart: %w", err)
	}
	defer func() { _ = os.RemoveAll(dir) }()
	number := strings.TrimPrefix(r.version, "v")
	if _, err := r.command(ctx, helm, "lint", "charts/relaykeep"); err != nil {
		return err
	}
	_, err = r.command(ctx, helm, "package", "charts/relaykeep", "--version", number, "--app-version", r.version, "--destination", dir)
	if err != nil {
		return err
	}
	name := "relaykeep-" + number + ".tgz"
	packaged, err := os.ReadFile(filepath.Join(dir, name))
	if err != nil {
		return fmt.Errorf("packaging the chart: %w", err)
	}
	annotations, err := r.annotations()
	if err != nil {
		return err
	}
	if packaged, err = repack(packaged, annotations); err != nil {
		return fmt.Errorf("packaging the chart: %w", err)
	}
	return r.write(name, packaged)
}

// annotations are those of Artifact Hub, and the digests of the images that the chart installs.
func (r *release) annotations() (map[string]string, error) {
	all, err := hubAnnotations(r.root, r.version)
	if err != nil {
		return nil, err
	}
	for _, name := range imageNames() {
		if all["relaykeep.dev/"+name+"-digest"], err = digestOf(filepath.Join(r.out, name+"-"+r.version+".tar"), reference(name, r.version)); err != nil {
			return nil, err
		}
	}
	return all, nil
}

// repack packs a chart's package again, since Helm writes the time into it, with further annotations. Chart.yaml
// stays first, where readers look for it.
func repack(packaged []byte, annotations map[string]string) ([]byte, error) {
	files, err := readTarGz(bytes.NewReader(packaged))
	if err != nil {
		return nil, err
	}
	first := func(f file) int {
		if strings.Count(f.name, "/") == 1 && strings.HasSuffix(f.name, "/Chart.yaml") {
			return 0
		}
		return 1
	}
	slices.SortFunc(files, func(a, b file) int {
		return cmp.Or(cmp.Compare(first(a), first(b)), cmp.Compare(a.name, b.name))
	})
	if files[0].data, err = annotate(files[0].data, annotations); err != nil {
		return nil, err
	}
	var out bytes.Buffer
	err = writeTarGz(&out, files)
	return out.Bytes(), err
}
