package store_test

import (
	"fmt"
	"testing"
	"time"

	"github.com/relaykeep/relaykeep/relay/metering"
	"github.com/relaykeep/relaykeep/relay/store"
)

var (
	textsIn   = metering.Cell{Direction: metering.In, Kind: metering.Text}
	textsOut  = metering.Cell{Direction: metering.Out, Kind: metering.Text}
	filesIn   = metering.Cell{Direction: metering.In, Kind: metering.Media}
	customers = metering.Cell{Kind: metering.Customers}
)

func (w *world) meter(at time.Time, cell metering.Cell, count, bytes int64) {
	w.t.Helper()
	w.update(func(tx *store.Tx) error { return tx.Meter(at, cell, metering.Amount{Count: count, Bytes: bytes}) })
}

func (w *world) publish(now time.Time) {
	w.t.Helper()
	if err := w.PublishUsage(w.t.Context(), now); err != nil {
		w.t.Fatal(err)
	}
}

// usage returns what is published of a cell, by days.
func (w *world) usage(cell metering.Cell) map[int64]metering.Amount {
	w.t.Helper()
	days := map[int64]metering.Amount{}
	w.view(func(tx *store.Tx) error {
		found, err := tx.Usage(0, 1<<40)
		for _, m := range found {
			if m.Cell == cell {
				days[m.Day] = m.Amount
			}
		}
		return err
	})
	return days
}

// total returns what was ever published of a cell.
func (w *world) total(cell metering.Cell) (total metering.Amount) {
	w.t.Helper()
	w.view(func(tx *store.Tx) error {
		found, err := tx.UsageTotals()
		for _, m := range found {
			if m.Cell == cell {
				total = m.Amount
			}
		}
		return err
	})
	return total
}

// within says whether a count in steps stands for so many.
func within(published, there int64) bool {
	return published%metering.Step == 0 && published > there-metering.Step && published < there+metering.Step
}

func TestMeter_PublishesAnHourWhenItIsOver(t *testing.T) {
	w := newWorld(t)
	day := metering.Day(start)
	w.meter(start, textsIn, 25, 0)
	w.meter(start.Add(time.Minute), textsOut, 100, 0)
	w.meter(start.Add(2*time.Minute), filesIn, 12, 3_400_000)
	w.publish(start.Add(59 * time.Minute))
	if len(w.usage(textsIn))+len(w.usage(textsOut)) > 0 {
		t.Error("an hour is told of before it is over")
	}
	w.reopen()
	w.publish(start.Add(time.Hour))
	first := w.usage(textsIn)[day].Count
	if !within(first, 25) || !within(w.usage(textsOut)[day].Count, 100) {
		t.Errorf("published are %v and %v", w.usage(textsIn), w.usage(textsOut))
	}
	equal(t, "files", w.usage(filesIn)[day], metering.Amount{Bytes: 3_000_000})
	w.meter(start.Add(61*time.Minute), textsIn, 1000, 0)
	w.reopen()
	w.publish(start.Add(119 * time.Minute))
	equal(t, "within an hour", w.usage(textsIn)[day].Count, first)
	w.publish(start.Add(2 * time.Hour))
	if got := w.usage(textsIn)[day].Count; !within(got, 1025) {
		t.Errorf("published are %d", got)
	}
	wantIs(t, w.Update(t.Context(), func(tx *store.Tx) error { return tx.Meter(start, textsIn, metering.Amount{Count: -1}) }), store.ErrInvalid)
}

// What was counted before midnight belongs to that day, however late it is published.
func TestMeter_HoursBelongToTheirDay(t *testing.T) {
	w := newWorld(t)
	day := metering.Day(start)
	w.meter(metering.DayStart(day+1).Add(-time.Second), textsIn, 100, 0)
	w.meter(metering.DayStart(day+1), textsIn, 1000, 0)
	w.publish(metering.DayStart(day + 3))
	days := w.usage(textsIn)
	if !within(days[day].Count, 100) || !within(days[day+1].Count, 1000) || len(days) != 2 {
		t.Errorf("published are %v", days)
	}
}

// What the store holds of an hour that was published is less than a step.
func TestMeter_StoreKeepsNoExactCounts(t *testing.T) {
	ofFiles(t)
	w := newWorld(t)
	w.meter(start, textsIn, 123, 0)
	w.meter(start.Add(time.Hour), textsIn, 7, 0)
	w.publish(start.Add(2 * time.Hour))
	w.close()
	var rows, most int64
	w.query(func(scan func(...any) error) error { return scan(&rows, &most) },
		`SELECT count(*), max(count) FROM meter_hours WHERE kind = 'text'`)
	if rows != 1 || most >= metering.Step {
		t.Errorf("%d rows say up to %d", rows, most)
	}
}

