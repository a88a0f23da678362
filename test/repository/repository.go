// Package repository finds the clone of Relaykeep that the working directory is in, and the
// test cluster's programs. It must not know what they are used for.
package repository

import (
	"bufio"
	"context"
	"errors"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"strings"

	"github.com/relaykeep/relaykeep/test/images/binary"
)

// product is the first line of the go.mod at the repository's root.
const product = "module github.com/relaykeep/relaykeep"

// Released is the commit of the last release, from which tests of upgrades begin.
const Released = "effe65e"

// Root returns the root of the repository that the working directory is in.
func Root() (string, error) {
	dir, err := os.Getwd()
	if err != nil {
		return "", fmt.Errorf("finding the repository: %w", err)
	}
	for {
		if f, err := os.Open(filepath.Join(dir, "go.mod")); err == nil {
			line, _ := bufio.NewReader(f).ReadString('\n')
			_ = f.Close()
			if strings.TrimSpace(line) == product {
				return dir, nil
			}
		}
		parent := filepath.Dir(dir)
		if parent == dir {
			return "", errors.New("not inside a clone of Relaykeep: run it from there")
		}
		dir = parent
	}
}

// File returns the path of a file or folder of the repository.
func File(elements ...string) (string, error) {
	root, err := Root()
	if err != nil {
		return "", err
	}
	return filepath.Join(append([]string{root}, elements...)...), nil
}

// Program returns the path of one of the test cluster's programs, and builds it first if it
// is not cached: that takes minutes, once.
func Program(ctx context.Context, name string) (string, error) {
	cluster, err := File("test", "cluster")
	if err != nil {
		return "", err
	}
	cmd := exec.CommandContext(ctx, "go", "-C", cluster, "run", ".", "binary", name)
	cmd.Env = append(os.Environ(), binary.Environment()...)
	cmd.Stderr = os.Stderr
	out, err := cmd.Output()
	if err != nil {
		return "", fmt.Errorf("no %s: run 'go -C test/cluster run . binary %s' to see why: %w", name, name, err)
	}
	lines := strings.Split(strings.TrimSpace(string(out)), "\n")
	return lines[len(lines)-1], nil
}
