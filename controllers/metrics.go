package controllers

import (
	"context"
	"fmt"
	"time"

	"github.com/prometheus/client_golang/prometheus"
	"k8s.io/apimachinery/pkg/api/meta"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"sigs.k8s.io/controller-runtime/pkg/client"

	"github.com/relaykeep/relaykeep/api/v1alpha1"
)

// scrapeTime bounds one look at the cache for the metrics.
const scrapeTime = 5 * time.Second

// RetentionMetrics shows, for each relay and each janitor that outlived its relay,
// whether old keys are erased on time. It reads the cache on each scrape, so that a
// deleted relay leaves no series.
type RetentionMetrics struct {
	relays               client.Reader
	now                  func() time.Time
	healthy, lastSuccess *prometheus.Desc
	oldestKey, lag       *prometheus.Desc
}

// NewRetentionMetrics returns the collector over what relays reads, at the time that now says.
func NewRetentionMetrics(relays client.Reader, now func() time.Time) *RetentionMetrics {
	labels := []string{"namespace", "name"}
	return &RetentionMetrics{
		relays: relays,
		now:    now,
		healthy: prometheus.NewDesc("relaykeep_retention_healthy",
			"1 when the janitor erases a relay's old keys on time, 0 when it failed or two runs were missed, -1 before it ran.", labels, nil),
		lastSuccess: prometheus.NewDesc("relaykeep_retention_last_success_timestamp_seconds",
			"When a relay's janitor last succeeded, by Vault's clock.", labels, nil),
		oldestKey: prometheus.NewDesc("relaykeep_retention_oldest_key_timestamp_seconds",
			"When the oldest of a relay's wrapping keys was made that its janitor left at its last success.", labels, nil),
		lag: prometheus.NewDesc("relaykeep_retention_lag_seconds",
			"By how much that key has outlived the relay's retention; 0 while it has not.", labels, nil),
	}
}

// Describe implements prometheus.Collector.
func (m *RetentionMetrics) Describe(ch chan<- *prometheus.Desc) {
	ch <- m.healthy
	ch <- m.lastSuccess
	ch <- m.oldestKey
	ch <- m.lag
}

// Collect implements prometheus.Collector.
func (m *RetentionMetrics) Collect(ch chan<- prometheus.Metric) {
	ctx, cancel := context.WithTimeout(context.Background(), scrapeTime)
	defer cancel()
	list := &v1alpha1.BusinessRelayList{}
	if err := m.relays.List(ctx, list, client.UnsafeDisableDeepCopy); err != nil {
		ch <- prometheus.NewInvalidMetric(m.healthy, fmt.Errorf("listing relays: %w", err))
		return
	}
	left, err := leftovers(ctx, m.relays, "", m.now())
	if err != nil {
		ch <- prometheus.NewInvalidMetric(m.healthy, err)
		return
	}
	for _, l := range left {
		if l.health != nil {
			is := &metav1.Condition{Status: l.health.Status}
			ch <- prometheus.MustNewConstMetric(m.healthy, prometheus.GaugeValue, gauge(is), l.relay.Namespace, l.relay.Name)
		}
	}
	for i := range list.Items {
		r := &list.Items[i]
		c := meta.FindStatusCondition(r.Status.Conditions, v1alpha1.ConditionRetentionHealthy)
		ch <- prometheus.MustNewConstMetric(m.healthy, prometheus.GaugeValue, gauge(c), r.Namespace, r.Name)
		if at := r.Status.Retention.LastSuccessTime; at != nil {
			ch <- prometheus.MustNewConstMetric(m.lastSuccess, prometheus.GaugeValue, float64(at.Unix()), r.Namespace, r.Name)
		}
		if made := r.Status.Retention.OldestKeyTime; made != nil {
			outlived := m.now().Sub(made.Add(time.Duration(r.Spec.Retention.Days) * 24 * time.Hour))
			ch <- prometheus.MustNewConstMetric(m.oldestKey, prometheus.GaugeValue, float64(made.Unix()), r.Namespace, r.Name)
			ch <- prometheus.MustNewConstMetric(m.lag, prometheus.GaugeValue, max(0, outlived).Seconds(), r.Namespace, r.Name)
		}
	}
}

