package controllers

import (
	"context"
	"fmt"

	"github.com/prometheus/client_golang/prometheus"
	"k8s.io/apimachinery/pkg/api/meta"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"sigs.k8s.io/controller-runtime/pkg/client"

	"github.com/relaykeep/relaykeep/api/v1alpha1"
)

// StateMetrics shows, for each relay and region, whether it is ready, stalled or still being brought to its desired state,
// also when no pod of it runs. It reads the cache on each scrape, so that a deleted object leaves no series.
type StateMetrics struct {
	objects              client.Reader
	relay, region, leads *prometheus.Desc
}

// NewStateMetrics returns the collector over what objects reads.
func NewStateMetrics(objects client.Reader) *StateMetrics {
	const meaning = "1 when the condition is True, 0 when it is False or absent, -1 when it is Unknown or nobody has looked yet."
	return &StateMetrics{
		objects: objects,
		leads:   prometheus.NewDesc("relaykeep_operator_leads", "1 from the operator that leads; the others that stand by have none.", nil, nil),
		relay: prometheus.NewDesc("relaykeep_businessrelay_condition",
			"Conditions of a BusinessRelay, as the operator sees them: "+meaning, []string{"namespace", "name", "region", "condition"}, nil),
		region: prometheus.NewDesc("relaykeep_dataregion_condition",
			"Conditions of a DataRegion: "+meaning, []string{"region", "condition"}, nil),
	}
}

// Describe implements prometheus.Collector.
func (m *StateMetrics) Describe(ch chan<- *prometheus.Desc) {
	ch <- m.relay
	ch <- m.region
	ch <- m.leads
}

// Collect implements prometheus.Collector.
func (m *StateMetrics) Collect(ch chan<- prometheus.Metric) {
	ctx, cancel := context.WithTimeout(context.Background(), scrapeTime)
	defer cancel()
	ch <- prometheus.MustNewConstMetric(m.leads, prometheus.GaugeValue, 1)
	relays := &v1alpha1.BusinessRelayList{}
	if err := m.objects.List(ctx, relays, client.UnsafeDisableDeepCopy); err != nil {
		ch <- prometheus.NewInvalidMetric(m.relay, fmt.Errorf("listing relays: %w", err))
		return
	}
	regions := &v1alpha1.DataRegionList{}
	if err := m.objects.List(ctx, regions, client.UnsafeDisableDeepCopy); err != nil {
		ch <- prometheus.NewInvalidMetric(m.region, fmt.Errorf("listing regions: %w", err))
		return
	}
	for i := range relays.Items {
		r := &relays.Items[i]
		for kind, value := range states(r.Status.Conditions) {
			ch <- prometheus.MustNewConstMetric(m.relay, prometheus.GaugeValue, value, r.Namespace, r.Name, string(r.Spec.DataRegion), kind)
		}
	}
	for i := range regions.Items {
		r := &regions.Items[i]
		for kind, value := range states(r.Status.Conditions) {
			ch <- prometheus.MustNewConstMetric(m.region, prometheus.GaugeValue, value, r.Name, kind)
		}
		for _, s := range services() {
			ch <- prometheus.MustNewConstMetric(m.region, prometheus.GaugeValue, gauge(meta.FindStatusCondition(r.Status.Conditions, s.kind)), r.Name, s.kind)
		}
	}
}

// states are the values of the conditions that are shown. Reconciling and Stalled are absent when they are False.
func states(all []metav1.Condition) map[string]float64 {
	values := map[string]float64{v1alpha1.ConditionReady: gauge(meta.FindStatusCondition(all, v1alpha1.ConditionReady))}
	for _, kind := range []string{v1alpha1.ConditionReconciling, v1alpha1.ConditionStalled} {
		values[kind] = 0
		if c := meta.FindStatusCondition(all, kind); c != nil {
			values[kind] = gauge(c)
		}
	}
	return values
}
