package dataplane_test

import (
	"encoding/json"
	"net/http"
	"strconv"
	"strings"
	"sync/atomic"
	"testing"
	"time"

	"github.com/relaykeep/relaykeep/api/contract"
	"github.com/relaykeep/relaykeep/relay/serve"
	"github.com/relaykeep/relaykeep/test/await"
)

// usage is what the relay says about how much was used.
func (b *business) usage() (u contract.Usage) {
	b.t.Helper()
	code, text := b.Get(contract.UsagePath)
	if code != http.StatusOK || json.Unmarshal(text, &u) != nil {
		b.t.Fatalf("%s answers %d %s", contract.UsagePath, code, text)
	}
	return u
}

// counted returns what a day says of messages in one direction, by kind.
func counted(d contract.UsageDay, direction string) map[string]int64 {
	kinds := map[string]int64{}
	for _, m := range d.Messages {
		if m.Direction == direction {
			kinds[m.Kind] += m.Count
		}
	}
	return kinds
}

// usageTotal is what /metrics says was ever used of text in one direction.
func (b *business) usageTotal(direction string) float64 {
	b.t.Helper()
	for _, f := range b.families() {
		for _, m := range f.Metric {
			if f.GetName() != "relaykeep_usage_messages_total" {
				continue
			}
			is := map[string]string{}
			for _, l := range m.Label {
				is[l.GetName()] = l.GetValue()
			}
			if is["direction"] == direction && is["kind"] == "text" {
				return m.GetCounter().GetValue()
			}
		}
	}
	b.t.Fatal("/metrics says nothing of usage")
	return 0
}

// TestUsage_IsToldOfDaysAndNoPersons has a customer and the business write to each other in the last half hour of a day.
func TestUsage_IsToldOfDaysAndNoPersons(t *testing.T) {
	t.Parallel()
	const said = 23
	day := time.Now().UTC().Truncate(24*time.Hour).AddDate(0, 0, 1)
	var later atomic.Int64
	is := func(at time.Time) { later.Store(int64(time.Until(at))) }
	is(day.Add(23*time.Hour + 30*time.Minute))
	now := func() time.Duration { return time.Duration(later.Load()) }
	b := newBusiness(t)
	options := []func(*serve.Options){off(now), func(o *serve.Options) {
		o.VaultOffset, o.SweepEvery, o.AdvanceEvery = now, 200*time.Millisecond, 50*time.Millisecond
	}}
	b.StartReady(options...)
	p := newPerson(t)
	for i := range said {
		b.Say(p.Number.E164(), "to the customer "+strconv.Itoa(i))
		p.Says(b, "to the business "+strconv.Itoa(i))
	}
	picture := b.Keep("image/png", "\x89PNG\r\n\x1a\n"+strings.Repeat("x", 1000))
	b.WaitStatus(b.Send(map[string]any{"to": p.Number.E164(), "type": "image", "image": map[string]any{"id": picture}}), "delivered")
	b.WaitText("to the business " + strconv.Itoa(said-1))
	if u := b.usage(); len(u.Days) > 1 || len(u.Days) == 1 && u.Days[0].Day == day.Format(contract.DayLayout) {
		t.Errorf("the hour is told of before it is over: %+v", u)
	}
	if code, text := b.Get(contract.UsagePath + "?since=today"); code != http.StatusBadRequest || !strings.Contains(string(text), "2006-01-31") {
		t.Errorf("a day that is none is answered with %d %s", code, text)
	}
	b.Stop()
	is(day.Add(24*time.Hour + time.Minute))
	b.StartReady(options...)
	var told contract.UsageDay
	await.Until(t, "the day is told of", func() bool {
		for _, d := range b.usage().Days {
			if d.Day == day.Format(contract.DayLayout) {
				told = d
			}
		}
		return told.Day != ""
	})
	for _, direction := range []string{"in", "out"} {
		kinds := counted(told, direction)
		if n := kinds["text"]; n != 20 && n != 30 || kinds["image"]%10 != 0 || b.usageTotal(direction) != float64(n) {
			t.Errorf("%s: %v of %d, and %v in all", direction, kinds, said, b.usageTotal(direction))
		}
	}
	if c := told.Customers; c == nil || *c != 0 && *c != 10 || told.MediaBytes != (contract.UsageBytes{}) {
		t.Errorf("one customer and one file are told as %+v", told)
	}
	u, err := json.Marshal(b.usage())
	check(t, err)
	for _, secret := range []string{p.Number.Digits(), "to the", picture} {
		if strings.Contains(string(u), secret) {
			t.Errorf("usage tells %q", secret)
		}
	}
}
