// Package binary compiles the programs that a release ships. Its one job is how:
// static, without symbols, and without paths, build id or revision, so that the bytes
// depend on the source, the version and Go's version alone. It must not know what
// the programs are packed into.
package binary

import (
	"context"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
)

// Program says what to compile.
type Program struct {
	Root    string // folder of the module; empty means the working directory
	Package string // path of the command below Root, such as ./cmd/relay
	Tags    string // build tags, comma-separated
	Version string // what the program reports as its version
	OS      string // as Go names it
	Arch    string // as Go names it
}

// Flags has the go command compile as for a release, and as the test cluster's programs are compiled: without paths, revision, and what
// the linker leaves out of a program without symbols. Each of the compilers that run at once uses one processor, which takes a quarter
// less of their time, and collects no garbage before it has two gibibytes, which takes up to a sixth less.
func Flags() []string {
	return []string{"-trimpath", "-buildvcs=false", "-gcflags=all=-dwarf=false", "-toolexec=env GOMAXPROCS=1 GOGC=off GOMEMLIMIT=2GiB"}
}

// Environment has go commands compile with Flags, whatever their caller's settings are, so that what is shared is compiled once. The
// Makefile has the same, for people who start go with it.
func Environment() []string {
	return []string{"CGO_ENABLED=0", "GOFLAGS='" + strings.Join(append(Flags(), "-ldflags=-s -w"), "' '") + "'"}
}

// Compile returns the program. What the compiler prints goes to standard error.
func Compile(ctx context.Context, p Program) ([]byte, error) {
	dir, err := os.MkdirTemp("", "relaykeep-binary-")
	if err != nil {
		return nil, fmt.Errorf("building %s: %w", p.Package, err)
	}
	defer func() { _ = os.RemoveAll(dir) }()
	out := filepath.Join(dir, "program")
	cmd := exec.CommandContext(ctx, "go", "build", "-tags", p.Tags, "-ldflags", "-s -w -buildid= -X main.version="+p.Version,
		"-o", out, p.Package)
	cmd.Dir = p.Root
	cmd.Env = append(append(os.Environ(), Environment()...), "GOOS="+p.OS, "GOARCH="+p.Arch)
	cmd.Stdout, cmd.Stderr = os.Stderr, os.Stderr
	if err := cmd.Run(); err != nil {
		return nil, fmt.Errorf("building %s for %s/%s: %w", p.Package, p.OS, p.Arch, err)
	}
	data, err := os.ReadFile(out)
	if err != nil {
		return nil, fmt.Errorf("building %s: %w", p.Package, err)
	}
	return data, nil
}
