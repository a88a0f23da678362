package keys_test

import (
	"bytes"
	"context"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/relaykeep/relaykeep/relay/vault/setup"
)

// buildRelay builds the relay as it is released, or with tags.
func buildRelay(t *testing.T, tags ...string) string {
	t.Helper()
	binary := filepath.Join(t.TempDir(), "relay")
	out, err := exec.CommandContext(t.Context(), "go", "build", "-buildvcs=false", "-ldflags=-s -w", "-tags", strings.Join(tags, ","), "-o", binary, "../../cmd/relay").CombinedOutput()
	must(t, "building the relay: "+string(out), err)
	return binary
}

// runRelay runs a command of the relay to its end and returns what it printed.
func runRelay(t *testing.T, binary string, args ...string) (string, error) {
	t.Helper()
	ctx, cancel := context.WithTimeout(t.Context(), 2*time.Minute)
	defer cancel()
	out, err := exec.CommandContext(ctx, binary, args...).CombinedOutput()
	return string(out), err
}

func TestReleasedRelayHasNoClockToTurn(t *testing.T) {
	const variable = "RELAYKEEP_CLOCK_OFFSET"
	for tags, want := range map[string]bool{"": false, "testclock": true} {
		content, err := os.ReadFile(buildRelay(t, tags))
		must(t, "reading the relay", err)
		if found := bytes.Contains(content, []byte(variable)); found != want {
			t.Errorf("built with tags %q, it knows %s: %v", tags, variable, found)
		}
	}
}

func TestSetupAppliedAgainChangesNothing(t *testing.T) {
	var made []string
	err := setup.Apply(t.Context(), shared.Root, shared.Setup, func(title string, changed bool) {
		if changed && !strings.HasPrefix(title, "policy ") && !strings.HasPrefix(title, "role ") &&
			title != "whom to ask about service account tokens" {
			made = append(made, title)
		}
	})
	must(t, "setting up again", err)
	if made != nil {
		t.Errorf("made again: %v", made)
	}
	issuers, err := shared.Root.Logical().ListWithContext(t.Context(), "pki/issuers")
	must(t, "listing issuers", err)
	if keys, _ := issuers.Data["keys"].([]any); len(keys) != 1 {
		t.Errorf("there are %d authorities", len(keys))
	}
}

func TestSetupWithoutTheRightsSaysWhatIsMissing(t *testing.T) {
	c := login(t, newTenant(t, "acme"), "relaykeep-relay-eu")
	err := setup.Apply(t.Context(), c, shared.Setup, nil)
	if err == nil || !strings.Contains(err.Error(), "may manage mounts") {
		t.Errorf("error is %v", err)
	}
}
