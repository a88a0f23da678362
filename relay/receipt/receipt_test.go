package receipt_test

import (
	"bytes"
	"errors"
	"reflect"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/relaykeep/relaykeep/relay/receipt"
)

var epoch = time.Date(2026, 3, 1, 10, 5, 12, 0, time.UTC)

func valid() receipt.Receipt {
	return receipt.Receipt{
		Version: receipt.Version, By: receipt.Janitor, Began: epoch, Time: epoch.Add(time.Second), Latest: 7, Below: 5,
		Destroyed: []receipt.Range{{From: 3, Below: 5, Oldest: new(epoch.AddDate(0, -1, 0)), Newest: new(epoch.AddDate(0, -1, 1))}},
		Carried:   []time.Time{epoch.AddDate(0, -1, 0)},
	}
}

func TestReceiptReadsBackAsItWasWritten(t *testing.T) {
	text, err := valid().Encode()
	if err != nil {
		t.Fatal(err)
	}
	back, err := receipt.Parse(text)
	if err != nil || !reflect.DeepEqual(back, valid()) {
		t.Errorf("%s reads back as %+v, %v", text, back, err)
	}
}

func TestReceiptThatCannotBeIsRefused(t *testing.T) {
	for what, spoil := range map[string]func(*receipt.Receipt){
		"another version":          func(r *receipt.Receipt) { r.Version = 2 },
		"another writer":           func(r *receipt.Receipt) { r.By = "relay" },
		"no time":                  func(r *receipt.Receipt) { r.Time = time.Time{} },
		"an end before its begin":  func(r *receipt.Receipt) { r.Began = r.Time.Add(time.Second) },
		"nothing left":             func(r *receipt.Receipt) { r.Below = 8 },
		"no lowest version":        func(r *receipt.Receipt) { r.Below = 0 },
		"destroyed what is left":   func(r *receipt.Receipt) { r.Destroyed[0].Below = 6 },
		"an empty range":           func(r *receipt.Receipt) { r.Destroyed[0].From = 5 },
		"versions destroyed twice": func(r *receipt.Receipt) { r.Destroyed = append(r.Destroyed, r.Destroyed[0]) },
		"too many ranges":          func(r *receipt.Receipt) { r.Destroyed = slices.Repeat(r.Destroyed, 17) },
		"a key without a time":     func(r *receipt.Receipt) { r.Carried = []time.Time{{}} },
	} {
		r := valid()
		spoil(&r)
		if _, err := r.Encode(); !errors.Is(err, receipt.ErrInvalid) {
			t.Errorf("%s: %v", what, err)
		}
	}
	for _, text := range []string{"", "[]", `{"version":1}`, strings.Repeat(" ", receipt.MaxBytes+1)} {
		if _, err := receipt.Parse([]byte(text)); !errors.Is(err, receipt.ErrInvalid) {
			t.Errorf("%.20q: %v", text, err)
		}
	}
	gone := receipt.Receipt{Version: receipt.Version, By: receipt.Admin, Began: epoch, Time: epoch, Deleted: true}
	if _, err := gone.Encode(); err != nil {
		t.Errorf("that a key is gone: %v", err)
	}
}

func TestDestroyedVersionsThatFollowEachOtherAreOneRange(t *testing.T) {
	var r receipt.Receipt
	for from := range 40 {
		if from != 20 {
			r.AddDestroyed(receipt.Range{From: from + 1, Below: from + 2, Newest: new(epoch.Add(time.Duration(from) * time.Hour))})
		}
	}
	if len(r.Destroyed) != 2 || r.Destroyed[0].Below != 21 || r.Destroyed[1].From != 22 || r.Destroyed[1].Below != 41 ||
		!r.Destroyed[1].Newest.Equal(epoch.Add(39*time.Hour)) {
		t.Errorf("ranges are %+v", r.Destroyed)
	}
}

func TestNamesSortByTimeAndSayIt(t *testing.T) {
	var names []string
	for _, after := range []time.Duration{0, time.Second, time.Hour, 20 * 24 * time.Hour, 40 * 24 * time.Hour, 400 * 24 * time.Hour} {
		n := receipt.NewName(receipt.Keeper, epoch.Add(after).In(time.FixedZone("", 3600)))
		if at, ok := n.Time(); !ok || !at.Equal(epoch.Add(after)) || n.By != receipt.Keeper {
			t.Errorf("%s is of %s, %v", n, at, ok)
		}
		if back, ok := receipt.ParseName(n.String()); !ok || back != n {
			t.Errorf("%s reads back as %+v", n, back)
		}
		names = append(names, n.String())
	}
	if again := receipt.NewName(receipt.Keeper, epoch).String(); !slices.IsSorted(names) || slices.Contains(names, again) {
		t.Errorf("names are %q and %s", names, again)
	}
	for _, n := range []receipt.Name{{}, {Month: "2026-3", Entry: "01T100512Z-00000000"}, {Month: "2026-02", Entry: "30T100512Z-00000000"}, {Month: "2026-03", Entry: "01T100512Z"}, {Month: "2026-03", Entry: "01T100512Z-../../.."}} {
		if _, ok := n.Time(); ok {
			t.Errorf("%q is taken for a name", n)
		}
	}
}

func TestMonthExpiresAfterThirteenWholeMonths(t *testing.T) {
	end := time.Date(2027, 5, 1, 0, 0, 0, 0, time.UTC)
	if receipt.Expired("2026-03", end.Add(-time.Second)) || !receipt.Expired("2026-03", end) || receipt.Expired("nothing", end) {
		t.Error("the month of March 2026 does not expire at the end of April 2027")
	}
}

// FuzzParse: whatever is read as a receipt can be written, and reads back as the same.
func FuzzParse(f *testing.F) {
	text, err := valid().Encode()
	if err != nil {
		f.Fatal(err)
	}
	f.Add(text)
	f.Add([]byte(`{"version":1,"by":"admin","began":"2026-03-01T10:05:12Z","time":"2026-03-01T10:05:12Z","deleted":true}`))
	f.Fuzz(func(t *testing.T, text []byte) {
		r, err := receipt.Parse(text)
		if err != nil {
			return
		}
		again, err := r.Encode()
		if err != nil {
			t.Fatalf("%+v cannot be written: %v", r, err)
		}
		back, err := receipt.Parse(again)
		if err != nil {
			t.Fatal(err)
		}
		if last, err := back.Encode(); err != nil || !bytes.Equal(last, again) {
			t.Fatalf("%s became %s, %v", again, last, err)
		}
	})
}
