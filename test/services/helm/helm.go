// Package helm renders the chart with Helm itself, for tests that need what it renders. It must not know what that is.
package helm

import (
	"bytes"
	"context"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"

	"github.com/relaykeep/relaykeep/test/repository"
)

// Variable is the environment variable that names Helm's program.
const Variable = "RELAYKEEP_HELM"

// Path returns where Helm is. Without Variable it is the test cluster's, which is built first if it is not cached: that
// takes minutes, once.
func Path(ctx context.Context) (string, error) {
	if path := os.Getenv(Variable); path != "" {
		return path, nil
	}
	return repository.Program(ctx, "helm")
}

// Build3 builds Helm 3 into a folder and returns its path. It takes minutes, and once built some seconds.
func Build3(ctx context.Context, dir string) (string, error) {
	root, err := repository.Root()
	if err != nil {
		return "", err
	}
	path := filepath.Join(dir, "helm3")
	cmd := exec.CommandContext(ctx, "go", "build", "-modfile=test/helm3/go.mod", "-trimpath", "-ldflags=-s -w", "-o", path, "helm.sh/helm/v3/cmd/helm")
	cmd.Dir, cmd.Env = root, append(os.Environ(), "CGO_ENABLED=0")
	if out, err := cmd.CombinedOutput(); err != nil {
		return "", fmt.Errorf("building Helm 3: %w\n%s", err, out)
	}
	return path, nil
}

// Template returns what the chart renders, by the Helm of that path, for the release relaykeep in the namespace
// relaykeep-system, with further arguments of helm template.
func Template(ctx context.Context, program string, args ...string) ([]byte, error) {
	chart, err := repository.File("charts", "relaykeep")
	if err != nil {
		return nil, err
	}
	var out, complaint bytes.Buffer
	cmd := exec.CommandContext(ctx, program, append([]string{"template", "relaykeep", chart, "--namespace", "relaykeep-system"}, args...)...)
	cmd.Stdout, cmd.Stderr = &out, &complaint
	if err := cmd.Run(); err != nil {
		return nil, fmt.Errorf("rendering the chart: %w\n%s", err, complaint.Bytes())
	}
	return out.Bytes(), nil
}
