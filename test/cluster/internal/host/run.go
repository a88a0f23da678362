// Package host changes the machine for the cluster's sake (network, cgroups, packages) and takes all of it back. Everything it makes
// has a name of its own, everything it changes it remembers, so that what was there before is left as it was. It knows nothing of
// Kubernetes.
package host

import (
	"bytes"
	"context"
	"fmt"
	"os/exec"
	"strings"
	"time"
)

// commandLimit is how long one administrative command may take.
const commandLimit = 30 * time.Second

// command runs a program and returns what it printed; a failure carries what it complained about.
func command(ctx context.Context, input string, name string, args ...string) (string, error) {
	ctx, cancel := context.WithTimeout(ctx, commandLimit)
	defer cancel()
	cmd := exec.CommandContext(ctx, name, args...)
	cmd.Stdin = strings.NewReader(input)
	var out, complaint bytes.Buffer
	cmd.Stdout, cmd.Stderr = &out, &complaint
	if err := cmd.Run(); err != nil {
		return out.String(), fmt.Errorf("%s %s: %w: %s", name, strings.Join(args, " "), err, strings.TrimSpace(complaint.String()))
	}
	return out.String(), nil
}
