package metering_test

import (
	"math/rand/v2"
	"testing"

	"github.com/relaykeep/relaykeep/relay/metering"
)

var texts = metering.Cell{Direction: metering.In, Kind: metering.Text}

// published is what a reader sees hour after hour when a cell begins with rest.
func published(c metering.Cell, rest metering.Amount, hours []metering.Amount) (seen []metering.Amount) {
	var sum metering.Amount
	for _, more := range hours {
		now, left := c.Publish(rest, more)
		rest, sum = left, sum.Plus(now)
		seen = append(seen, sum)
	}
	return seen
}

// someHours are counts of some hours, most of them small.
func someHours(r *rand.Rand) []metering.Amount {
	hours := make([]metering.Amount, 1+r.IntN(60))
	for i := range hours {
		if hours[i].Count = int64(r.IntN(4)); r.IntN(9) == 0 {
			hours[i].Count = int64(r.IntN(500))
		}
		hours[i].Bytes = hours[i].Count * int64(r.IntN(5_000_000))
	}
	return hours
}

// Whoever has two reports of any times sees either no difference, or one of full steps.
func TestPublish_ReportsDifferByFullSteps(t *testing.T) {
	r := rand.New(rand.NewPCG(1, 2))
	for range 500 {
		seen := published(texts, texts.Begin(), someHours(r))
		for i, later := range seen {
			for _, earlier := range append(seen[:i:i], metering.Amount{}) {
				if d := later.Count - earlier.Count; d < 0 || d%metering.Step != 0 {
					t.Fatalf("two reports differ by %d", d)
				}
			}
		}
	}
}

// One more message, in whatever hour, changes no report of any hour for nine in ten of the places at which a count may
// have begun; for the tenth it is a full step, that nine others have filled. Nobody can see at which place a count began,
// however often they look, unless they know every other message.
func TestPublish_OneMoreMessageIsSeenAtOneBeginningOfTen(t *testing.T) {
	r := rand.New(rand.NewPCG(3, 4))
	for range 200 {
		hours := someHours(r)
		more := append([]metering.Amount(nil), hours...)
		at := r.IntN(len(more))
		more[at].Count++
		for last := range hours {
			changed := 0
			for begin := range int64(metering.Step) {
				before := published(texts, metering.Amount{Count: begin}, hours)[last]
				after := published(texts, metering.Amount{Count: begin}, more)[last]
				switch after.Count - before.Count {
				case 0:
				case metering.Step:
					changed++
				default:
					t.Fatalf("one more message makes %d of %d", after.Count, before.Count)
				}
			}
			want := 1
			if last < at {
				want = 0
			}
			if changed != want {
				t.Fatalf("in hour %d, a message of hour %d is seen at %d of %d beginnings", last, at, changed, metering.Step)
			}
		}
	}
}

func TestPublish_SumsAreRightWithinAStepForEver(t *testing.T) {
	r := rand.New(rand.NewPCG(5, 6))
	for range 200 {
		hours, there := someHours(r), int64(0)
		for _, h := range hours {
			there += h.Count
		}
		seen := published(texts, texts.Begin(), hours)
		if off := there - seen[len(seen)-1].Count; off <= -metering.Step || off >= metering.Step {
			t.Fatalf("%d of %d are published", seen[len(seen)-1].Count, there)
		}
	}
}

// Bytes are told of ten files together, in whole megabytes.
func TestPublish_BytesHaveTenFilesBehindThem(t *testing.T) {
	files := metering.Cell{Direction: metering.Out, Kind: metering.Media}
	r := rand.New(rand.NewPCG(7, 8))
	for range 200 {
		var rest metering.Amount
		var behind, told, all int64
		for _, h := range someHours(r) {
			behind, all = behind+h.Count, all+h.Bytes
			now, left := files.Publish(rest, h)
			rest, told = left, told+now.Bytes
			switch {
			case now.Count != 0 || now.Bytes%metering.ByteStep != 0:
				t.Fatalf("published are %+v", now)
			case now.Bytes > 0 && behind < metering.Step:
				t.Fatalf("%d bytes are told of %d files", now.Bytes, behind)
			case behind >= metering.Step && all-told >= metering.ByteStep:
				t.Fatalf("of %d bytes of %d files, %d are not told", all, behind, all-told)
			}
			if behind >= metering.Step {
				behind = 0
			}
		}
	}
	if files.Begin() != (metering.Amount{}) {
		t.Error("a count of files begins with some that are not there")
	}
}

func TestBegin_IsAnywhereInAStep(t *testing.T) {
	found := map[int64]bool{}
	for range 2000 {
		b := texts.Begin()
		if b.Count < 0 || b.Count >= metering.Step || b.Bytes != 0 {
			t.Fatalf("a count begins with %+v", b)
		}
		found[b.Count] = true
	}
	if len(found) != metering.Step {
		t.Errorf("counts begin at %d places", len(found))
	}
}

func TestKindOf_NamesWhatIsListed(t *testing.T) {
	for _, k := range metering.Messages() {
		if got := metering.KindOf(string(k)); got != k {
			t.Errorf("%q is %q", k, got)
		}
	}
	if got := metering.KindOf("hologram"); got != metering.Other {
		t.Errorf("an unknown type is %q", got)
	}
}
