// Command images builds Relaykeep's container images, from scratch: a static
// binary and the certificate authorities of the web, run as user 65532. It needs
// Go and nothing else, neither a registry nor a daemon, and the same source gives
// the same bytes. It must not know what the binaries do.
//
//	go run ./test/images                         both images, amd64 and arm64, into dist/images
//	go run ./test/images -programs /out          the same, and each program by itself
//	go run ./test/images -rootfs /out -image relay   the relay's root file system, for the Dockerfile
package main

import (
	"context"
	"flag"
	"fmt"
	"os"
	"os/signal"
	"path/filepath"
	"runtime"
	"strings"
	"syscall"

	"golang.org/x/sync/errgroup"

	"github.com/relaykeep/relaykeep/test/images/oci"
)

func main() {
	ctx, stop := signal.NotifyContext(context.Background(), os.Interrupt, syscall.SIGTERM)
	err := run(ctx, os.Args[1:])
	stop()
	if err != nil {
		fmt.Fprintln(os.Stderr, "images:", err)
		os.Exit(1)
	}
}

// options are the command line.
type options struct {
	version   string
	registry  string
	out       string
	programs  string
	rootfs    string
	attest    bool
	revision  string
	platforms []oci.Platform
	images    []image
}

func run(ctx context.Context, args []string) error {
	o, err := parse(args)
	if err != nil {
		return err
	}
	if o.rootfs != "" {
		return writeRootFS(ctx, o)
	}
	for _, dir := range []string{o.out, o.programs} {
		if dir == "" {
			continue
		}
		if err := os.MkdirAll(dir, 0o755); err != nil {
			return fmt.Errorf("making the folder for the images: %w", err)
		}
	}
	// A linker uses one processor most of the time.
	group, ctx := errgroup.WithContext(ctx)
	group.SetLimit(runtime.NumCPU())
	for _, i := range o.images {
		group.Go(func() error { return writeImage(ctx, o, i) })
	}
	return group.Wait()
}

func parse(args []string) (options, error) {
	var o options
	var platforms, names string
	flags := flag.NewFlagSet("images", flag.ContinueOnError)
	flags.StringVar(&o.version, "version", "dev", "`version` that the binaries report and the images are tagged with")
	flags.StringVar(&o.registry, "registry", "ghcr.io/relaykeep", "registry and repository `prefix` of the images' names")
	flags.StringVar(&o.out, "out", filepath.Join("dist", "images"), "`folder` for the archives")
	flags.StringVar(&o.programs, "programs", "", "write each image's program into this `folder` too, as NAME_OS_ARCHITECTURE")
	flags.StringVar(&o.rootfs, "rootfs", "", "write one image's files into this `folder` instead of an archive")
	flags.BoolVar(&o.attest, "attest", false, "attach a bill of materials and the provenance to each image")
	flags.StringVar(&o.revision, "revision", "", "`commit` of the source, for the provenance; empty when it is none's")
	flags.StringVar(&platforms, "platforms", "linux/amd64,linux/arm64", "comma-separated os/architecture, or \"host\"")
	flags.StringVar(&names, "image", "manager,relay", "comma-separated images: manager, relay, relay-testclock (never released)")
	if err := flags.Parse(args); err != nil {
		return options{}, err
	}
	if flags.NArg() > 0 {
		return options{}, fmt.Errorf("%q: this command takes flags only", flags.Arg(0))
	}
	for name := range strings.SplitSeq(names, ",") {
		i, err := imageNamed(name)
		if err != nil {
			return options{}, err
		}
		o.images = append(o.images, i)
	}
	for p := range strings.SplitSeq(strings.ReplaceAll(platforms, "host", "linux/"+runtime.GOARCH), ",") {
		platform, err := oci.ParsePlatform(p)
		if err != nil {
			return options{}, err
		}
		o.platforms = append(o.platforms, platform)
	}
	if o.rootfs != "" && (len(o.images) != 1 || len(o.platforms) != 1) {
		return options{}, fmt.Errorf("-rootfs needs exactly one -image and one of -platforms")
	}
	return o, nil
}

// writeImage writes dist/images/<name>-<tag>.tar.
func writeImage(ctx context.Context, o options, i image) error {
	var built []oci.Image
	for _, p := range o.platforms {
		fmt.Fprintf(os.Stderr, "building %s for %s\n", i.name, p)
		files, err := i.files(ctx, p, o.version)
		if err != nil {
			return err
		}
		if err := writeProgram(o, i, p, files); err != nil {
			return err
		}
		one, err := i.build(p, o.version, files)
		if err != nil {
			return err
		}
		if o.attest {
			one.Attest = i.attested(o, p, files)
		}
		built = append(built, one)
	}
	target := filepath.Join(o.out, i.repository+"-"+i.tag(o.version)+".tar")
	f, err := os.CreateTemp(o.out, ".image-*")
	if err != nil {
		return fmt.Errorf("writing %s: %w", target, err)
	}
	defer func() { _ = os.Remove(f.Name()) }()
	if err := oci.WriteArchive(f, o.registry+"/"+i.repository+":"+i.tag(o.version), built); err != nil {
		_ = f.Close()
		return err
	}
	if err := f.Chmod(0o644); err != nil {
		_ = f.Close()
		return fmt.Errorf("writing %s: %w", target, err)
	}
	if err := f.Close(); err != nil {
		return fmt.Errorf("writing %s: %w", target, err)
	}
	if err := os.Rename(f.Name(), target); err != nil {
		return fmt.Errorf("writing %s: %w", target, err)
	}
	fmt.Println(target)
	return nil
}

// writeProgram writes the image's program by itself, where that is wanted.
func writeProgram(o options, i image, p oci.Platform, files []oci.File) error {
	if o.programs == "" {
		return nil
	}
	for _, f := range files {
		if f.Path != i.programPath() {
			continue
		}
		name := filepath.Join(o.programs, i.name+"_"+p.OS+"_"+p.Architecture)
		if err := os.WriteFile(name, f.Data, os.FileMode(f.Mode)); err != nil {
			return fmt.Errorf("writing the program of %s: %w", i.name, err)
		}
	}
	return nil
}

// writeRootFS lays one image's files out in a folder.
func writeRootFS(ctx context.Context, o options) error {
	files, err := o.images[0].files(ctx, o.platforms[0], o.version)
	if err != nil {
		return err
	}
	for _, f := range files {
		name := filepath.Join(o.rootfs, f.Path)
		if err := os.MkdirAll(filepath.Dir(name), 0o755); err != nil {
			return fmt.Errorf("writing the root file system: %w", err)
		}
		if err := os.WriteFile(name, f.Data, os.FileMode(f.Mode)); err != nil {
			return fmt.Errorf("writing the root file system: %w", err)
		}
	}
	return nil
}
