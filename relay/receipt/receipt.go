// Package receipt is what janitor and keeper leave in Vault after they destroyed versions of a relay's wrapping key: what a
// receipt says, where it lies, and which gaps a row of them has. It is pure: it must not know Vault's client, a store or a clock.
package receipt

import (
	"crypto/rand"
	"encoding/hex"
	"encoding/json"
	"errors"
	"fmt"
	"slices"
	"strings"
	"time"
)

// Writer is who writes a receipt. It is the folder that only their role in Vault may create entries in.
type Writer string

// The writers.
const (
	Janitor Writer = "janitor"
	Keeper  Writer = "keeper"
	Admin   Writer = "admin" // who erases a tenant with their own login
)

// Writers returns every writer.
func Writers() []Writer { return []Writer{Janitor, Keeper, Admin} }

// Version is the version of Receipt that this build writes.
const Version = 1

// Limits of one receipt.
const (
	MaxBytes   = 16 << 10
	maxRanges  = 16
	maxCarried = 64
	maxNumber  = 1 << 31
)

// Receipt says what a run destroyed, and what Vault said afterwards was left. It holds nothing of a person: no content, no
// number, no customer.
type Receipt struct {
	Version int    `json:"version"`
	By      Writer `json:"by"`
	// Began and Time are by Vault's clock, to the second: when the run began, and when it had destroyed what it destroyed. What
	// Vault says is left, it said right after Time.
	Began time.Time `json:"began"`
	Time  time.Time `json:"time"`
	// Latest is the version that wraps now; 0 when there is no key.
	Latest int `json:"latest,omitempty"`
	// Below is the version below which all are destroyed; 1 when none is. It also covers what earlier runs destroyed and left
	// no receipt of.
	Below int `json:"below,omitempty"`
	// Destroyed are the versions that this run itself destroyed, ascending.
	Destroyed []Range `json:"destroyed,omitempty"`
	// Carried are the data keys from another region that this run destroyed: when the version was made that wrapped each at first.
	Carried []time.Time `json:"carried,omitempty"`
	// Deleted says that the wrapping key and the settings key were deleted as a whole, with all versions up to Latest, or were
	// already gone.
	Deleted bool `json:"deleted,omitempty"`
}

// Range is versions from From up to, but not including, Below.
type Range struct {
	From  int `json:"from"`
	Below int `json:"below"`
	// Oldest and Newest are when the first and the last of them were made; nil where Vault listed no times any more.
	Oldest *time.Time `json:"oldest,omitempty"`
	Newest *time.Time `json:"newest,omitempty"`
}

// ErrInvalid means that a text is not a receipt.
var ErrInvalid = errors.New("not a valid receipt")

// Parse reads a receipt. It returns an ErrInvalid that says what is wrong.
func Parse(text []byte) (Receipt, error) {
	if len(text) > MaxBytes {
		return Receipt{}, fmt.Errorf("%w: more than %d bytes", ErrInvalid, MaxBytes)
	}
	var r Receipt
	if err := json.Unmarshal(text, &r); err != nil {
		return Receipt{}, fmt.Errorf("%w: not the JSON of one", ErrInvalid)
	}
	if err := r.check(); err != nil {
		return Receipt{}, err
	}
	r.Began, r.Time = r.Began.UTC(), r.Time.UTC()
	return r, nil
}

// Encode returns the receipt's text, always the same for the same receipt.
func (r Receipt) Encode() ([]byte, error) {
	if err := r.check(); err != nil {
		return nil, err
	}
	text, err := json.Marshal(r)
	if err != nil {
		return nil, fmt.Errorf("encoding a receipt: %w", err)
	}
	if len(text) > MaxBytes {
		return nil, fmt.Errorf("%w: more than %d bytes", ErrInvalid, MaxBytes)
	}
	return text, nil
}

