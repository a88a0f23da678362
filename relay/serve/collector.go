package serve

import (
	"context"

	"github.com/prometheus/client_golang/prometheus"

	"github.com/relaykeep/relaykeep/api/contract"
	"github.com/relaykeep/relaykeep/relay/message"
	"github.com/relaykeep/relaykeep/relay/omemo"
)

// attach adds what the parts know.
func (m *metrics) attach(p *parts) { m.registry.MustRegister(newPartsCollector(p)) }

// partsCollector reads counts where they are kept when they are asked for.
type partsCollector struct {
	parts                            *parts
	messages, queue, state, oldestAt *prometheus.Desc
	storage                          *prometheus.Desc
	refused, overQuota               *prometheus.Desc
}

func newPartsCollector(p *parts) *partsCollector {
	return &partsCollector{
		parts:    p,
		messages: prometheus.NewDesc("relaykeep_messages_total", "What happened to messages, since the process started.", []string{"event"}, nil),
		refused:  prometheus.NewDesc("relaykeep_signal_errors_total", "Messages and bundles that the Signal layer refused, by class, since the process started.", []string{"class"}, nil),
		overQuota: prometheus.NewDesc("relaykeep_quota_refusals_total",
			"Messages and files that were refused because their customer's share of the volume is used up, by direction.", []string{"direction"}, nil),
		queue:    prometheus.NewDesc("relaykeep_queue_jobs", "Jobs that are queued.", []string{"queue"}, nil),
		state:    prometheus.NewDesc("relaykeep_condition", "1 when the condition is true, 0 when it is false, -1 when it is unknown.", []string{"type"}, nil),
		storage:  prometheus.NewDesc("relaykeep_storage_mode", "Always 1; the label is the storage mode, Retained or None.", []string{"mode"}, nil),
		oldestAt: prometheus.NewDesc("relaykeep_oldest_key_timestamp_seconds", "When the oldest key that can still decrypt was made.", nil, nil),
	}
}

// Describe implements prometheus.Collector.
func (c *partsCollector) Describe(ch chan<- *prometheus.Desc) {
	ch <- c.messages
	ch <- c.refused
	ch <- c.overQuota
	ch <- c.queue
	ch <- c.state
	ch <- c.oldestAt
	ch <- c.storage
}

// Collect implements prometheus.Collector.
func (c *partsCollector) Collect(ch chan<- prometheus.Metric) {
	for _, e := range message.Events() {
		ch <- prometheus.MustNewConstMetric(c.messages, prometheus.CounterValue, float64(c.parts.messages.Count(e)), string(e))
	}
	for _, class := range omemo.Classes() {
		ch <- prometheus.MustNewConstMetric(c.refused, prometheus.CounterValue, float64(c.parts.messages.Refused(class)), class)
	}
	for _, what := range message.OverQuotas() {
		ch <- prometheus.MustNewConstMetric(c.overQuota, prometheus.CounterValue, float64(c.parts.messages.OverQuota(what)), string(what))
	}
	s := c.parts.status(context.Background())
	ch <- prometheus.MustNewConstMetric(c.storage, prometheus.GaugeValue, 1, s.Storage)
	ch <- prometheus.MustNewConstMetric(c.queue, prometheus.GaugeValue, float64(s.Counts.DeadLetters), message.QueueDead)
	for _, name := range []string{message.QueueOutbox, message.QueueReceipts, message.QueueWebhook, message.QueueMedia} {
		if n, err := message.Queue(c.parts.store, name).Length(context.Background()); err == nil {
			ch <- prometheus.MustNewConstMetric(c.queue, prometheus.GaugeValue, float64(n), name)
		}
	}
	for _, cond := range s.Conditions {
		ch <- prometheus.MustNewConstMetric(c.state, prometheus.GaugeValue, value(cond.Status), cond.Type)
	}
	if s.OldestKeyTime != nil {
		ch <- prometheus.MustNewConstMetric(c.oldestAt, prometheus.GaugeValue, float64(s.OldestKeyTime.Unix()))
	}
}

func value(s contract.ConditionStatus) float64 {
	switch s {
	case contract.True:
		return 1
	case contract.False:
		return 0
	case contract.Unknown:
	}
	return -1
}
