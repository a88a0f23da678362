package store

import "time"

// AddCount counts messages that were sent or delivered at a time.
func (t *Tx) AddCount(at time.Time, sent, delivered int64) error {
	if err := t.allow(!at.IsZero(), sent >= 0, delivered >= 0); err != nil {
		return err
	}
	t.counts = append(t.counts, Count{Start: at, Sent: sent, Delivered: delivered})
	return nil
}

// counted adopts what an update counted, for the commit that it shares.
func (s *shared) counted(t *Tx) {
	for _, n := range t.counts {
		if s.counts == nil {
			s.counts = map[int64]Count{}
		}
		sum := s.counts[countPeriod(n.Start)]
		sum.Sent, sum.Delivered = sum.Sent+n.Sent, sum.Delivered+n.Delivered
		s.counts[countPeriod(n.Start)] = sum
	}
}

// writeCounts writes what the running group counted.
func (t *Tx) writeCounts() error {
	for period, n := range t.shared.counts {
		if err := t.write(`INSERT INTO counts (period, sent, delivered) VALUES (?, ?, ?)
			ON CONFLICT (period) DO UPDATE SET sent = counts.sent + excluded.sent, delivered = counts.delivered + excluded.delivered`,
			period, n.Sent, n.Delivered); err != nil {
			return err
		}
	}
	return nil
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

// Customers counts the customers of whom something is stored.
func (t *Tx) Customers() (int64, error) { return t.integer(`SELECT count(*) FROM customers`) }

// countPeriod is the period that a time is in.
func countPeriod(at time.Time) int64 { return at.Unix() / int64(CountPeriod/time.Second) }
