package docs_test

import (
	"slices"
	"testing"

	dto "github.com/prometheus/client_model/go"

	"github.com/relaykeep/relaykeep/test/docs"
)

const manual = "# Metrics\n\n## Of it\n\n| metric | type | labels | says |\n|---|---|---|---|\n" +
	"| `relaykeep_a` | gauge | `namespace`, `kind` (one, two) | a `b` (c) |\n| `relaykeep_b_total` | counter | | b |\n\n## Of others\n\n| `relaykeep_c` | gauge | | c |\n"

func TestMetrics_TableIsReadAndCompared(t *testing.T) {
	explained, err := docs.Metrics(manual, "Of it")
	if err != nil || len(explained) != 2 || explained["relaykeep_a"].Labels["namespace"] != nil || !slices.Equal(explained["relaykeep_a"].Labels["kind"], []string{"one", "two"}) {
		t.Fatalf("read %+v, %v", explained, err)
	}
	family := func(name string, kind dto.MetricType, labels ...string) *dto.MetricFamily {
		m := &dto.Metric{}
		for i := 0; i < len(labels); i += 2 {
			m.Label = append(m.Label, &dto.LabelPair{Name: &labels[i], Value: &labels[i+1]})
		}
		return &dto.MetricFamily{Name: &name, Type: &kind, Metric: []*dto.Metric{m}}
	}
	a := family("relaykeep_a", dto.MetricType_GAUGE, "namespace", "acme", "kind", "two")
	b := family("relaykeep_b_total", dto.MetricType_COUNTER)
	for name, c := range map[string]struct {
		served []*dto.MetricFamily
		want   []string
	}{
		"all as explained":  {[]*dto.MetricFamily{a, b, family("go_goroutines", dto.MetricType_GAUGE)}, nil},
		"one is missing":    {[]*dto.MetricFamily{a}, []string{"relaykeep_b_total is explained and not served"}},
		"one too many":      {[]*dto.MetricFamily{a, b, family("relaykeep_c", dto.MetricType_GAUGE)}, []string{"relaykeep_c is served and not explained"}},
		"another type":      {[]*dto.MetricFamily{a, family("relaykeep_b_total", dto.MetricType_GAUGE)}, []string{"relaykeep_b_total is a gauge, and explained as a counter"}},
		"an unknown label":  {[]*dto.MetricFamily{a, family("relaykeep_b_total", dto.MetricType_COUNTER, "number", "4930")}, []string{"relaykeep_b_total has a label number that is not explained"}},
		"a missing label":   {[]*dto.MetricFamily{family("relaykeep_a", dto.MetricType_GAUGE, "kind", "one"), b}, []string{"relaykeep_a has no label namespace, though that is explained"}},
		"an unlisted value": {[]*dto.MetricFamily{family("relaykeep_a", dto.MetricType_GAUGE, "namespace", "x", "kind", "three"), b}, []string{"relaykeep_a has a value of kind that is not explained"}},
	} {
		if got := docs.Differences(explained, c.served); !slices.Equal(got, c.want) {
			t.Errorf("%s: %q, want %q", name, got, c.want)
		}
	}
	for name, heading := range map[string]string{"no such heading": "Of nobody", "no metric": "Empty"} {
		if got, err := docs.Metrics(manual+"\n## Empty\n", heading); err == nil {
			t.Errorf("%s: read %v", name, got)
		}
	}
}
