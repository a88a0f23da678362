package serve

import (
	"context"
	"strconv"
	"time"

	"github.com/prometheus/client_golang/prometheus"
	"github.com/prometheus/client_golang/prometheus/collectors"

	"github.com/relaykeep/relaykeep/api/contract"
	"github.com/relaykeep/relaykeep/relay/carrier/xmpp"
	"github.com/relaykeep/relaykeep/relay/message"
	"github.com/relaykeep/relaykeep/relay/omemo"
	"github.com/relaykeep/relaykeep/relay/webhook"
)

// metrics are what /metrics shows. Labels are words of the program: no number, no
// address, no identifier of anybody.
type metrics struct {
	registry *prometheus.Registry

	requests, deliveries, vaultCalls *prometheus.CounterVec
	drops, links                     *prometheus.CounterVec
	requestTime                      prometheus.Histogram
	deliveryTime, vaultTime          prometheus.Histogram
}

func newMetrics(version string) *metrics {
	m := &metrics{registry: prometheus.NewRegistry()}
	counter := func(name, help string, labels ...string) *prometheus.CounterVec {
		c := prometheus.NewCounterVec(prometheus.CounterOpts{Namespace: "relaykeep", Name: name, Help: help}, labels)
		m.registry.MustRegister(c)
		return c
	}
	histogram := func(name, help string) prometheus.Histogram {
		h := prometheus.NewHistogram(prometheus.HistogramOpts{
			Namespace: "relaykeep", Name: name, Help: help, Buckets: []float64{.001, .005, .01, .05, .1, .25, 1, 5, 20},
		})
		m.registry.MustRegister(h)
		return h
	}
	m.requests = counter("requests_total", "Requests to the business's endpoint, by route, HTTP status and the API's error code.", "route", "status", "code")
	m.requestTime = histogram("request_seconds", "How long requests to the business's endpoint took.")
	m.deliveries = counter("webhook_attempts_total", "Attempts to deliver a webhook, by outcome.", "outcome")
	m.deliveryTime = histogram("webhook_attempt_seconds", "How long attempts to deliver a webhook took.")
	m.vaultCalls = counter("vault_calls_total", "Calls to Vault, by operation and outcome.", "operation", "outcome")
	m.vaultTime = histogram("vault_call_seconds", "How long calls to Vault took.")
	m.drops = counter("carrier_dropped_total", "What arrived from the carrier and was not handed on, by reason.", "reason")
	m.links = counter("carrier_links_total", "Links to the carrier that came up.", "resumed")
	build := prometheus.NewGauge(prometheus.GaugeOpts{
		Namespace: "relaykeep", Name: "build_info", Help: "Always 1; the label is the version.",
		ConstLabels: prometheus.Labels{"version": version},
	})
	build.Set(1)
	m.registry.MustRegister(build, collectors.NewGoCollector(), collectors.NewProcessCollector(collectors.ProcessCollectorOpts{}))
	return m
}

// request is told of each answer of the endpoint.
func (m *metrics) request(route string, status, code int, took time.Duration) {
	m.requests.WithLabelValues(route, strconv.Itoa(status), strconv.Itoa(code)).Inc()
	m.requestTime.Observe(took.Seconds())
}

// webhook is told of each attempt to deliver.
func (m *metrics) webhook(o webhook.Outcome, took time.Duration) {
	m.deliveries.WithLabelValues(string(o)).Inc()
	m.deliveryTime.Observe(took.Seconds())
}

// VaultCall implements vault.Observer.
func (m *metrics) VaultCall(operation, outcome string, took time.Duration) {
	m.vaultCalls.WithLabelValues(operation, outcome).Inc()
	m.vaultTime.Observe(took.Seconds())
}

// Dropped implements xmpp.Metrics.
func (m *metrics) Dropped(reason xmpp.Drop) { m.drops.WithLabelValues(string(reason)).Inc() }

// Linked implements xmpp.Metrics.
func (m *metrics) Linked(resumed bool) { m.links.WithLabelValues(strconv.FormatBool(resumed)).Inc() }

// attach adds what the parts know.
func (m *metrics) attach(p *parts) { m.registry.MustRegister(newPartsCollector(p)) }

// partsCollector reads counts where they are kept when they are asked for.
type partsCollector struct {
	parts                            *parts
	messages, queue, state, oldestAt *prometheus.Desc
	refused                          *prometheus.Desc
}

func newPartsCollector(p *parts) *partsCollector {
	return &partsCollector{
		parts:    p,
		messages: prometheus.NewDesc("relaykeep_messages_total", "What happened to messages, since the process started.", []string{"event"}, nil),
		refused:  prometheus.NewDesc("relaykeep_signal_errors_total", "Messages and bundles that the Signal layer refused, by class, since the process started.", []string{"class"}, nil),
		queue:    prometheus.NewDesc("relaykeep_queue_jobs", "Jobs that are queued.", []string{"queue"}, nil),
		state:    prometheus.NewDesc("relaykeep_condition", "1 when the condition is true, 0 when it is false, -1 when it is unknown.", []string{"type"}, nil),
		oldestAt: prometheus.NewDesc("relaykeep_oldest_key_timestamp_seconds", "When the oldest key that can still decrypt was made.", nil, nil),
	}
}

// Describe implements prometheus.Collector.
func (c *partsCollector) Describe(ch chan<- *prometheus.Desc) {
	ch <- c.messages
	ch <- c.refused
	ch <- c.queue
	ch <- c.state
	ch <- c.oldestAt
}

// Collect implements prometheus.Collector.
func (c *partsCollector) Collect(ch chan<- prometheus.Metric) {
	for _, e := range message.Events() {
		ch <- prometheus.MustNewConstMetric(c.messages, prometheus.CounterValue, float64(c.parts.messages.Count(e)), string(e))
	}
	for _, class := range omemo.Classes() {
		ch <- prometheus.MustNewConstMetric(c.refused, prometheus.CounterValue, float64(c.parts.messages.Refused(class)), class)
	}
	s := c.parts.status(context.Background())
	ch <- prometheus.MustNewConstMetric(c.queue, prometheus.GaugeValue, float64(s.Counts.OutboxQueued), message.QueueOutbox)
	ch <- prometheus.MustNewConstMetric(c.queue, prometheus.GaugeValue, float64(s.Counts.WebhookQueued), message.QueueWebhook)
	if n, err := message.Queue(c.parts.store, message.QueueMedia).Length(context.Background()); err == nil {
		ch <- prometheus.MustNewConstMetric(c.queue, prometheus.GaugeValue, float64(n), message.QueueMedia)
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
