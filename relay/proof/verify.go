package proof

import (
	"cmp"
	"errors"
	"fmt"
	"io"
	"slices"
	"time"

	"golang.org/x/mod/sumdb/note"
	"golang.org/x/mod/sumdb/tlog"
)

// What is wrong with a log.
const (
	Truncated  = "truncated"   // entries that a checkpoint counts are missing
	Edited     = "edited"      // an entry is not what was hashed
	Withheld   = "withheld"    // an entry has no content, though older ones have theirs
	Forked     = "forked"      // two histories
	RolledBack = "rolled-back" // what was there once is gone
	Unsigned   = "unsigned"    // no checkpoint, or signed by another key
	Unwitness  = "unwitnessed" // no cosignature of a witness that was named
)

// maxFindings bounds how many findings of one export are kept: after the first, the rest follows.
const maxFindings = 100

// Finding is one thing that is wrong, with its place.
type Finding struct {
	What string `json:"what"`
	File string `json:"file"`
	// From and To are the entries that it is about: from the first up to, and without, the second. -1 is for none.
	From int64  `json:"from"`
	To   int64  `json:"to"`
	Why  string `json:"why"`
}

// Witnessed is up to where a witness has cosigned a log.
type Witnessed struct {
	Witness string    `json:"witness"`
	Size    int64     `json:"size"`
	Time    time.Time `json:"time"`
}

// Report is what is known about a log after its verification.
type Report struct {
	Log      string `json:"log"`
	Entries  int64  `json:"entries"`  // of the longest export
	Dropped  int64  `json:"dropped"`  // of these, without content, because their time is over
	Signed   int64  `json:"signed"`   // up to where a checkpoint is signed
	Kept     int    `json:"kept"`     // checkpoints that it was compared with
	Unsigned int64  `json:"unsigned"` // entries behind the last checkpoint, which are signed with the next
	// Witnessed is empty without keys of witnesses.
	Witnessed []Witnessed `json:"witnessed,omitempty"`
	Findings  []Finding   `json:"findings"`
}

// OK says that nothing is wrong.
func (r Report) OK() bool { return len(r.Findings) == 0 }

// Verification checks exports of one log, and checkpoints that were kept, against each other.
type Verification struct {
	keys      []note.Verifier // of the log: more than one after its key changed
	witnesses []note.Verifier

	log     string
	trees   []export
	exports int // that were added
	kept    []kept
	report  Report
}

// export is one export that was read.
type export struct {
	file  string
	place int // among the exports
	*Tree
}

// kept is a checkpoint that was signed by the log.
type kept struct {
	Checkpoint
	file string
	// place is that of the export that it is in; -1 for a checkpoint by itself, of which nothing says how old it is.
	place int
}

// NewVerification begins one with the log's keys and those of its witnesses. There must be a key.
func NewVerification(keys, witnesses []note.Verifier) (*Verification, error) {
	if len(keys) == 0 {
		return nil, errors.New("name the log's public key: without it, nothing says who wrote the log")
	}
	return &Verification{keys: keys, witnesses: witnesses}, nil
}

func (v *Verification) find(f Finding) {
	if len(v.report.Findings) < maxFindings {
		v.report.Findings = append(v.report.Findings, f)
	}
}

// belongs notes which log everything is about.
func (v *Verification) belongs(file, origin string) error {
	if v.log == "" {
		v.log = origin
	}
	if v.log != origin {
		return fmt.Errorf("%s is of another log, %s", file, origin)
	}
	return nil
}

// Checkpoint adds a checkpoint that was kept.
func (v *Verification) Checkpoint(file string, signed []byte) error {
	c, err := Unverified(signed)
	if err != nil {
		return fmt.Errorf("%s: %w", file, err)
	}
	if err := v.belongs(file, c.Origin); err != nil {
		return err
	}
	v.add(file, c, -1)
	return nil
}

// add checks who signed a checkpoint. That a witness cosigned it is not enough: what the log says, its key has to say.
func (v *Verification) add(file string, c Checkpoint, place int) {
	if _, err := ParseCheckpoint(c.Note, v.keys...); err != nil {
		v.find(Finding{What: Unsigned, File: file, From: -1, To: c.N, Why: "the checkpoint is not signed by the log's key: it is another's, or the log's key has changed and the new one is not named"})
		return
	}
	v.kept = append(v.kept, kept{c, file, place})
}