// KeeperMetrics shows, for each DataRegion, whether its keeper of last resort checks
// every wrapping key on time. It reads the cache on each scrape.
type KeeperMetrics struct {
	regions                               client.Reader
	healthy, lastSuccess, keys, oldestKey *prometheus.Desc
}

// NewKeeperMetrics returns the collector over what regions reads.
func NewKeeperMetrics(regions client.Reader) *KeeperMetrics {
	labels := []string{"region"}
	return &KeeperMetrics{
		regions: regions,
		healthy: prometheus.NewDesc("relaykeep_keeper_healthy",
			"1 when a region's keeper checks every wrapping key on time, 0 when it failed or two runs were missed, -1 before it ran.", labels, nil),
		lastSuccess: prometheus.NewDesc("relaykeep_keeper_last_success_timestamp_seconds",
			"When a region's keeper last checked every wrapping key, by Vault's clock.", labels, nil),
		keys: prometheus.NewDesc("relaykeep_keeper_wrapping_keys",
			"How many wrapping keys a region's keeper last found in Vault.", labels, nil),
		oldestKey: prometheus.NewDesc("relaykeep_keeper_oldest_key_timestamp_seconds",
			"When the oldest wrapping key was made that a region's keeper last left in Vault.", labels, nil),
	}
}

// Describe implements prometheus.Collector.
func (m *KeeperMetrics) Describe(ch chan<- *prometheus.Desc) {
	ch <- m.healthy
	ch <- m.lastSuccess
	ch <- m.keys
	ch <- m.oldestKey
}

// Collect implements prometheus.Collector.
func (m *KeeperMetrics) Collect(ch chan<- prometheus.Metric) {
	ctx, cancel := context.WithTimeout(context.Background(), scrapeTime)
	defer cancel()
	list := &v1alpha1.DataRegionList{}
	if err := m.regions.List(ctx, list, client.UnsafeDisableDeepCopy); err != nil {
		ch <- prometheus.NewInvalidMetric(m.healthy, fmt.Errorf("listing regions: %w", err))
		return
	}
	for i := range list.Items {
		r := &list.Items[i]
		c := meta.FindStatusCondition(r.Status.Conditions, v1alpha1.ConditionKeeperHealthy)
		ch <- prometheus.MustNewConstMetric(m.healthy, prometheus.GaugeValue, gauge(c), r.Name)
		if at := r.Status.Keeper.LastSuccessTime; at != nil {
			ch <- prometheus.MustNewConstMetric(m.lastSuccess, prometheus.GaugeValue, float64(at.Unix()), r.Name)
			ch <- prometheus.MustNewConstMetric(m.keys, prometheus.GaugeValue, float64(r.Status.Keeper.WrappingKeys), r.Name)
		}
		if made := r.Status.Keeper.OldestKeyTime; made != nil {
			ch <- prometheus.MustNewConstMetric(m.oldestKey, prometheus.GaugeValue, float64(made.Unix()), r.Name)
		}
	}
}

func gauge(c *metav1.Condition) float64 {
	switch {
	case c == nil || c.Status == metav1.ConditionUnknown:
		return -1
	case c.Status == metav1.ConditionTrue:
		return 1
	}
	return 0
}

// served registers a collector while this operator is the leader.
type served struct {
	registry  prometheus.Registerer
	collector prometheus.Collector
}

// Start implements manager.Runnable.
func (s served) Start(ctx context.Context) error {
	if err := s.registry.Register(s.collector); err != nil {
		return fmt.Errorf("registering metrics: %w", err)
	}
	<-ctx.Done()
	s.registry.Unregister(s.collector)
	return nil
}