func (r Receipt) check() error {
	for _, c := range []struct {
		bad  bool
		what string
	}{
		{r.Version != Version, "an unknown version"},
		{!slices.Contains(Writers(), r.By), "an unknown writer"},
		{!plausible(r.Began) || !plausible(r.Time) || r.Time.Before(r.Began), "its times"},
		{r.Latest < 0 || r.Latest > maxNumber || r.Below < 0 || r.Below > maxNumber, "a version out of range"},
		{!r.Deleted && (r.Below < 1 || r.Below > r.Latest), "the lowest version that is left"},
		{len(r.Destroyed) > maxRanges || len(r.Carried) > maxCarried, "too many entries"},
		{slices.ContainsFunc(r.Carried, func(t time.Time) bool { return t.IsZero() }), "a data key's time"},
	} {
		if c.bad {
			return fmt.Errorf("%w: %s", ErrInvalid, c.what)
		}
	}
	end := 1
	for _, d := range r.Destroyed {
		if d.From < end || d.Below <= d.From || d.Below > maxNumber || !r.Deleted && d.Below > r.Below {
			return fmt.Errorf("%w: the versions that it names as destroyed", ErrInvalid)
		}
		end = d.Below
	}
	return nil
}

// plausible says whether a time can stand in a name.
func plausible(t time.Time) bool { return t.Year() >= 2000 && t.Year() < 10000 }

// AddDestroyed notes that the run destroyed versions, which follow those that it noted before.
func (r *Receipt) AddDestroyed(d Range) {
	if last := len(r.Destroyed) - 1; last >= 0 && (r.Destroyed[last].Below == d.From || len(r.Destroyed) == maxRanges) {
		joined := &r.Destroyed[last]
		joined.Below = d.Below
		if joined.Newest = d.Newest; joined.Oldest == nil {
			joined.Oldest = d.Oldest
		}
		return
	}
	r.Destroyed = append(r.Destroyed, d)
}

// AddCarried notes that the run destroyed a data key from another region. Of more than a receipt holds, it notes the first.
func (r *Receipt) AddCarried(made time.Time) {
	if len(r.Carried) < maxCarried {
		r.Carried = append(r.Carried, made.UTC())
	}
}

// Formats of a name: a folder a month, and in it the day and second of Time.
const (
	monthFormat  = "2006-01"
	secondFormat = "02T150405Z"
)

// Name says where a receipt lies below its tenant, as in "janitor/2026-11/30T100512Z-3fa90c1b". Names sort by time; the end
// keeps two runs of one second apart.
type Name struct {
	By    Writer
	Month string // as in "2026-11"
	Entry string // below the month
}

// NewName names a receipt of that time.
func NewName(by Writer, at time.Time) Name {
	var mark [4]byte
	_, _ = rand.Read(mark[:])
	at = at.UTC()
	return Name{By: by, Month: at.Format(monthFormat), Entry: at.Format(secondFormat) + "-" + hex.EncodeToString(mark[:])}
}

// String returns the path below the tenant.
func (n Name) String() string { return string(n.By) + "/" + n.Month + "/" + n.Entry }

// ParseName reads what String returned; false if it is not the name of a receipt.
func ParseName(path string) (Name, bool) {
	parts := strings.Split(path, "/")
	if len(parts) != 3 {
		return Name{}, false
	}
	n := Name{By: Writer(parts[0]), Month: parts[1], Entry: parts[2]}
	_, ok := n.Time()
	return n, ok && slices.Contains(Writers(), n.By)
}

// IsMonth says whether a folder's name is a month.
func IsMonth(folder string) bool {
	at, err := time.Parse(monthFormat, folder)
	return err == nil && at.Format(monthFormat) == folder
}

// Time reads the time in the name; false if it is not the name of a receipt.
func (n Name) Time() (time.Time, bool) {
	second, mark, found := strings.Cut(n.Entry, "-")
	at, err := time.Parse(monthFormat+"-"+secondFormat, n.Month+"-"+second)
	if !found || err != nil || len(mark) != 8 || !IsMonth(n.Month) || at.Format(secondFormat) != second {
		return time.Time{}, false
	}
	_, err = hex.DecodeString(mark)
	return at, err == nil
}

// Months are for how many months receipts are kept: then an admin may remove them.
const Months = 13

// Expired says whether a month's receipts may be removed at a time: its last second is more than Months past.
func Expired(month string, now time.Time) bool {
	at, err := time.Parse(monthFormat, month)
	return err == nil && !at.AddDate(0, 1+Months, 0).After(now)
}
