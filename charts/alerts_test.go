package charts

import (
	"os"
	"os/exec"
	"path/filepath"
	"testing"

	"github.com/relaykeep/relaykeep/test/services/promtool"
)

// TestAlerts_AreRaisedByWhatTheySay runs Prometheus's own tests of the alerts.
func TestAlerts_AreRaisedByWhatTheySay(t *testing.T) {
	if testing.Short() {
		t.Skip("needs promtool")
	}
	program, err := promtool.Path()
	if err != nil {
		t.Fatal(err)
	}
	dir := t.TempDir() // the tests name the rules by their path from there
	for to, from := range map[string]string{
		"alerts.yaml": filepath.Join("relaykeep", "files", "alerts.yaml"), "alerts_test.yaml": filepath.Join("testdata", "alerts_test.yaml"),
	} {
		text, err := os.ReadFile(from)
		if err != nil {
			t.Fatal(err)
		}
		if err := os.WriteFile(filepath.Join(dir, to), text, 0o600); err != nil {
			t.Fatal(err)
		}
	}
	for _, args := range [][]string{{"check", "rules", "alerts.yaml"}, {"test", "rules", "alerts_test.yaml"}} {
		cmd := exec.CommandContext(t.Context(), program, args...)
		cmd.Dir = dir
		if out, err := cmd.CombinedOutput(); err != nil {
			t.Errorf("promtool %v: %v\n%s", args, err, out)
		}
	}
}
