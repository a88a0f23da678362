package serve

import (
	"context"
	"time"

	"github.com/prometheus/client_golang/prometheus"

	"github.com/relaykeep/relaykeep/api/contract"
	"github.com/relaykeep/relaykeep/relay/carrier"
	"github.com/relaykeep/relaykeep/relay/message"
	"github.com/relaykeep/relaykeep/relay/metering"
	"github.com/relaykeep/relaykeep/relay/omemo"
	"github.com/relaykeep/relaykeep/relay/receipt"
	"github.com/relaykeep/relaykeep/relay/store"
)

// The keys whose ages are shown.
const (
	keyIdentity     = "identity"
	keySignedPreKey = "signed_prekey"
	keyData         = "data"
)

// collector reads, when it is asked, what is kept elsewhere. Until the keys are open it shows little more than the
// conditions, which say why.
type collector struct {
	relay                      *relay
	messages, queue, waited    *prometheus.Desc
	condition, storage         *prometheus.Desc
	refused, overQuota         *prometheus.Desc
	oldestKey, key, retention  *prometheus.Desc
	limit, used, free          *prometheus.Desc
	carrierState, carrierSince *prometheus.Desc
	receiptGaps, lastReceipt   *prometheus.Desc
	conduct                    conductDescs
	usageMessages, usageBytes  *prometheus.Desc
	usageCustomers             *prometheus.Desc
	logEntries, logWitnessed   *prometheus.Desc
	logProblem                 *prometheus.Desc
}

func newCollector(r *relay) *collector {
	desc := func(name, help string, labels ...string) *prometheus.Desc {
		return prometheus.NewDesc("relaykeep_"+name, help, labels, nil)
	}
	return &collector{
		relay:    r,
		messages: desc("messages_total", "What happened to messages, since the process started.", "event"),
		refused:  desc("signal_errors_total", "Messages and bundles that the Signal layer refused, by class, since the process started.", "class"),
		overQuota: desc("quota_refusals_total",
			"Messages and files that were refused because their customer's share of the volume is used up, by direction.", "direction"),
		queue: desc("queue_jobs", "Jobs that are queued.", "queue"),
		waited: desc("queue_oldest_age_seconds",
			"How long the oldest job of a queue has waited, of dead letters since it became one; 0 when none waits. What a customer must accept first does not wait.", "queue"),
		condition: desc("condition", "1 when the condition is true, 0 when it is false, -1 when it is unknown.", "type"),
		storage:   desc("storage_mode", "Always 1; the label is the storage mode, Retained or None.", "mode"),
		oldestKey: desc("oldest_key_timestamp_seconds", "When the oldest key that can still decrypt was made."),
		key: desc("key_timestamp_seconds",
			"When a key that is in use was made: the identity, the signed pre-key that is published, the data key that seals what is written now.", "key"),
		retention:    desc("retention_period_seconds", "For how long messages can be read."),
		limit:        desc("store_limit_bytes", "Size of the volume, or what the database may take; none when it is not known."),
		used:         desc("store_used_bytes", "What the store holds, without what is free for new rows."),
		free:         desc("store_free_bytes", "Room for what is new, on the volume and in the store; none when it is not known."),
		carrierState: desc("carrier_state", "1 for the state that the link to the carrier is in, 0 for the others.", "state"),
		receiptGaps: desc("erasure_receipt_gaps",
			"What the erasure receipts of the last 13 months lack, by kind: hours without one, versions that died and that no run owns to, versions that returned, keys that were replaced; none while they cannot be read.", "kind"),
		lastReceipt:  desc("erasure_receipt_timestamp_seconds", "When the last erasure receipt was put, by Vault's clock; none before there is one."),
		logEntries:   desc("log_entries", "Entries of the relay's log: all, those under a signed checkpoint, those under a cosigned one.", "up_to"),
		logWitnessed: desc("log_witnessed_timestamp_seconds", "When the witness cosigned the log last, since the process started; none before."),
		logProblem: desc("log_problem",
			"1 for what is wrong with the relay's log, 0 for what is not: unwritten, unsigned, witness_away, witness_refuses, rolled_back, forked.", "problem"),
		carrierSince: desc("carrier_state_timestamp_seconds", "Since when the link to the carrier has been in its state."),
		conduct:      newConductDescs(desc),
		usageMessages: desc("usage_messages_total",
			"Messages that the business used, by direction and kind, in tens, as of the last full hour. It goes on when the relay restarts.", "direction", "kind"),
		usageBytes: desc("usage_media_bytes_total",
			"Bytes of the files of these messages, by direction, in megabytes, as of the last full hour.", "direction"),
		usageCustomers: desc("usage_customer_days_total", "Customers with whom there were messages, added up over days that are over, in tens."),
	}
}

