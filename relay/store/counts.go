package store

import "time"

// CountPeriod is the time for which there is one Count.
const CountPeriod = 30 * time.Minute

// Count says how many of the business's messages were sent and delivered within a CountPeriod. It
// names nobody: it is readable without a key, as the times and states of messages are, and stays when
// a customer is erased. It is kept as long as messages are.
type Count struct {
	Start           time.Time
	Sent, Delivered int64
}

// AddCount counts messages that were sent or delivered at a time.
func (t *Tx) AddCount(at time.Time, sent, delivered int64) error {
	if err := t.allow(!at.IsZero(), sent >= 0, delivered >= 0); err != nil {
		return err
	}
	_, err := t.run(`INSERT INTO counts (period, sent, delivered) VALUES (?, ?, ?)
		ON CONFLICT (period) DO UPDATE SET sent = sent + excluded.sent, delivered = delivered + excluded.delivered`,
		countPeriod(at), sent, delivered)
	return err
}

// Counts returns what was counted in the periods that began from one time on and before another, in order.
// Periods in which nothing was counted are left out.
func (t *Tx) Counts(from, to time.Time) (counts []Count, err error) {
	err = t.rows(`SELECT period, sent, delivered FROM counts WHERE period >= ? AND period < ? ORDER BY period`, func(r row) error {
		var period, sent, delivered int64
		r.numbers(&period, &sent, &delivered)
		counts = append(counts, Count{Start: time.Unix(period*int64(CountPeriod/time.Second), 0).UTC(), Sent: sent, Delivered: delivered})
		return nil
	}, countPeriod(from.Add(CountPeriod-1)), countPeriod(to.Add(CountPeriod-1)))
	return counts, err
}

// countPeriod is the period that a time is in.
func countPeriod(at time.Time) int64 { return at.Unix() / int64(CountPeriod/time.Second) }
