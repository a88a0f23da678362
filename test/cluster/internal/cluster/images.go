package cluster

import (
	"context"
	"errors"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"strings"

	"github.com/relaykeep/relaykeep/test/cluster/internal/config"
	"github.com/relaykeep/relaykeep/test/cluster/internal/host"
	"github.com/relaykeep/relaykeep/test/cluster/internal/image"
)

// registry is the host part of the images' names. Nothing answers there: every image is imported.
const registry = "cluster.relaykeep.test/"

// reference names an image after the build of the program in it, so that another build is another image.
func (c components) reference(program string) string {
	build := filepath.Base(filepath.Dir(c.programs[program]))
	return registry + program + ":" + build[strings.LastIndexByte(build, '-')+1:]
}

func (c components) pauseImage() string   { return c.reference("pause") }
func (c components) coreDNSImage() string { return c.reference("coredns") }

// toolsImage has a shell and what tests run in pods. Its name is fixed, for those tests: it says the version of the programs in it.
func (c components) toolsImage() string { return registry + "tools:v1" }

// clusterImages are the images that the cluster itself runs.
func (c components) clusterImages(ctx context.Context) ([]image.Image, error) {
	tools, err := c.tools(ctx)
	if err != nil {
		return nil, err
	}
	single := func(reference, program string) image.Image {
		return image.Image{
			Reference: reference, Files: map[string]string{"bin/" + program: c.programs[program]},
			Entrypoint: []string{"/bin/" + program}, User: "65532:65532",
		}
	}
	return []image.Image{single(c.pauseImage(), "pause"), single(c.coreDNSImage(), "coredns"), tools}, nil
}

// tools is the image with the shell and commands of the machine's own distribution, and the probe.
func (c components) tools(ctx context.Context) (image.Image, error) {
	const program = "/bin/busybox"
	out, err := exec.CommandContext(ctx, program, "--list").Output()
	if err != nil {
		return image.Image{}, fmt.Errorf("listing the commands of %s: %w", program, err)
	}
	links := make(map[string]string)
	for name := range strings.FieldsSeq(string(out)) {
		if name != "busybox" {
			links["bin/"+name] = "busybox"
		}
	}
	return image.Image{
		Reference: c.toolsImage(),
		Files:     map[string]string{"bin/busybox": program, "bin/probe": c.programs["probe"]},
		Links:     links,
	}, nil
}

// archives writes the archives of images that are not written yet and returns their paths by reference.
func archives(dir string, images []image.Image) (map[string]string, error) {
	if err := os.MkdirAll(dir, 0o700); err != nil {
		return nil, err
	}
	paths := make(map[string]string, len(images))
	for _, i := range images {
		path := filepath.Join(dir, strings.NewReplacer("/", "_", ":", "_").Replace(i.Reference)+".tar")
		paths[i.Reference] = path
		if _, err := os.Stat(path); err == nil {
			continue
		}
		if err := writeArchive(path, i); err != nil {
			return nil, fmt.Errorf("writing the image %s: %w", i.Reference, err)
		}
	}
	return paths, nil
}

func writeArchive(path string, i image.Image) error {
	f, err := os.Create(path + ".new")
	if err != nil {
		return err
	}
	if err := errors.Join(i.Write(f), f.Close()); err != nil {
		return err
	}
	return os.Rename(path+".new", path)
}

// ctr runs containerd's own client against a node, in the part of containerd that the kubelet uses.
func ctr(ctx context.Context, n config.Node, args ...string) (string, error) {
	program, err := host.Program("ctr")
	if err != nil {
		return "", err
	}
	cmd := exec.CommandContext(ctx, program, append([]string{"--address", n.Socket, "--namespace", "k8s.io"}, args...)...)
	out, err := cmd.Output()
	if err != nil {
		complaint := ""
		if exit, ok := errors.AsType[*exec.ExitError](err); ok {
			complaint = strings.TrimSpace(string(exit.Stderr))
		}
		return "", fmt.Errorf("ctr %s on %s: %w: %s", strings.Join(args, " "), n.Name, err, complaint)
	}
	return string(out), nil
}

// importMissing imports those archives into a node whose images it does not have, and returns how many those were.
func importMissing(ctx context.Context, n config.Node, paths map[string]string) (int, error) {
	out, err := ctr(ctx, n, "images", "list", "--quiet")
	if err != nil {
		return 0, err
	}
	present := make(map[string]bool)
	for reference := range strings.FieldsSeq(out) {
		present[reference] = true
	}
	imported := 0
	for reference, path := range paths {
		if present[reference] {
			continue
		}
		if _, err := ctr(ctx, n, "images", "import", path); err != nil {
			return imported, err
		}
		imported++
	}
	return imported, nil
}