// Describe implements prometheus.Collector.
func (c *collector) Describe(ch chan<- *prometheus.Desc) {
	for _, d := range []*prometheus.Desc{
		c.messages, c.refused, c.overQuota, c.queue, c.waited, c.condition, c.storage, c.oldestKey, c.key, c.retention,
		c.limit, c.used, c.free, c.carrierState, c.carrierSince, c.receiptGaps, c.lastReceipt,
		c.usageMessages, c.usageBytes, c.usageCustomers, c.logEntries, c.logWitnessed, c.logProblem,
	} {
		ch <- d
	}
	c.conduct.describe(ch)
}

// Collect implements prometheus.Collector.
func (c *collector) Collect(ch chan<- prometheus.Metric) {
	ctx, cancel := context.WithTimeout(context.Background(), countTime)
	defer cancel()
	gauge := func(d *prometheus.Desc, v float64, labels ...string) {
		ch <- prometheus.MustNewConstMetric(d, prometheus.GaugeValue, v, labels...)
	}
	gauge(c.storage, 1, c.relay.storageMode())
	gauge(c.retention, c.relay.retention().Seconds())
	p := c.relay.running.Load()
	var letters int64
	if p != nil {
		c.counts(ch, p)
		letters = c.queues(ctx, gauge, p)
		c.copies(ctx, gauge, p)
		c.keys(ctx, gauge, p)
		c.room(ctx, gauge, p)
		c.link(gauge, p)
		c.conduct.collect(gauge, p.signals())
		c.usage(ctx, ch, p)
		c.log(gauge, p)
	}
	s := c.relay.statusOf(contract.Counts{DeadLetters: letters})
	if t := s.OldestKeyTime; t != nil {
		gauge(c.oldestKey, float64(t.Unix()))
	}
	c.receipts(gauge, s.Receipts)
	if s.Holder != "" { // what a replica says that stands by is not about the relay
		return
	}
	for _, is := range s.Conditions {
		gauge(c.condition, value(is.Status), is.Type)
	}
}

// receipts shows what the erasure receipts lack.
func (c *collector) receipts(gauge func(*prometheus.Desc, float64, ...string), s *contract.ReceiptsStatus) {
	if s == nil || s.Problem != "" {
		return
	}
	if s.LastTime != nil {
		gauge(c.lastReceipt, float64(s.LastTime.Unix()))
	}
	for kind, n := range map[receipt.Kind]int{
		receipt.Hours: s.MissingHours, receipt.Versions: s.UnclaimedVersions, receipt.Returned: s.ReturnedVersions, receipt.Replaced: s.ReplacedKeys,
	} {
		gauge(c.receiptGaps, float64(n), string(kind))
	}
}

// log shows how the relay's log is.
func (c *collector) log(gauge func(*prometheus.Desc, float64, ...string), p *parts) {
	s := p.ledger.State()
	gauge(c.logEntries, float64(s.Size), "entered")
	gauge(c.logEntries, float64(s.Signed), "signed")
	gauge(c.logEntries, float64(s.Witnessed), "witnessed")
	if !s.WitnessedAt.IsZero() {
		gauge(c.logWitnessed, float64(s.WitnessedAt.Unix()))
	}
	for problem, is := range logProblems(s) {
		gauge(c.logProblem, indicator(is), problem)
	}
}

// counts shows what happened since the process started.
func (c *collector) counts(ch chan<- prometheus.Metric, p *parts) {
	counter := func(d *prometheus.Desc, n int64, label string) {
		ch <- prometheus.MustNewConstMetric(d, prometheus.CounterValue, float64(n), label)
	}
	for _, e := range message.Events() {
		counter(c.messages, p.messages.Count(e), string(e))
	}
	for _, class := range omemo.Classes() {
		counter(c.refused, p.messages.Refused(class), class)
	}
	for _, what := range message.OverQuotas() {
		counter(c.overQuota, p.messages.OverQuota(what), string(what))
	}
}

