package controllers_test

import (
	"maps"
	"testing"

	"github.com/prometheus/client_golang/prometheus"

	"github.com/relaykeep/relaykeep/api/v1alpha1"
	"github.com/relaykeep/relaykeep/controllers"
)

// states returns what the metrics say of an object's conditions, by the value of a label.
func (w *world) states(metric, label, value string) map[string]float64 {
	w.t.Helper()
	registry := prometheus.NewPedanticRegistry()
	registry.MustRegister(controllers.NewStateMetrics(server.Client))
	families, err := registry.Gather()
	if err != nil {
		w.t.Fatal(err)
	}
	found := map[string]float64{}
	for _, f := range families {
		for _, m := range f.Metric {
			labels := map[string]string{}
			for _, l := range m.Label {
				labels[l.GetName()] = l.GetValue()
			}
			if f.GetName() == metric && labels[label] == value {
				found[labels["condition"]] = m.GetGauge().GetValue()
			}
		}
	}
	return found
}

func TestMetrics_TellOfRelaysWithoutAPod(t *testing.T) {
	w := newWorld(t)
	relay := w.relay("acme")
	w.create(relay)
	want := func(when string, want map[string]float64) {
		t.Helper()
		if got := w.states("relaykeep_businessrelay_condition", "namespace", w.name); !maps.Equal(got, want) {
			t.Errorf("%s the metrics say %v, want %v", when, got, want)
		}
	}
	want("before anybody looked", map[string]float64{v1alpha1.ConditionReady: -1, v1alpha1.ConditionReconciling: 0, v1alpha1.ConditionStalled: 0})
	w.pass(relay)
	want("without a pod", map[string]float64{v1alpha1.ConditionReady: 0, v1alpha1.ConditionReconciling: 1, v1alpha1.ConditionStalled: 0})
	// So that relays can be counted by region.
	if got := w.states("relaykeep_businessrelay_condition", "region", w.name); len(got) != 3 {
		t.Errorf("of the region's relays the metrics say %v", got)
	}
	w.regionPass()
	if got := w.states("relaykeep_dataregion_condition", "region", w.name); got[v1alpha1.ConditionReady] != 1 || got[v1alpha1.ConditionStalled] != 0 || got[v1alpha1.ConditionVaultReady] != -1 || len(got) != 5 {
		t.Errorf("of the region the metrics say %v", got)
	}
}