// wrote gives a new customer messages at these times, one in each direction after the other.
func (w *world) wrote(who string, times ...time.Time) {
	w.t.Helper()
	c := w.customer(who)
	w.update(func(tx *store.Tx) error {
		for i, at := range times {
			err := tx.PutMessage(store.Message{
				ID: store.NewMessageID(), Direction: store.Inbound + store.Direction(i%2), Customer: c, Type: "text", Body: []byte("x"), State: "received",
				Created: at, Updated: at,
			})
			if err != nil {
				return err
			}
		}
		return nil
	})
}

func TestMeter_CountsEachCustomerOnceADay(t *testing.T) {
	w := newWorld(t)
	day := metering.Day(start)
	w.publish(start)
	if days := w.usage(customers); len(days) > 0 {
		t.Errorf("days before the first message are told: %v", days)
	}
	for i := range 30 {
		w.wrote(fmt.Sprintf("+1555123%04d", i), start, start.Add(time.Hour), metering.DayStart(day+1))
	}
	w.publish(metering.DayStart(day + 1).Add(-time.Second))
	if got, told := w.usage(customers)[day]; told {
		t.Errorf("customers are told before the day is over: %v", got)
	}
	w.publish(metering.DayStart(day + 1))
	if got := w.usage(customers)[day].Count; !within(got, 30) {
		t.Errorf("%d customers of 30", got)
	}
	// Erasing one afterwards changes nothing: the count names nobody.
	before := w.usage(customers)
	w.update(func(tx *store.Tx) error {
		c, err := tx.Customer(number(t, "+15551230001"))
		if err != nil {
			return err
		}
		return tx.EraseCustomer(c.ID)
	})
	w.publish(metering.DayStart(day + 1).Add(time.Hour))
	equal(t, "after an erasure", w.usage(customers), before)
	w.publish(metering.DayStart(day + 3))
	if got, told := w.usage(customers)[day+2]; !told || got.Count > metering.Step {
		t.Errorf("a day without customers is told as %v, %v", got, told)
	}
}

func TestMeter_DaysGoAfterThirteenMonthsAndTotalsStay(t *testing.T) {
	w := newWorld(t)
	day := metering.Day(start)
	w.meter(start, textsIn, 1000, 0)
	w.meter(start.Add(24*time.Hour), textsIn, 500, 0)
	w.publish(start.Add(25 * time.Hour))
	before := w.total(textsIn)
	w.publish(metering.DayStart(day + metering.KeptDays))
	if len(w.usage(textsIn)) != 2 {
		t.Error("a day goes too early")
	}
	for range 2 {
		w.publish(metering.DayStart(day + 1 + metering.KeptDays))
		if days := w.usage(textsIn); len(days) != 1 || days[day+1].Count == 0 {
			t.Errorf("kept are %v", days)
		}
		equal(t, "the total", w.total(textsIn), before)
	}
}

func TestMeter_GoesWithTheStore(t *testing.T) {
	w, to := movable(t)
	w.meter(start, textsIn, 100, 0)
	w.publish(start.Add(time.Hour))
	w.meter(start.Add(time.Hour), textsIn, 100, 0)
	w.close()
	w.moved(to)
	w.publish(start.Add(2 * time.Hour))
	if got := w.total(textsIn).Count; !within(got, 200) {
		t.Errorf("%d of 200 are there", got)
	}
}

// A store of a build that metered nothing goes on, and yesterday's customers are counted.
func TestMeter_OfAnEarlierBuild(t *testing.T) {
	ofFiles(t)
	w := newWorld(t)
	for i := range 25 {
		w.wrote(fmt.Sprintf("+1555123%04d", i), start)
	}
	w.reopened(func() {
		w.sql(`DROP TABLE log_entries`, `DROP TABLE log_hashes`, `DROP TABLE meter_days`, `DROP TABLE meter_hours`, `PRAGMA user_version = 10`)
	})
	w.publish(metering.DayStart(metering.Day(start) + 1))
	if got := w.usage(customers)[metering.Day(start)].Count; !within(got, 25) {
		t.Errorf("%d customers of 25", got)
	}
}
