package store

import (
	"context"
	"maps"
	"slices"
	"time"

	"github.com/relaykeep/relaykeep/relay/metering"
)

// PublishUsage publishes what was counted in hours that are over, rounded as metering says, counts the customers of
// days that are over, and drops days that are no longer kept. Within an hour it changes nothing a second time. Call it
// before Sweep, which removes the messages that the customers are counted by, and at least once an hour.
func (s *Store) PublishUsage(ctx context.Context, now time.Time) error {
	counted, err := s.activeCustomers(ctx, now)
	if err != nil {
		return err
	}
	return s.Update(ctx, func(t *Tx) error {
		for _, day := range slices.Sorted(maps.Keys(counted)) {
			if err := t.publish(day, metering.Cell{Kind: metering.Customers}, metering.Amount{Count: counted[day]}); err != nil {
				return err
			}
		}
		if err := t.publishHours(metering.Hour(now)); err != nil {
			return err
		}
		return t.foldDays(metering.Day(now) - metering.KeptDays)
	})
}

// textActive counts the customers with a message that was written in a span of time. It looks once or twice into the
// index of each customer's messages.
const textActive = `SELECT count(*) FROM customers WHERE
	EXISTS (SELECT 1 FROM messages WHERE customer = customers.id AND direction = 1 AND created >= ?1 AND created < ?2) OR
	EXISTS (SELECT 1 FROM messages WHERE customer = customers.id AND direction = 2 AND created >= ?1 AND created < ?2)`

// maxUncounted is for how many days customers are counted afterwards, if the relay did not run: no message is older.
const maxUncounted = 31

// activeCustomers counts the customers of each day that is over and was not counted yet.
func (s *Store) activeCustomers(ctx context.Context, now time.Time) (counted map[int64]int64, err error) {
	today := metering.Day(now)
	err = s.View(ctx, func(t *Tx) error {
		last, err := t.integer(`SELECT coalesce(max(day), 0) FROM meter_days WHERE kind = ?`, string(metering.Customers))
		if err != nil {
			return err
		}
		if last == 0 { // of a new store or a former build's: none before its first message
			oldest, err := t.integer(`SELECT coalesce(min(created), 0) FROM messages`)
			if err != nil || oldest == 0 {
				return err
			}
			last = metering.Day(time.UnixMilli(oldest)) - 1
		}
		for day := max(last+1, today-maxUncounted); day < today; day++ {
			n, err := t.integer(textActive, toMillis(metering.DayStart(day)), toMillis(metering.DayStart(day+1)))
			if err != nil {
				return err
			}
			if counted == nil {
				counted = map[int64]int64{}
			}
			counted[day] = n
		}
		return nil
	})
	return counted, err
}

// publishHours publishes what was counted in the hours before one.
func (t *Tx) publishHours(before int64) error {
	hours, err := t.hours(before)
	if err != nil {
		return err
	}
	for _, h := range hours {
		if err := t.publish(h.hour/metering.HoursOfDay, h.cell, h.amount); err != nil {
			return err
		}
	}
	return t.write(`DELETE FROM meter_hours WHERE hour > 0 AND hour < ?`, before)
}

// hours reads what was counted in the hours before one, in order.
func (t *Tx) hours(before int64) (hours []meteredAmount, err error) {
	err = t.rows(`SELECT hour, count, bytes, direction, kind FROM meter_hours WHERE hour > 0 AND hour < ? ORDER BY hour`, func(r row) error {
		var h meteredAmount
		r.numbers(&h.hour, &h.amount.Count, &h.amount.Bytes)
		h.cell = metering.Cell{Direction: metering.Direction(r.words(3)), Kind: metering.Kind(r.words(4))}
		hours = append(hours, h)
		return nil
	}, before)
	return hours, err
}

// publish publishes of a cell's rest, and of what was counted besides, as much as can be said, as of a day.
func (t *Tx) publish(day int64, c metering.Cell, more metering.Amount) error {
	rest := c.Begin()
	_, err := t.first(`SELECT count, bytes FROM meter_hours WHERE hour = 0 AND direction = ? AND kind = ?`, func(r row) error {
		r.numbers(&rest.Count, &rest.Bytes)
		return nil
	}, string(c.Direction), string(c.Kind))
	if err != nil {
		return err
	}
	published, rest := c.Publish(rest, more)
	err = t.write(`INSERT INTO meter_hours (hour, direction, kind, count, bytes) VALUES (0, ?, ?, ?, ?)
		ON CONFLICT (hour, direction, kind) DO UPDATE SET count = excluded.count, bytes = excluded.bytes`,
		string(c.Direction), string(c.Kind), rest.Count, rest.Bytes)
	if err != nil || published == (metering.Amount{}) && c.Kind != metering.Customers { // whose row says that the day was counted
		return err
	}
	return t.addDay(day, c, published)
}

func (t *Tx) addDay(day int64, c metering.Cell, a metering.Amount) error {
	return t.write(`INSERT INTO meter_days (day, direction, kind, count, bytes) VALUES (?, ?, ?, ?, ?)
		ON CONFLICT (day, direction, kind) DO UPDATE SET count = meter_days.count + excluded.count, bytes = meter_days.bytes + excluded.bytes`,
		day, string(c.Direction), string(c.Kind), a.Count, a.Bytes)
}

// foldDays adds the days before one to the sum of those that are no longer kept.
func (t *Tx) foldDays(before int64) error {
	if err := t.write(`INSERT INTO meter_days (day, direction, kind, count, bytes)
		SELECT 0, direction, kind, CAST(sum(count) AS BIGINT), CAST(sum(bytes) AS BIGINT) FROM meter_days WHERE day < ? GROUP BY direction, kind
		ON CONFLICT (day, direction, kind) DO UPDATE SET count = excluded.count, bytes = excluded.bytes`, before); err != nil {
		return err
	}
	return t.write(`DELETE FROM meter_days WHERE day > 0 AND day < ?`, before)
}