// queues shows what waits and for how long, and returns how many dead letters there are. What cannot be counted is left out.
func (c *collector) queues(ctx context.Context, gauge func(*prometheus.Desc, float64, ...string), p *parts) (letters int64) {
	now := p.Now()
	for _, name := range []string{message.QueueOutbox, message.QueueReceipts, message.QueueWebhook, message.QueueDead, message.QueueMedia} {
		n, since, err := message.Queue(p.store, name).Waiting(ctx, now)
		if err != nil {
			continue
		}
		gauge(c.queue, float64(n), name)
		age := time.Duration(0)
		if !since.IsZero() {
			age = now.Sub(since)
		}
		gauge(c.waited, age.Seconds(), name)
		if name == message.QueueDead {
			letters = n
		}
	}
	return letters
}

// copies shows what waits for processors, all together, and for how long.
func (c *collector) copies(ctx context.Context, gauge func(*prometheus.Desc, float64, ...string), p *parts) {
	const name = "processors"
	now := p.Now()
	var n int64
	var oldest time.Duration
	for _, to := range p.copies {
		waiting, since, err := message.Queue(p.store, message.QueueOfProcessor(to.name)).Waiting(ctx, now)
		if err != nil {
			return
		}
		n += waiting
		if !since.IsZero() {
			oldest = max(oldest, now.Sub(since))
		}
	}
	gauge(c.queue, float64(n), name)
	gauge(c.waited, oldest.Seconds(), name)
}

// keys shows when keys were made.
func (c *collector) keys(ctx context.Context, gauge func(*prometheus.Desc, float64, ...string), p *parts) {
	show := func(name string, made time.Time) {
		if !made.IsZero() {
			gauge(c.key, float64(made.Unix()), name)
		}
	}
	show(keyIdentity, p.keys.identity.Created)
	if live := p.keys.ring.Live(); len(live) > 0 {
		show(keyData, live[0].Created)
	}
	var signed time.Time
	err := p.store.View(ctx, func(tx *store.Tx) (err error) {
		signed, err = tx.SignedPreKeyCreated()
		return err
	})
	if err == nil {
		show(keySignedPreKey, signed)
	}
}

// room shows how much room there is, as far as it is known.
func (c *collector) room(ctx context.Context, gauge func(*prometheus.Desc, float64, ...string), p *parts) {
	r, err := p.keys.store.Room(ctx)
	if err != nil {
		return
	}
	gauge(c.used, float64(r.Used))
	if r.Limit > 0 {
		gauge(c.limit, float64(r.Limit))
		gauge(c.free, float64(r.Free))
	}
}

// link shows the state of the link to the carrier. Without an account there is no link.
func (c *collector) link(gauge func(*prometheus.Desc, float64, ...string), p *parts) {
	s, known := p.carrier.status()
	for _, state := range carrier.States() {
		gauge(c.carrierState, indicator(known && s.State == state), string(state))
	}
	if known {
		gauge(c.carrierSince, float64(s.Since.Unix()))
	}
}

// usage shows what was ever published of what the business used.
func (c *collector) usage(ctx context.Context, ch chan<- prometheus.Metric, p *parts) {
	total := map[metering.Cell]metering.Amount{}
	err := p.store.View(ctx, func(tx *store.Tx) error {
		found, err := tx.UsageTotals()
		for _, m := range found {
			total[m.Cell] = m.Amount
		}
		return err
	})
	if err != nil {
		return
	}
	counter := func(d *prometheus.Desc, n int64, labels ...string) {
		ch <- prometheus.MustNewConstMetric(d, prometheus.CounterValue, float64(n), labels...)
	}
	for _, d := range metering.Directions() {
		for _, k := range metering.Messages() {
			counter(c.usageMessages, total[metering.Cell{Direction: d, Kind: k}].Count, string(d), string(k))
		}
		counter(c.usageBytes, total[metering.Cell{Direction: d, Kind: metering.Media}].Bytes, string(d))
	}
	counter(c.usageCustomers, total[metering.Cell{Kind: metering.Customers}].Count)
}

// indicator is 1 for what is true.
func indicator(is bool) float64 {
	if is {
		return 1
	}
	return 0
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
