package receipt

import (
	"cmp"
	"slices"
	"time"
)

// Record is what a relay keeps of the receipts that it has read: how far, and what they say. It can be kept as JSON.
type Record struct {
	// Region is where the receipts are: another region's Vault has others.
	Region string `json:"region"`
	// Read are the names of the last receipts that were read, one a writer.
	Read map[Writer]string `json:"read,omitempty"`
	// Unreadable is how many entries among the receipts were none.
	Unreadable int   `json:"unreadable,omitempty"`
	Trail      Trail `json:"trail"`
}

// For returns the record of a region: r, or a new one if r is another region's.
func (r Record) For(region string) Record {
	if r.Region != region {
		return Record{Region: region}
	}
	return r
}

// Since is the time from which on a writer's receipts may be unread; the zero time if all are.
func (r Record) Since(by Writer) time.Time {
	last, ok := ParseName(r.Read[by])
	if !ok {
		return time.Time{}
	}
	at, _ := last.Time()
	return at
}

// Unread returns the receipts that were not read yet, oldest first and at most so many. It leaves out those of until and later,
// since a receipt of an earlier time may still come.
func (r Record) Unread(names []Name, until time.Time, most int) []Name {
	var unread []Name
	for _, n := range names {
		at, ok := n.Time()
		if ok && at.Before(until) && n.String() > r.Read[n.By] {
			unread = append(unread, n)
		}
	}
	slices.SortFunc(unread, func(a, b Name) int {
		x, _ := a.Time()
		y, _ := b.Time()
		return cmp.Or(x.Compare(y), cmp.Compare(a.String(), b.String())) // as Mark compares them
	})
	return unread[:min(len(unread), most)]
}

// Mark notes that a receipt was read. Marks must follow the order of Unread.
func (r *Record) Mark(n Name) {
	read := map[Writer]string{n.By: n.String()} // a new one: copies of the record keep theirs
	for by, last := range r.Read {
		if by != n.By || last > read[by] {
			read[by] = last
		}
	}
	r.Read = read
}
