// Command release makes everything that a release of Relaykeep has, in one folder,
// and publishes nothing: container images and the list of them, the chart, the kubectl plugin for each
// system with its krew manifest, a bill of materials for each program, the
// checksums of all of it, and with a key the signatures of these and of the images. It makes it twice, the second time from a copy of the
// source elsewhere, and fails if the two differ. It must not know how an image is
// built (test/images does) nor what the programs do.
//
//	go run ./test/release -version v1.2.3     into dist/v1.2.3
package main

import (
	"context"
	"crypto/ecdsa"
	"flag"
	"fmt"
	"io"
	"os"
	"os/exec"
	"os/signal"
	"path/filepath"
	"strings"
	"syscall"

	"golang.org/x/mod/semver"
)

func main() {
	ctx, stop := signal.NotifyContext(context.Background(), os.Interrupt, syscall.SIGTERM)
	err := run(ctx, os.Args[1:], os.Stdout)
	stop()
	if err != nil {
		fmt.Fprintln(os.Stderr, "release:", err)
		os.Exit(1)
	}
}

// options are the command line.
type options struct {
	version string // with its v
	out     string // folder of releases
	once    bool
	key     string // file of the key that signs; empty signs nothing
}

func parse(args []string) (options, error) {
	var o options
	flags := flag.NewFlagSet("release", flag.ContinueOnError)
	flags.StringVar(&o.version, "version", "", "semantic `version` of the release, such as v1.2.3 (required)")
	flags.StringVar(&o.out, "out", "dist", "`folder` in which the release's folder is made")
	flags.BoolVar(&o.once, "once", false, "do not make it a second time to compare")
	flags.StringVar(&o.key, "key", "", "`file` of the private key that signs the release (PEM, ECDSA P-256); without it nothing is signed")
	if err := flags.Parse(args); err != nil {
		return options{}, err
	}
	if flags.NArg() > 0 {
		return options{}, fmt.Errorf("%q: this command takes flags only", flags.Arg(0))
	}
	var err error
	o.version, err = parseVersion(o.version)
	return o, err
}

// parseVersion returns a semantic version with its v. Build metadata is refused: the tag
// of an image cannot hold the plus sign.
func parseVersion(s string) (string, error) {
	v := "v" + strings.TrimPrefix(s, "v")
	if !semver.IsValid(v) || semver.Canonical(v) != v {
		return "", fmt.Errorf("%q is not a semantic version without build metadata: write make release VERSION=v1.2.3 or v1.2.3-rc.1", s)
	}
	return v, nil
}

func run(ctx context.Context, args []string, out io.Writer) error {
	o, err := parse(args)
	if err != nil {
		return err
	}
	var key *ecdsa.PrivateKey
	if o.key != "" {
		if key, err = readKey(o.key); err != nil {
			return err
		}
	}
	if err := os.MkdirAll(o.out, 0o755); err != nil {
		return fmt.Errorf("making the folder for releases: %w", err)
	}
	dir, err := os.MkdirTemp(o.out, ".release-")
	if err != nil {
		return fmt.Errorf("making the folder of the release: %w", err)
	}
	defer func() { _ = os.RemoveAll(dir) }()
	revision, err := revisionOf(ctx)
	if err != nil {
		return err
	}
	first, err := makeRelease(ctx, o.version, revision, ".", filepath.Join(dir, "first"))
	if err != nil {
		return err
	}
	if !o.once {
		if err := compare(ctx, o.version, first, filepath.Join(dir, "second")); err != nil {
			return err
		}
	}
	if key != nil {
		if err := first.sign(key); err != nil {
			return err
		}
	}
	target := filepath.Join(o.out, o.version)
	if err := os.RemoveAll(target); err != nil {
		return fmt.Errorf("removing the former folder: %w", err)
	}
	if err := os.Rename(first.out, target); err != nil {
		return fmt.Errorf("naming the folder of the release: %w", err)
	}
	return report(out, target, o)
}

// revisionOf returns the commit of the source. When the source is not a commit's, it says so and returns none: nobody could make
// that release again.
func revisionOf(ctx context.Context) (string, error) {
	out, err := exec.CommandContext(ctx, "git", "status", "--porcelain").Output()
	if err != nil {
		return "", fmt.Errorf("asking git about the source: %w", err)
	}
	if len(out) > 0 {
		fmt.Fprintln(os.Stderr, "The source has changes that are not committed: publish nothing of this.")
		return "", nil
	}
	out, err = exec.CommandContext(ctx, "git", "rev-parse", "HEAD").Output()
	if err != nil {
		return "", fmt.Errorf("asking git for the commit: %w", err)
	}
	return strings.TrimSpace(string(out)), nil
}

// compare makes the release again from a copy of the source in another folder, and
// fails where a file differs.
func compare(ctx context.Context, version string, first *release, out string) error {
	source, err := os.MkdirTemp("", "relaykeep-source-")
	if err != nil {
		return fmt.Errorf("copying the source: %w", err)
	}
	defer func() { _ = os.RemoveAll(source) }()
	if err := copySource(ctx, first.root, source); err != nil {
		return err
	}
	second, err := makeRelease(ctx, version, first.revision, source, out)
	if err != nil {
		return fmt.Errorf("making it again to compare: %w", err)
	}
	if diff := differences(first.sums, second.sums); len(diff) > 0 {
		return fmt.Errorf("made twice, these files differ: %s", strings.Join(diff, ", "))
	}
	return nil
}

// report says what there is, and that nothing was published.
func report(out io.Writer, dir string, o options) error {
	entries, err := os.ReadDir(dir)
	if err != nil {
		return fmt.Errorf("reading the release: %w", err)
	}
	for _, e := range entries {
		info, err := e.Info()
		if err != nil {
			return fmt.Errorf("reading the release: %w", err)
		}
		fmt.Fprintf(out, "%10d  %s\n", info.Size(), filepath.Join(dir, e.Name()))
	}
	if !o.once {
		fmt.Fprintln(out, "Made twice, from two folders, with the same checksums.")
	}
	if o.key == "" {
		fmt.Fprintln(out, "Nothing is signed: KEY names no key.")
	}
	fmt.Fprintln(out, "Nothing was published.")
	return nil
}
