package receipt_test

import (
	"encoding/json"
	"math/rand/v2"
	"reflect"
	"slices"
	"testing"
	"time"

	"github.com/relaykeep/relaykeep/relay/receipt"
)

func at(hour int) time.Time { return epoch.Add(time.Duration(hour) * time.Hour) }

// said is a receipt of an hour, whose run destroyed the versions from one on.
func said(by receipt.Writer, hour, from, below, latest int) receipt.Receipt {
	r := receipt.Receipt{Version: receipt.Version, By: by, Began: at(hour), Time: at(hour).Add(time.Second), Below: below, Latest: latest}
	if from < below {
		r.Destroyed = []receipt.Range{{From: from, Below: below}}
	}
	return r
}

func trail(receipts ...receipt.Receipt) receipt.Trail {
	var t receipt.Trail
	for _, r := range receipts {
		t.Add(r)
	}
	return t
}

func TestTrail_WithoutGaps(t *testing.T) {
	tr := trail(
		said(receipt.Janitor, 0, 5, 5, 9), // what died before the first receipt is none of its business
		said(receipt.Janitor, 1, 5, 6, 9),
		said(receipt.Keeper, 1, 6, 7, 9),
		said(receipt.Janitor, 2, 7, 7, 9),
		receipt.Receipt{Version: receipt.Version, By: receipt.Janitor, Began: at(3), Time: at(3), Deleted: true},
		said(receipt.Janitor, 70, 1, 1, 1), // a new tenant of the name
		said(receipt.Janitor, 71, 1, 2, 3),
	)
	if len(tr.Gaps) != 0 || tr.Below != 2 || tr.Latest != 3 || !tr.First.Equal(at(0).Add(time.Second)) {
		t.Errorf("%+v", tr)
	}
}

func TestTrail_HoursWithoutAReceiptAreFound(t *testing.T) {
	late := said(receipt.Janitor, 5, 1, 1, 1)
	late.Time = late.Time.Add(20 * time.Minute)
	tr := trail(said(receipt.Janitor, 0, 1, 1, 1), said(receipt.Keeper, 1, 1, 1, 1), late)
	if tr.Count(receipt.Hours) != 4 || len(tr.Gaps) != 1 || !tr.Gaps[0].After.Equal(at(0).Add(time.Second)) {
		t.Errorf("%+v", tr.Gaps)
	}
	for after, want := range map[time.Duration]int{0: 0, 119 * time.Minute: 0, 2 * time.Hour: 1, 5*time.Hour + 30*time.Minute: 4} {
		if got := tr.Missing(late.Time.Add(after)); got != want {
			t.Errorf("%s later %d hours are missing, want %d", after, got, want)
		}
	}
	if tr.Forget(at(6)); len(tr.Gaps) != 0 {
		t.Errorf("after they were forgotten: %+v", tr.Gaps)
	}
	if never := (receipt.Trail{}); never.Missing(at(1000)) != 0 {
		t.Error("receipts are missing where there never was one")
	}
}

func TestTrail_VersionsThatNoRunOwnsToAreFound(t *testing.T) {
	tr := trail(said(receipt.Janitor, 0, 1, 1, 9), said(receipt.Janitor, 1, 5, 6, 9))
	if want := []receipt.Gap{{Kind: receipt.Versions, After: at(0).Add(time.Second), Until: at(1).Add(time.Second), From: 1, Below: 5}}; !reflect.DeepEqual(tr.Gaps, want) {
		t.Errorf("%+v", tr.Gaps)
	}
	// The keeper destroyed some of them meanwhile; its receipt came later.
	keeper := said(receipt.Keeper, 1, 2, 4, 9)
	keeper.Below, keeper.Time = 6, keeper.Time.Add(time.Minute)
	tr.Add(keeper)
	if got := tr.Count(receipt.Versions); got != 2 || len(tr.Gaps) != 2 {
		t.Errorf("%+v", tr.Gaps)
	}
	// A later run has not destroyed what was gone before it began.
	later := said(receipt.Keeper, 2, 1, 2, 9)
	later.Below = 6
	if tr.Add(later); tr.Count(receipt.Versions) != 2 {
		t.Errorf("%+v", tr.Gaps)
	}
}

func TestTrail_VersionsThatComeBackAreFound(t *testing.T) {
	tr := trail(said(receipt.Janitor, 0, 1, 5, 9), said(receipt.Janitor, 1, 3, 3, 9))
	if tr.Count(receipt.Returned) != 2 || len(tr.Gaps) != 1 || tr.Below != 3 {
		t.Errorf("restored: %+v", tr)
	}
	tr = trail(said(receipt.Janitor, 0, 1, 5, 9), said(receipt.Janitor, 1, 1, 1, 2))
	if tr.Count(receipt.Replaced) != 1 || tr.Latest != 2 {
		t.Errorf("another key: %+v", tr)
	}
	tr.Add(said(receipt.Janitor, 2, 1, 2, 2))
	if len(tr.Gaps) != 1 {
		t.Errorf("what died of another key: %+v", tr)
	}
}

