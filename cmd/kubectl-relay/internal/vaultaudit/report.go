package vaultaudit

import (
	"cmp"
	"slices"
	"time"
)

// Limits of a report. What is beyond them is counted.
const (
	maxFindings = 1_000
	maxActs     = 10_000
	maxPlaces   = 100
)

// Report is what a file says about a subject.
type Report struct {
	// From and To are the times of the file's first and last entry. What receipts say of other times was not held against it.
	From time.Time `json:"from,omitzero"`
	To   time.Time `json:"to,omitzero"`
	// Entries are all of the file's, of whomever.
	Entries int64 `json:"entries"`
	// Damaged are lines that are no entries; DamagedAt are the first of them, from 1 on.
	Damaged   int64   `json:"damaged,omitempty"`
	DamagedAt []int64 `json:"damagedAt,omitempty"`
	// Receipts are those that were held against the file, and Destroyed the acts that were held against receipts.
	Receipts  int `json:"receipts"`
	Destroyed int `json:"destroyed"`
	// Outside are acts of times for which the receipts are not complete.
	Outside int `json:"outside,omitempty"`

	// Findings are what does not fit, by time.
	Findings []Finding `json:"findings"`
	// Flagged are acts of others than the relay, its janitor and its keeper, and acts that these are not there for. Own are the
	// acts that they are there for, summed up.
	Flagged []Act `json:"flagged"`
	Own     []Act `json:"own"`
	// Left are findings and acts that the report has no room for.
	Left int64 `json:"left,omitempty"`
}

// Finding is something that does not fit.
type Finding struct {
	Time time.Time `json:"time"`
	Line int64     `json:"line,omitempty"` // of the file; 0 when it is about a receipt
	What string    `json:"what"`
}

// Act is something that was done, and how often.
type Act struct {
	Who     Who       `json:"who"`
	Kind    Kind      `json:"kind"`
	Path    string    `json:"path,omitempty"` // empty for what a party is there for
	Count   int64     `json:"count"`
	Refused int64     `json:"refused,omitempty"` // of these, by Vault
	First   time.Time `json:"first"`
	Last    time.Time `json:"last"`
	Line    int64     `json:"line"` // of the first
}

// Who did something, as Vault knows it.
type Who struct {
	Party       string `json:"party,omitempty"` // the relay, the janitor, the keeper; empty for anybody else
	DisplayName string `json:"displayName,omitempty"`
	Entity      string `json:"entity,omitempty"`
	Accessor    string `json:"accessor,omitempty"` // HMAC of the token's accessor, of anybody else
	Remote      string `json:"remote,omitempty"`   // address, of anybody else
}

// note adds a finding.
func (r *Report) note(at time.Time, line int64, what string) {
	if len(r.Findings) == maxFindings {
		r.Left++
		return
	}
	r.Findings = append(r.Findings, Finding{at, line, what})
}

// damaged notes a line that is no entry.
func (r *Report) damaged(line int64) {
	r.Damaged++
	if len(r.DamagedAt) < maxPlaces {
		r.DamagedAt = append(r.DamagedAt, line)
	}
}

// actKey is what acts have in common that are summed up.
type actKey struct {
	who  Who
	kind Kind
	path string
}

// acts sums up what was done.
type acts struct {
	byKey map[actKey]*Act
	left  int64
}

func (a *acts) add(e *entry, party string, does act) {
	key := actKey{Who{Party: party}, does.kind, ""}
	if !expected(party, does) {
		key.path = e.Request.Operation + " " + e.Request.Path
		key.who = Who{party, e.Auth.DisplayName, e.Auth.Entity, e.Auth.Accessor, e.Request.Remote}
	}
	sum := a.byKey[key]
	if sum == nil {
		if len(a.byKey) >= maxActs {
			a.left++
			return
		}
		sum = &Act{Who: key.who, Kind: key.kind, Path: key.path, First: e.Time, Last: e.Time, Line: e.line}
		a.byKey[key] = sum
	}
	sum.Count++
	if e.Error != "" {
		sum.Refused++
	}
	if e.Time.Before(sum.First) {
		sum.First = e.Time
	}
	if e.Time.After(sum.Last) {
		sum.Last = e.Time
	}
}

// into fills in the report's acts, by time.
func (a *acts) into(r *Report) {
	r.Left += a.left
	for _, sum := range a.byKey {
		if sum.Path == "" {
			r.Own = append(r.Own, *sum)
		} else {
			r.Flagged = append(r.Flagged, *sum)
		}
	}
	for _, list := range [][]Act{r.Own, r.Flagged} {
		slices.SortFunc(list, func(x, y Act) int { return cmp.Or(x.First.Compare(y.First), cmp.Compare(x.Line, y.Line)) })
	}
	slices.SortStableFunc(r.Findings, func(x, y Finding) int { return x.Time.Compare(y.Time) })
}
