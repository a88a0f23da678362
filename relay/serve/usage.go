package serve

import (
	"context"
	"encoding/json"
	"log/slog"
	"net/http"
	"time"

	"github.com/relaykeep/relaykeep/api/contract"
	"github.com/relaykeep/relaykeep/relay/metering"
	"github.com/relaykeep/relaykeep/relay/store"
)

// usageTime bounds how long usage is read.
const usageTime = 10 * time.Second

// publishUsage publishes what was metered, and says whether that is done.
func (p *parts) publishUsage(ctx context.Context) bool {
	err := p.keys.store.PublishUsage(ctx, p.Now())
	if err != nil && ctx.Err() == nil {
		p.Log.LogAttrs(ctx, slog.LevelWarn, "usage could not be published; it is tried again within minutes", slog.Any("error", err))
	}
	return err == nil
}

// serveUsage answers at contract.UsagePath.
func (r *relay) serveUsage(w http.ResponseWriter, req *http.Request) {
	from, to, ok := daysOf(req.URL.Query().Get("since"), req.URL.Query().Get("until"))
	if !ok {
		plain(w, http.StatusBadRequest, "since and until are days as 2006-01-31, and since is not after until")
		return
	}
	p := r.running.Load()
	if p == nil {
		why := "the relay has not opened its store: see KeysReady"
		if r.statusOf(contract.Counts{}).Holder != "" {
			why = "another replica holds the store: ask that one"
		}
		plain(w, http.StatusServiceUnavailable, why)
		return
	}
	ctx, cancel := context.WithTimeout(req.Context(), usageTime)
	defer cancel()
	usage, err := p.usage(ctx, from, to)
	if err != nil {
		p.Log.LogAttrs(ctx, slog.LevelWarn, "usage could not be read", slog.Any("error", err))
		plain(w, http.StatusServiceUnavailable, "the store cannot be read now: see KeysReady")
		return
	}
	w.Header().Set("Content-Type", "application/json")
	_ = json.NewEncoder(w).Encode(usage)
}

// daysOf reads a first and a last day, and returns the first and the one after the last, since 1970. Without them it
// returns all.
func daysOf(since, until string) (from, to int64, ok bool) {
	first, last := metering.DayStart(1), time.Date(9999, 1, 1, 0, 0, 0, 0, time.UTC)
	for text, day := range map[*string]*time.Time{&since: &first, &until: &last} {
		if *text == "" {
			continue
		}
		read, err := time.Parse(contract.DayLayout, *text)
		if err != nil {
			return 0, 0, false
		}
		*day = read
	}
	return metering.Day(first), metering.Day(last) + 1, !last.Before(first)
}

// usage reads the usage of days.
func (p *parts) usage(ctx context.Context, from, to int64) (contract.Usage, error) {
	u := contract.Usage{
		Version: contract.UsageVersion, Step: metering.Step, ByteStep: metering.ByteStep,
		Until: p.Now().UTC().Truncate(metering.Period), Days: []contract.UsageDay{},
	}
	var found []store.Metered
	err := p.store.View(ctx, func(tx *store.Tx) (err error) {
		found, err = tx.Usage(from, to)
		return err
	})
	last := int64(-1)
	for _, m := range found {
		if m.Day != last {
			u.Days = append(u.Days, contract.UsageDay{Day: metering.DayStart(m.Day).Format(contract.DayLayout), Messages: []contract.UsageCount{}})
			last = m.Day
		}
		note(&u.Days[len(u.Days)-1], m)
	}
	return u, err
}

// note adds one count to a day's.
func note(day *contract.UsageDay, m store.Metered) {
	switch {
	case m.Cell.Kind == metering.Customers:
		day.Customers = new(m.Amount.Count)
	case m.Cell.Kind != metering.Media:
		day.Messages = append(day.Messages, contract.UsageCount{Direction: string(m.Cell.Direction), Kind: string(m.Cell.Kind), Count: m.Amount.Count})
	case m.Cell.Direction == metering.In:
		day.MediaBytes.In += m.Amount.Bytes
	default:
		day.MediaBytes.Out += m.Amount.Bytes
	}
}
