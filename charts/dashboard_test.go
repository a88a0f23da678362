package charts

import (
	"encoding/json"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"slices"
	"strings"
	"testing"

	"github.com/prometheus/client_golang/prometheus"
	"sigs.k8s.io/controller-runtime/pkg/metrics"
	"sigs.k8s.io/yaml"

	"github.com/relaykeep/relaykeep/api/v1alpha1"
	"github.com/relaykeep/relaykeep/controllers"
	"github.com/relaykeep/relaykeep/relay/message"
	"github.com/relaykeep/relaykeep/relay/serve"
	"github.com/relaykeep/relaykeep/test/services/promtool"
)

// query is an expression of the dashboard.
type query struct{ panel, expr, legend string }

// dashboard reads the expressions of the dashboard, with its variables filled in.
func dashboard(t *testing.T) []query {
	t.Helper()
	text, err := os.ReadFile(filepath.Join("relaykeep", "files", "dashboard.json"))
	if err != nil {
		t.Fatal(err)
	}
	var d struct {
		Panels []struct {
			ID      int
			Type    string
			Title   string
			Targets []struct{ Expr, LegendFormat string }
		}
	}
	if err := json.Unmarshal(text, &d); err != nil {
		t.Fatal(err)
	}
	ids := map[int]bool{}
	var all []query
	for _, p := range d.Panels {
		if ids[p.ID] {
			t.Errorf("two panels have the id %d", p.ID)
		}
		ids[p.ID] = true
		if p.Type != "row" && len(p.Targets) == 0 {
			t.Errorf("%s shows nothing", p.Title)
		}
		for _, target := range p.Targets {
			expr := strings.NewReplacer("$namespace", ".*", "$__rate_interval", "5m").Replace(target.Expr)
			all = append(all, query{p.Title, expr, target.LegendFormat})
		}
	}
	if len(all) < 20 {
		t.Fatalf("the dashboard has %d expressions only", len(all))
	}
	return all
}

// metric is a metric that operator or relay register.
type metric struct {
	name   string
	labels []string
}

// description is how a description prints; there is no other way to read it.
var description = regexp.MustCompile(`fqName: "([^"]+)".*constLabels: \{([^}]*)\}, variableLabels: \{([^}]*)\}`)

// constant is a label with its value, of those that are the same in every series.
var constant = regexp.MustCompile(`([a-z_]+)="[^"]*"`)

// registered are all metrics of operator and relay, with the labels that a scrape of a relay's pod adds to its own.
func registered(t *testing.T) []metric {
	t.Helper()
	read := func(describe func(chan<- *prometheus.Desc), added ...string) (all []metric) {
		to := make(chan *prometheus.Desc)
		go func() { defer close(to); describe(to) }()
		for d := range to {
			m := description.FindStringSubmatch(d.String())
			if m == nil {
				t.Fatalf("unreadable: %s", d)
			}
			labels := strings.FieldsFunc(m[3], func(r rune) bool { return r == ',' || r == ' ' })
			for _, c := range constant.FindAllStringSubmatch(m[2], -1) {
				labels = append(labels, c[1])
			}
			all = append(all, metric{m[1], append(labels, added...)})
		}
		return all
	}
	runtime, ok := metrics.Registry.(prometheus.Collector)
	if !ok {
		t.Fatal("controller-runtime's registry does not describe its metrics")
	}
	return slices.Concat(
		read(controllers.NewStateMetrics(nil).Describe), read(controllers.NewRetentionMetrics(nil, nil).Describe), read(controllers.NewKeeperMetrics(nil).Describe),
		read(runtime.Describe),
		read(serve.DescribeMetrics, "namespace", "pod"),
	)
}

// values are those of the labels by which the dashboard selects; any other label has one that nothing selects.
func values(label string) []string {
	switch label {
	case "condition":
		return []string{v1alpha1.ConditionReady, v1alpha1.ConditionReconciling, v1alpha1.ConditionStalled}
	case "type":
		return []string{v1alpha1.ConditionKeysReady, v1alpha1.ConditionCarrierConnected, v1alpha1.ConditionWebhookVerified, v1alpha1.ConditionVolumeHasRoom}
	case "queue":
		return []string{message.QueueOutbox, message.QueueReceipts, message.QueueWebhook, message.QueueDead, message.QueueMedia}
	}
	return []string{"any"}
}

