package receipt

import (
	"cmp"
	"slices"
	"time"
)

const (
	// interval is how often the janitor runs.
	interval = time.Hour
	// maxGaps bounds the gaps that a trail remembers, the newest.
	maxGaps = 100
)

// Kind is what is missing in a row of receipts.
type Kind string

// The kinds of gaps.
const (
	// Hours: the janitor's runs of so many hours left no receipt.
	Hours Kind = "hours"
	// Versions: versions died, and no receipt says which run destroyed them.
	Versions Kind = "versions"
	// Returned: versions that were destroyed are there again, as after a restore of Vault.
	Returned Kind = "returned"
	// Replaced: the latest version went back, and no receipt says that the key was deleted: there is another key of the name, or
	// an earlier state of Vault was restored.
	Replaced Kind = "replaced"
)

// Kinds returns every kind.
func Kinds() []Kind { return []Kind{Hours, Versions, Returned, Replaced} }

// Gap is something that receipts should say and do not. It happened after After and no later than Until.
type Gap struct {
	Kind  Kind      `json:"kind"`
	After time.Time `json:"after"`
	Until time.Time `json:"until"`
	Hours int       `json:"hours,omitempty"` // of Hours
	From  int       `json:"from,omitempty"`  // of Versions and Returned: the first version
	Below int       `json:"below,omitempty"` // the one after the last
}

// Trail is what the receipts so far say of one tenant's wrapping key. The zero value has seen none. It can be kept as JSON.
type Trail struct {
	First   time.Time `json:"first,omitzero"`   // of all receipts
	Last    time.Time `json:"last,omitzero"`    // of all receipts
	Janitor time.Time `json:"janitor,omitzero"` // the last receipt of the janitor
	Latest  int       `json:"latest,omitempty"`
	Below   int       `json:"below,omitempty"`
	Deleted bool      `json:"deleted,omitempty"` // the last receipt says that there is no key
	Gaps    []Gap     `json:"gaps,omitempty"`    // oldest first
}

// Order sorts receipts as Add takes them: by Time, and those of one second by how far the key was.
func Order(a, b Receipt) int {
	return cmp.Or(a.Time.Compare(b.Time), cmp.Compare(a.Below, b.Below))
}

// Add takes the next receipt. Receipts must come in their Order.
func (t *Trail) Add(r Receipt) {
	if t.First.IsZero() {
		t.First = r.Time
	} else {
		t.compare(r)
	}
	t.claim(r)
	t.Last, t.Deleted = r.Time, r.Deleted
	if r.By == Janitor {
		t.Janitor = r.Time
	}
	t.Latest, t.Below = r.Latest, r.Below
	if r.Deleted { // what comes next is another key
		t.Latest, t.Below = 0, 0
	}
}

// compare finds what is missing between the receipts so far and the next.
func (t *Trail) compare(r Receipt) {
	if n := missed(t.Janitor, r.Time); r.By == Janitor && !t.Deleted && n > 0 {
		t.note(Gap{Kind: Hours, After: t.Janitor, Until: r.Time, Hours: n})
	}
	if r.Deleted || t.Deleted {
		return // a deletion claims every version, and a new key begins at 1
	}
	switch {
	case r.Latest < t.Latest && r.Below <= t.Below:
		t.note(Gap{Kind: Replaced, After: t.Last, Until: r.Time})
		t.Below = 1
	case r.Below < t.Below:
		t.note(Gap{Kind: Returned, After: t.Last, Until: r.Time, From: r.Below, Below: t.Below})
		return
	}
	if t.Below < r.Below {
		t.note(Gap{Kind: Versions, After: t.Last, Until: r.Time, From: max(t.Below, 1), Below: r.Below})
	}
}

// claim removes the versions that a receipt says its run destroyed from the gaps. A run that ends after another may have
// destroyed what the other only found gone.
func (t *Trail) claim(r Receipt) {
	for _, d := range r.Destroyed {
		var left []Gap
		for _, g := range t.Gaps {
			if g.Kind != Versions || g.Until.Before(r.Began) {
				left = append(left, g)
				continue
			}
			before, behind := g, g
			before.Below, behind.From = min(g.Below, d.From), max(g.From, d.Below)
			for _, part := range []Gap{before, behind} {
				if part.From < part.Below {
					left = append(left, part)
				}
			}
		}
		t.Gaps = left
	}
}

func (t *Trail) note(g Gap) {
	t.Gaps = append(t.Gaps, g)
	t.Gaps = t.Gaps[max(len(t.Gaps)-maxGaps, 0):]
}

// missed is how many of the janitor's hours passed without a receipt between two of its receipts. Runs are an hour apart, give or
// take minutes.
func missed(before, after time.Time) int {
	if before.IsZero() {
		return 0
	}
	return max(int(after.Sub(before).Round(interval)/interval)-1, 0)
}

// Missing is how many of the janitor's hours have passed since its last receipt, by Vault's clock. It is 0 while the run of the
// present hour may still come, where there is no key, and where there never was a receipt.
func (t *Trail) Missing(now time.Time) int {
	if t.Deleted || t.Janitor.IsZero() {
		return 0
	}
	// The present hour's run may take its time.
	return max(int(now.Sub(t.Janitor)/interval)-1, 0)
}

// Forget drops gaps that ended before a time.
func (t *Trail) Forget(before time.Time) {
	t.Gaps = slices.DeleteFunc(t.Gaps, func(g Gap) bool { return g.Until.Before(before) })
}

// Count sums up the gaps of a kind: hours, versions, or how often.
func (t *Trail) Count(kind Kind) (n int) {
	for _, g := range t.Gaps {
		switch {
		case g.Kind != kind:
		case kind == Hours:
			n += g.Hours
		case kind == Versions || kind == Returned:
			n += g.Below - g.From
		default:
			n++
		}
	}
	return n
}
