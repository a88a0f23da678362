package main

import (
	"context"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"strings"

	"github.com/relaykeep/relaykeep/test/images/binary"
	"github.com/relaykeep/relaykeep/test/images/bom"
)

// plugin is the kubectl plugin's file name; kubectl finds it by that.
const plugin = "kubectl-relay"

// platform is a system that programs are built for, in Go's words.
type platform struct{ os, arch string }

// String returns the platform as file names have it.
func (p platform) String() string { return p.os + "_" + p.arch }

// clusters are the platforms of the images, and admins those of the kubectl plugin.
func clusters() []platform { return []platform{{"linux", "amd64"}, {"linux", "arm64"}} }

func admins() []platform {
	return append(clusters(), platform{"darwin", "amd64"}, platform{"darwin", "arm64"},
		platform{"windows", "amd64"}, platform{"windows", "arm64"})
}

// release is a release being made.
type release struct {
	version  string
	revision string // commit of the source; empty when it has changes that are not committed
	root     string // of the source
	out      string // the folder that is filled
	sums     map[string]string
}

// makeRelease fills the folder out from the source below root.
func makeRelease(ctx context.Context, version, revision, root, out string) (*release, error) {
	var err error
	r := &release{version: version, revision: revision}
	if r.root, err = filepath.Abs(root); err != nil {
		return nil, fmt.Errorf("finding the source: %w", err)
	}
	if r.out, err = filepath.Abs(out); err != nil {
		return nil, fmt.Errorf("finding the release's folder: %w", err)
	}
	if err := os.MkdirAll(r.out, 0o755); err != nil {
		return nil, fmt.Errorf("making the release's folder: %w", err)
	}
	for _, step := range []func(context.Context) error{r.images, r.imageList, r.chart, r.plugins, r.krew} {
		if err := step(ctx); err != nil {
			return nil, err
		}
	}
	r.sums, err = writeSums(r.out)
	return r, err
}

// images builds the container images, and a bill of materials for each program in them.
func (r *release) images(ctx context.Context) error {
	programs, err := os.MkdirTemp("", "relaykeep-programs-")
	if err != nil {
		return fmt.Errorf("making a folder for the images' programs: %w", err)
	}
	defer func() { _ = os.RemoveAll(programs) }()
	if _, err := r.command(ctx, "go", "run", "./test/images", "-version", r.version, "-attest", "-revision", r.revision, "-out", r.out, "-programs", programs); err != nil {
		return err
	}
	for _, name := range imageNames() {
		for _, p := range clusters() {
			program, err := os.ReadFile(filepath.Join(programs, name+"_"+p.String()))
			if err != nil {
				return fmt.Errorf("reading the program of %s: %w", name, err)
			}
			if err := r.sbom(name, p, program); err != nil {
				return err
			}
		}
	}
	return nil
}

// completer is the program that kubectl runs to complete what follows the plugin's name.
const completer = "kubectl_complete-relay"

// plugins builds the kubectl plugin for each platform, packs it with the licence and what completes it, and writes its
// bill of materials.
func (r *release) plugins(ctx context.Context) error {
	licence, err := os.ReadFile(filepath.Join(r.root, "LICENSE"))
	if err != nil {
		return fmt.Errorf("reading the licence: %w", err)
	}
	script, err := os.ReadFile(filepath.Join(r.root, "cmd", plugin, "internal", "command", completer))
	if err != nil {
		return fmt.Errorf("reading what completes the plugin: %w", err)
	}
	for _, p := range admins() {
		fmt.Fprintf(os.Stderr, "building %s for %s/%s\n", plugin, p.os, p.arch)
		program, err := binary.Compile(ctx, binary.Program{
			Root: r.root, Package: "./cmd/" + plugin, Version: r.version, OS: p.os, Arch: p.arch,
		})
		if err != nil {
			return err
		}
		packed, err := pack(pluginArchive(r.version, p), pluginFiles(p, licence, program, script))
		if err != nil {
			return err
		}
		if err := r.write(pluginArchive(r.version, p), packed); err != nil {
			return err
		}
		if err := r.sbom(plugin, p, program); err != nil {
			return err
		}
	}
	return nil
}

// pluginFiles are the files of the plugin's archive. Windows runs no shell scripts: a copy of the plugin under the name of
// the script does the same there.
func pluginFiles(p platform, licence, program, script []byte) []file {
	files := []file{{name: "LICENSE", mode: 0o644, data: licence}, {name: pluginFile(p), mode: 0o755, data: program}}
	if p.os != "windows" {
		files = append(files, file{name: completer, mode: 0o755, data: script})
	}
	return files
}

// pluginFile is the plugin's file name on a platform.
func pluginFile(p platform) string {
	if p.os == "windows" {
		return plugin + ".exe"
	}
	return plugin
}

// pluginArchive is the file name of the plugin's archive: a zip for Windows, where no
// tar is needed to unpack it.
func pluginArchive(version string, p platform) string {
	ending := ".tar.gz"
	if p.os == "windows" {
		ending = ".zip"
	}
	return fmt.Sprintf("%s_%s_%s%s", plugin, version, p, ending)
}

// sbom writes a program's bill of materials, name.cdx.json.
func (r *release) sbom(name string, p platform, program []byte) error {
	text, err := bom.Describe(name, r.version, p.os+"/"+p.arch, program)
	if err != nil {
		return fmt.Errorf("describing %s: %w", name, err)
	}
	return r.write(fmt.Sprintf("%s_%s_%s.cdx.json", name, r.version, p), text)
}

// write writes one file of the release.
func (r *release) write(name string, data []byte) error {
	if err := os.WriteFile(filepath.Join(r.out, name), data, 0o644); err != nil {
		return fmt.Errorf("writing %s: %w", name, err)
	}
	return nil
}

// command runs a program in the source's folder and returns what it printed to
// standard output.
func (r *release) command(ctx context.Context, name string, args ...string) (string, error) {
	cmd := exec.CommandContext(ctx, name, args...)
	cmd.Dir, cmd.Stderr = r.root, os.Stderr
	out, err := cmd.Output()
	if err != nil {
		return "", fmt.Errorf("%s: %w", strings.Join(append([]string{name}, args...), " "), err)
	}
	return string(out), nil
}