// moment ends the names of what is in seconds and no histogram.
var moment = regexp.MustCompile(`_(timestamp|age|lag|period)_seconds$`)

// series are the series of a metric, in Prometheus's writing: one for each combination of its labels' values.
func (m metric) series() []string {
	names := []string{m.name}
	if strings.HasSuffix(m.name, "_seconds") && !moment.MatchString(m.name) { // a histogram
		names = []string{m.name + `_bucket{le="+Inf"`, m.name + "_sum{", m.name + "_count{"}
	} else {
		names[0] += "{"
	}
	for _, label := range m.labels {
		var longer []string
		for _, n := range names {
			for _, v := range values(label) {
				if !strings.HasSuffix(n, "{") {
					longer = append(longer, fmt.Sprintf("%s,%s=%q", n, label, v))
				} else {
					longer = append(longer, fmt.Sprintf("%s%s=%q", n, label, v))
				}
			}
		}
		names = longer
	}
	for i := range names {
		names[i] += "}"
	}
	return names
}

// TestDashboard_AsksForWhatIsThere gives Prometheus a series of every metric that is registered, and wants an answer to every
// expression.
func TestDashboard_AsksForWhatIsThere(t *testing.T) {
	if testing.Short() {
		t.Skip("needs promtool")
	}
	program, err := promtool.Path()
	if err != nil {
		t.Fatal(err)
	}
	type object = map[string]any
	var inputs, rules, tests []object
	for _, m := range registered(t) {
		for _, s := range m.series() {
			inputs = append(inputs, object{"series": s, "values": "1+1x30"})
		}
	}
	for i, q := range dashboard(t) {
		name := fmt.Sprintf("Panel%d", i)
		rules = append(rules, object{"alert": name, "expr": "count(" + q.expr + ") > 0", "annotations": object{"summary": q.panel}})
		tests = append(tests, object{"eval_time": "20m", "alertname": name, "exp_alerts": []object{{"exp_annotations": object{"summary": q.panel}}}})
	}
	dir := t.TempDir()
	for name, content := range map[string]object{
		"rules.yaml": {"groups": []object{{"name": "dashboard", "rules": rules}}},
		"test.yaml": {
			"rule_files": []string{"rules.yaml"}, "evaluation_interval": "1m",
			"tests": []object{{"interval": "1m", "input_series": inputs, "alert_rule_test": tests}},
		},
	} {
		text, err := yaml.Marshal(content)
		if err != nil {
			t.Fatal(err)
		}
		if err := os.WriteFile(filepath.Join(dir, name), text, 0o600); err != nil {
			t.Fatal(err)
		}
	}
	cmd := exec.CommandContext(t.Context(), program, "test", "rules", "test.yaml")
	cmd.Dir = dir
	if out, err := cmd.CombinedOutput(); err != nil {
		t.Errorf("%v\n%s", err, out)
	}
}

var (
	aggregated = regexp.MustCompile(`by \(([^)]*)\)`)
	shown      = regexp.MustCompile(`\{\{([a-z]+)\}\}`)
	selected   = regexp.MustCompile(`\b(?:relaykeep|controller_runtime)_[a-z_]+`)
)

// TestDashboard_LabelsAreTheMetrics wants every label by which a panel sums, and each in a legend, to be one of the expression's
// metric: Prometheus would answer without it.
func TestDashboard_LabelsAreTheMetrics(t *testing.T) {
	labels := map[string][]string{}
	for _, m := range registered(t) {
		labels[m.name] = append(m.labels, "le")
	}
	for _, q := range dashboard(t) {
		name := strings.TrimSuffix(selected.FindString(q.expr), "_bucket")
		if labels[name] == nil {
			t.Errorf("%s: nothing registers %s", q.panel, name)
		}
		kept := labels[name]
		for _, m := range aggregated.FindAllStringSubmatch(q.expr, -1) {
			kept = strings.Split(m[1], ", ")
			for _, l := range kept {
				if !slices.Contains(labels[name], l) {
					t.Errorf("%s: %s has no label %s", q.panel, name, l)
				}
			}
		}
		for _, m := range shown.FindAllStringSubmatch(q.legend, -1) {
			if !slices.Contains(kept, m[1]) {
				t.Errorf("%s: the legend shows %s, which the answer has not", q.panel, m[1])
			}
		}
	}
}
