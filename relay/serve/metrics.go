package serve

import (
	"strconv"
	"time"

	"github.com/prometheus/client_golang/prometheus"
	"github.com/prometheus/client_golang/prometheus/collectors"

	"github.com/relaykeep/relaykeep/relay/carrier/xmpp"
	"github.com/relaykeep/relaykeep/relay/webhook"
)

// metrics are what /metrics shows. Labels are the program's own words: no number, no address, no
// identifier of anybody.
type metrics struct {
	registry *prometheus.Registry

	requests, deliveries, vaultCalls *prometheus.CounterVec
	copies                           *prometheus.CounterVec
	receivers, drops, links          *prometheus.CounterVec
	requestTime                      prometheus.Histogram
	deliveryTime, vaultTime          prometheus.Histogram
	swept                            prometheus.Gauge
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
	m.copies = counter("processor_attempts_total", "Attempts to deliver a copy of a webhook to a processor, by outcome.", "outcome")
	m.receivers = counter("webhook_answers_total", "How the webhook's receiver answered, by request (handshake or delivery) and class of answer.", "request", "answer")
	m.deliveryTime = histogram("webhook_attempt_seconds", "How long attempts to deliver a webhook took.")
	m.vaultCalls = counter("vault_calls_total", "Calls to Vault, by operation and outcome.", "operation", "outcome")
	m.vaultTime = histogram("vault_call_seconds", "How long calls to Vault took.")
	m.drops = counter("carrier_dropped_total", "What arrived from the carrier and was not passed on, by reason.", "reason")
	m.links = counter("carrier_links_total", "Links to the carrier that came up.", "resumed")
	m.swept = prometheus.NewGauge(prometheus.GaugeOpts{
		Namespace: "relaykeep", Name: "last_sweep_timestamp_seconds", Help: "When what is past the retention was last removed from the store; 0 before the first time.",
	})
	m.begin()
	build := prometheus.NewGauge(prometheus.GaugeOpts{
		Namespace: "relaykeep", Name: "build_info", Help: "Always 1; the label is the version.",
		ConstLabels: prometheus.Labels{"version": version},
	})
	build.Set(1)
	m.registry.MustRegister(build, m.swept, collectors.NewGoCollector(), collectors.NewProcessCollector(collectors.ProcessCollectorOpts{}))
	return m
}

// begin shows with 0 what was not counted yet, where the values of the labels are known: a first increase is seen then.
func (m *metrics) begin() {
	for _, o := range webhook.Outcomes() {
		m.deliveries.WithLabelValues(string(o))
		m.copies.WithLabelValues(string(o))
	}
	for _, r := range webhook.Requests() {
		for _, a := range webhook.Answers() {
			m.receivers.WithLabelValues(string(r), string(a))
		}
	}
	for _, d := range xmpp.Drops() {
		m.drops.WithLabelValues(string(d))
	}
	for _, resumed := range []bool{true, false} {
		m.links.WithLabelValues(strconv.FormatBool(resumed))
	}
}

// request counts an answer of the endpoint.
func (m *metrics) request(route string, status, code int, took time.Duration) {
	m.requests.WithLabelValues(route, strconv.Itoa(status), strconv.Itoa(code)).Inc()
	m.requestTime.Observe(took.Seconds())
}

// webhook counts an attempt to deliver.
func (m *metrics) webhook(o webhook.Outcome, took time.Duration) {
	m.deliveries.WithLabelValues(string(o)).Inc()
	m.deliveryTime.Observe(took.Seconds())
}

// copied counts an attempt to deliver a copy to a processor.
func (m *metrics) copied(o webhook.Outcome, _ time.Duration) {
	m.copies.WithLabelValues(string(o)).Inc()
}

// receiver counts an answer of the webhook's receiver.
func (m *metrics) receiver(r webhook.Request, a webhook.Answer) {
	m.receivers.WithLabelValues(string(r), string(a)).Inc()
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