// Export adds an export, and checks what it says by itself. Older exports must be added before younger ones.
func (v *Verification) Export(file string, r io.Reader) error {
	t := export{file, v.exports, &Tree{}}
	v.exports++
	var signed, dropped int64
	seen, held := 0, false
	err := ReadExport(r, func(h Header) error {
		if err := v.belongs(file, h.Log); err != nil {
			return err
		}
		for _, text := range []string{h.Signed, h.Witnessed} {
			if text == "" {
				continue
			}
			c, err := Unverified([]byte(text))
			if err != nil || c.Origin != h.Log {
				return fmt.Errorf("%s: %w", file, ErrCheckpoint)
			}
			seen++
			signed = max(signed, c.N)
			v.add(file, c, t.place)
		}
		return nil
	}, func(l Line) error {
		if l.Index != t.Size() {
			v.find(Finding{What: Truncated, File: file, From: t.Size(), To: l.Index, Why: "entries are missing within the export, or not in order"})
			return errStop
		}
		if l.Entry == nil {
			dropped++
		}
		held = v.content(file, l, held)
		return t.Append(l.Hash)
	})
	if errors.Is(err, errStop) {
		return nil
	}
	if err != nil {
		return fmt.Errorf("%s: %w", file, err)
	}
	if seen == 0 {
		v.find(Finding{What: Unsigned, File: file, From: 0, To: t.Size(), Why: "the export has no signed checkpoint: the relay may not sign yet (kubectl relay status says why)"})
	}
	if t.Size() < signed {
		v.find(Finding{What: Truncated, File: file, From: t.Size(), To: signed, Why: "the export's own checkpoint counts these entries, and they are missing"})
	}
	v.trees = append(v.trees, t)
	if t.Size() >= v.report.Entries {
		v.report.Entries, v.report.Dropped = t.Size(), dropped
		v.report.Unsigned = max(t.Size()-signed, 0)
	}
	return nil
}

// content checks an entry's content, and says whether it or an older one has any.
func (v *Verification) content(file string, l Line, held bool) bool {
	f := Finding{File: file, From: l.Index, To: l.Index + 1}
	switch {
	case l.Entry == nil && held:
		f.What, f.Why = Withheld, "an older entry still has its content, so this one's time cannot be over"
	case l.Entry != nil && tlog.RecordHash(l.Entry) != l.Hash:
		f.What, f.Why = Edited, "the entry is not the one that was hashed"
	}
	if f.What != "" {
		v.find(f)
	}
	return held || l.Entry != nil
}

// errStop ends the reading of an export that is not worth reading further.
var errStop = errors.New("stop")

// Result compares everything that was added.
func (v *Verification) Result() (Report, error) {
	if len(v.trees) == 0 && len(v.kept) == 0 && len(v.report.Findings) == 0 {
		return Report{}, errors.New("there is no export of a log, and no checkpoint")
	}
	slices.SortStableFunc(v.kept, func(a, b kept) int { return cmp.Compare(a.N, b.N) })
	v.compareKept()
	for _, t := range v.trees {
		v.compare(t)
	}
	v.witnessed()
	v.report.Log, v.report.Kept = v.log, len(v.kept)
	for _, c := range v.kept {
		v.report.Signed = max(v.report.Signed, c.N)
	}
	if v.report.Findings == nil {
		v.report.Findings = []Finding{}
	}
	return v.report, nil
}

// compareKept finds checkpoints of one size that differ: no export is needed to tell a fork from them.
func (v *Verification) compareKept() {
	for i := 1; i < len(v.kept); i++ {
		a, b := v.kept[i-1], v.kept[i]
		if a.N == b.N && a.Hash != b.Hash {
			v.find(Finding{What: Forked, File: b.file, From: -1, To: b.N, Why: "two checkpoints of this size were signed, and are of different histories; the other is in " + a.file})
		}
	}
}

// compare compares an export with all checkpoints. The place of a difference is between the last checkpoint that it agrees
// with and the first that it does not.
func (v *Verification) compare(t export) {
	agreed := int64(0)
	for _, c := range v.kept {
		if c.N > t.Size() {
			if c.place >= 0 && c.place < t.place || c.place < 0 && !v.later(t, c) {
				v.find(Finding{What: RolledBack, File: t.file, From: t.Size(), To: c.N, Why: "a checkpoint that was signed before the export counts these entries, and they are gone; it is in " + c.file})
			}
			continue
		}
		hash, err := t.At(c.N)
		if err == nil && hash == c.Hash {
			agreed = c.N
			continue
		}
		what, why := Forked, "a checkpoint that was signed is of another history; it is in "+c.file
		if c.file == t.file {
			what, why = Edited, "the entries are not those of the export's own checkpoint"
		}
		v.find(Finding{What: what, File: t.file, From: agreed, To: c.N, Why: why})
		return
	}
}

// later says whether a checkpoint by itself may be younger than an export: some longer export agrees with both.
func (v *Verification) later(t export, c kept) bool {
	return slices.ContainsFunc(v.trees, func(longer export) bool {
		if longer.Size() < c.N || longer.file == t.file {
			return false
		}
		end, err := longer.At(c.N)
		begin, otherErr := longer.At(t.Size())
		own, ownErr := t.At(t.Size())
		return errors.Join(err, otherErr, ownErr) == nil && end == c.Hash && begin == own
	})
}

// witnessed notes up to where each witness has cosigned.
func (v *Verification) witnessed() {
	for _, w := range v.witnesses {
		var latest Witnessed
		for _, c := range v.kept {
			if at, ok := cosigned(c.Note, w); ok && c.N >= latest.Size {
				latest = Witnessed{w.Name(), c.N, at}
			}
		}
		if latest.Witness == "" {
			v.find(Finding{What: Unwitness, From: -1, To: -1, Why: "no checkpoint here is cosigned by " + w.Name()})
			continue
		}
		v.report.Witnessed = append(v.report.Witnessed, latest)
	}
}