// Whatever runs and receipts are lost, the trail finds exactly that.
func TestTrail_FindsWhatWasLostAndNothingElse(t *testing.T) {
	for seed := range uint64(300) {
		random := rand.New(rand.NewPCG(seed, 1))
		var tr receipt.Trail
		below, latest := 1, 2
		unclaimed := map[int]bool{} // versions that died and whose receipt was lost
		lostHours, lastSeen := 0, -1
		for hour := range 100 {
			latest += random.IntN(2)
			by := receipt.Janitor
			if random.IntN(10) == 0 {
				by = receipt.Keeper
			}
			if random.IntN(8) == 0 {
				continue // nothing ran
			}
			from := below
			below = min(below+random.IntN(3), latest)
			lost := random.IntN(6) == 0
			for v := from; v < below; v++ {
				unclaimed[v] = lost
			}
			if lost {
				continue
			}
			r := said(by, hour, from, below, latest)
			r.Time = r.Time.Add(time.Duration(random.IntN(600)) * time.Second)
			if tr.First.IsZero() {
				clear(unclaimed)
			}
			tr.Add(r)
			if by == receipt.Janitor {
				if lastSeen >= 0 {
					lostHours += hour - lastSeen - 1
				}
				lastSeen = hour
			}
			text, err := json.Marshal(tr) // as a relay keeps it
			if err != nil || json.Unmarshal(text, &tr) != nil {
				t.Fatal(err)
			}
		}
		want := 0
		for v, lost := range unclaimed {
			if lost && v < tr.Below {
				want++
			}
		}
		var found []int
		for _, g := range tr.Gaps {
			for v := g.From; v < g.Below; v++ {
				if !unclaimed[v] || slices.Contains(found, v) {
					t.Fatalf("seed %d: version %d is missing: %+v", seed, v, tr.Gaps)
				}
				found = append(found, v)
			}
		}
		if len(found) != want || tr.Count(receipt.Versions) != want || tr.Count(receipt.Hours) != lostHours {
			t.Fatalf("seed %d: found %d versions and %d hours, want %d and %d: %+v", seed, len(found), tr.Count(receipt.Hours), want, lostHours, tr.Gaps)
		}
	}
}

// Two runs of one writer may end in the same second.
func TestRecord_ReceiptsOfOneSecondAreAllRead(t *testing.T) {
	for range 20 { // names end at random
		var there []receipt.Name
		for range 4 {
			there = append(there, receipt.NewName(receipt.Janitor, at(0)))
		}
		record := receipt.Record{}.For("eu")
		for range there {
			unread := record.Unread(there, at(1), 1)
			if len(unread) == 0 {
				t.Fatal("one is passed over")
			}
			record.Mark(unread[0])
		}
	}
}

// Read in batches of any size, while more arrive, every receipt is read once and in order.
func TestRecord_EveryReceiptIsReadOnceAndInOrder(t *testing.T) {
	random := rand.New(rand.NewPCG(7, 7))
	var there []receipt.Name
	record := receipt.Record{}.For("eu")
	var read []string
	for hour := range 200 {
		for _, by := range receipt.Writers() {
			for range random.IntN(3) {
				there = append(there, receipt.NewName(by, at(hour).Add(time.Duration(random.IntN(3000))*time.Second)))
			}
		}
		for range random.IntN(3) {
			kept, err := json.Marshal(record)
			if err != nil || json.Unmarshal(kept, &record) != nil {
				t.Fatal(err)
			}
			for _, n := range record.Unread(there, at(hour+1), 1+random.IntN(5)) {
				if when, _ := n.Time(); when.Before(record.Since(n.By)) {
					t.Fatalf("%s is from before %s", n, record.Since(n.By))
				}
				record.Mark(n)
				read = append(read, n.String())
			}
		}
	}
	for _, n := range record.Unread(there, at(1000), len(there)) {
		record.Mark(n)
		read = append(read, n.String())
	}
	seen := map[string]bool{}
	var last time.Time
	for _, path := range read {
		n, ok := receipt.ParseName(path)
		when, _ := n.Time()
		if !ok || seen[path] || when.Before(last) {
			t.Fatalf("%s is read twice or late", path)
		}
		seen[path], last = true, when
	}
	if len(read) != len(there) {
		t.Errorf("read %d of %d", len(read), len(there))
	}
	if other := record.For("na"); other.Read != nil || other.Region != "na" || record.For("eu").Read == nil {
		t.Errorf("in another region: %+v", other)
	}
}
