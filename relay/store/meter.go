package store

import (
	"time"

	"github.com/relaykeep/relaykeep/relay/metering"
)

// metered is what was counted in one hour.
type metered struct {
	hour int64
	cell metering.Cell
}

// Meter counts a message of the business's, or files with their bytes. It is written with the commit that the update
// shares.
func (t *Tx) Meter(at time.Time, cell metering.Cell, amount metering.Amount) error {
	if err := t.allow(!at.IsZero(), cell.Kind != "", amount.Count >= 0, amount.Bytes >= 0); err != nil {
		return err
	}
	t.metered = append(t.metered, meteredAmount{metered{metering.Hour(at), cell}, amount})
	return nil
}

// meteredAmount is how much an update counted.
type meteredAmount struct {
	metered
	amount metering.Amount
}

// meter adopts what an update counted, for the commit that it shares.
func (s *shared) meter(t *Tx) {
	for _, m := range t.metered {
		if s.metered == nil {
			s.metered = map[metered]metering.Amount{}
		}
		s.metered[m.metered] = s.metered[m.metered].Plus(m.amount)
	}
}

// writeMetered writes what the running group counted.
func (t *Tx) writeMetered() error {
	for m, amount := range t.shared.metered {
		if err := t.addHour(m, amount); err != nil {
			return err
		}
	}
	return nil
}

func (t *Tx) addHour(m metered, a metering.Amount) error {
	return t.write(`INSERT INTO meter_hours (hour, direction, kind, count, bytes) VALUES (?, ?, ?, ?, ?)
		ON CONFLICT (hour, direction, kind) DO UPDATE SET count = meter_hours.count + excluded.count, bytes = meter_hours.bytes + excluded.bytes`,
		m.hour, string(m.cell.Direction), string(m.cell.Kind), a.Count, a.Bytes)
}

// Metered is what is published of one day.
type Metered struct {
	Day    int64 // since 1970, UTC
	Cell   metering.Cell
	Amount metering.Amount
}

// Usage returns what is published of the days from one on and before another, in order. A day whose customers were
// counted has an entry for them, which may be 0; of what is not told there is none.
func (t *Tx) Usage(from, to int64) ([]Metered, error) {
	return t.days(`SELECT day, count, bytes, direction, kind FROM meter_days WHERE day > 0 AND day >= ? AND day < ? ORDER BY day, direction, kind`, from, to)
}

// UsageTotals returns what was ever published, as of day 0. It never gets less.
func (t *Tx) UsageTotals() ([]Metered, error) {
	return t.days(`SELECT 0, CAST(sum(count) AS BIGINT), CAST(sum(bytes) AS BIGINT), direction, kind FROM meter_days WHERE day >= ? AND day < ? GROUP BY direction, kind ORDER BY direction, kind`, 0, int64(1)<<40)
}

func (t *Tx) days(text string, from, to int64) (days []Metered, err error) {
	err = t.rows(text, func(r row) error {
		var d Metered
		r.numbers(&d.Day, &d.Amount.Count, &d.Amount.Bytes)
		d.Cell = metering.Cell{Direction: metering.Direction(r.words(3)), Kind: metering.Kind(r.words(4))}
		days = append(days, d)
		return nil
	}, from, to)
	return days, err
}
