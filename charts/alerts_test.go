package charts

import (
	"maps"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"strings"
	"testing"

	"sigs.k8s.io/yaml"

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

// TestScrapeConfiguration_IsOneForPrometheus has Prometheus's own tool read what the manual says of a Prometheus without its
// operator.
func TestScrapeConfiguration_IsOneForPrometheus(t *testing.T) {
	if testing.Short() {
		t.Skip("needs promtool")
	}
	program, err := promtool.Path()
	if err != nil {
		t.Fatal(err)
	}
	text, err := os.ReadFile(filepath.Join("..", "docs", "operations.md"))
	if err != nil {
		t.Fatal(err)
	}
	_, config, found := strings.Cut(string(text), "```yaml\nscrape_configs:\n")
	config, _, closed := strings.Cut(config, "```")
	if !found || !closed {
		t.Fatal("there is no configuration")
	}
	// Debian's Prometheus is built without Kubernetes' discovery.
	discovery := regexp.MustCompile(`(?m)^    kubernetes_sd_configs: .*$`)
	if !discovery.MatchString(config) {
		t.Error("it does not say where the operator is found")
	}
	config = discovery.ReplaceAllLiteralString(config, "    static_configs: [{targets: [operator:8080]}]")
	file := filepath.Join(t.TempDir(), "prometheus.yaml")
	if err := os.WriteFile(file, []byte("scrape_configs:\n"+config), 0o600); err != nil {
		t.Fatal(err)
	}
	if out, err := exec.CommandContext(t.Context(), program, "check", "config", "--syntax-only", file).CombinedOutput(); err != nil {
		t.Errorf("%v: %s", err, out)
	}
}

// TestAlerts_AreThoseOfTheManual compares the alerts with the table of docs/metrics.md.
func TestAlerts_AreThoseOfTheManual(t *testing.T) {
	text, err := os.ReadFile(filepath.Join("relaykeep", "files", "alerts.yaml"))
	if err != nil {
		t.Fatal(err)
	}
	var rules struct {
		Groups []struct {
			Rules []struct {
				Alert  string
				Labels map[string]string
			}
		}
	}
	if err := yaml.Unmarshal(text, &rules); err != nil {
		t.Fatal(err)
	}
	raised := map[string]string{}
	for _, g := range rules.Groups {
		for _, r := range g.Rules {
			raised[r.Alert] = r.Labels["severity"]
		}
	}
	manual, err := os.ReadFile(filepath.Join("..", "docs", "metrics.md"))
	if err != nil {
		t.Fatal(err)
	}
	explained := map[string]string{}
	for _, m := range regexp.MustCompile(`(?m)^\| (Relaykeep[A-Za-z]+) \| ([a-z]+) \|`).FindAllStringSubmatch(string(manual), -1) {
		explained[m[1]] = m[2]
	}
	if len(raised) < 10 || !maps.Equal(raised, explained) {
		t.Errorf("the chart raises %v, the manual explains %v", raised, explained)
	}
}
