// Package helm renders the chart with Helm itself, for tests that need what it renders. It must not know what that is.
package helm

import (
	"bytes"
	"context"
	"fmt"
	"os"
	"os/exec"

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
