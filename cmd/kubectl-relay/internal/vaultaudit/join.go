package vaultaudit

import (
	"fmt"
	"io"
	"slices"
	"strings"
	"time"

	"github.com/relaykeep/relaykeep/relay/receipt"
)

const (
	// slack is how far the clocks of Vault's nodes may be apart, and how long after its act a receipt may be put.
	slack = 2 * time.Minute
	// silence is for how long a Vault with relays says nothing at most: each logs in several times an hour.
	silence = 2 * time.Hour
	// maxEvents bounds the acts that are held against receipts.
	maxEvents = 200_000
)

// Window is the time for which receipts are complete. A zero end is open.
type Window struct{ From, Until time.Time }

func (w Window) has(at time.Time) bool {
	return !at.Before(w.From) && (w.Until.IsZero() || !at.After(w.Until))
}

// Join reads the file of an audit device and holds it against a subject's receipts, in any order, which are complete for a time.
// It returns an error only if the file cannot be read.
func Join(file io.Reader, subject Subject, receipts []receipt.Receipt, complete Window) (Report, error) {
	return join(file, MaxBytes, subject, receipts, complete)
}

func join(file io.Reader, limit int64, subject Subject, receipts []receipt.Receipt, complete Window) (Report, error) {
	j := joiner{subject: subject, complete: complete, acts: acts{byKey: map[actKey]*Act{}}, asked: map[string]event{}}
	for _, r := range receipts {
		j.receipts = append(j.receipts, known{Receipt: r})
	}
	slices.SortStableFunc(j.receipts, func(a, b known) int { return receipt.Order(a.Receipt, b.Receipt) })
	if err := read(file, limit, j.take, j.report.damaged); err != nil {
		return j.report, err
	}
	j.unanswered()
	j.destroyedHaveReceipts()
	j.receiptsAreTrue()
	j.acts.into(&j.report)
	return j.report, nil
}

// known is a receipt, and whether the file has its creation.
type known struct {
	receipt.Receipt
	put bool
}

// event is an act that receipts are about.
type event struct {
	line  int64
	time  time.Time
	party string
	kind  Kind
	name  string // of a receipt or secret
	below int    // of KeyDestroy; 0 where Vault's answer does not say
}

// joiner is one file's work.
type joiner struct {
	subject  Subject
	receipts []known
	complete Window
	report   Report
	acts     acts

	lowest int              // version that the wrapping key is known to have; 0: not known
	asked  map[string]event // requests about receipts and what they are about, by id, until they are answered
	events []event
}

// take takes the next entry.
func (j *joiner) take(e *entry) {
	j.report.Entries++
	switch last := j.report.To; {
	case last.IsZero():
		j.report.From = e.Time
	case e.Time.Sub(last) > silence:
		j.report.note(last, e.line, fmt.Sprintf("the file says nothing for %s after this: an audit device was off, or entries are missing", e.Time.Sub(last).Round(time.Minute)))
	}
	if e.Time.After(j.report.To) {
		j.report.To = e.Time
	}
	does, is := j.subject.classify(e.Request.Operation, e.Request.Path)
	if !is {
		return
	}
	happened := event{line: e.line, time: e.Time, party: j.subject.party(&e.Auth), kind: does.kind, name: does.name}
	destroys := does.wraps && (does.kind == KeyDestroy || does.kind == KeyDelete)
	matters := destroys || does.kind == ReceiptCreate || does.kind == SecretDelete && strings.HasPrefix(does.name, carried)
	if e.Type == "request" {
		if matters && len(j.asked) < maxEvents {
			j.asked[e.Request.ID] = happened
		}
		return
	}
	delete(j.asked, e.Request.ID)
	j.acts.add(e, happened.party, does)
	if e.Error != "" {
		return // it was refused, or failed
	}
	if does.wraps {
		matters = j.learn(e, &happened) && matters
	}
	if matters {
		if len(j.events) == maxEvents {
			j.report.Left++
			return
		}
		j.events = append(j.events, happened)
	}
}

// carried is the folder of data keys from another region, among the secrets.
const carried = "carried/"

// learn notes which versions the wrapping key has after an act, and says whether the act destroyed any.
func (j *joiner) learn(e *entry, happened *event) bool {
	if happened.kind == KeyDelete {
		j.lowest = 0
		return true
	}
	lowest, said := e.minAvailable()
	if !said {
		return happened.kind == KeyDestroy
	}
	before := j.lowest
	j.lowest = lowest
	if lowest < before {
		j.report.note(e.Time, e.line, fmt.Sprintf("versions %d to %d of the wrapping key are there again, or the key is another one: was a backup restored?", lowest, before-1))
	}
	happened.below = lowest
	return lowest > before
}

// unanswered tells of requests that the file has no answer to: whether they were carried out is not known.
func (j *joiner) unanswered() {
	for _, asked := range j.asked {
		if asked.time.Before(j.report.To.Add(-slack)) { // else the answer may be in the next file
			j.report.note(asked.time, asked.line, fmt.Sprintf("%s: whether Vault did it is not in the file", who(asked)))
		}
	}
}

func who(e event) string {
	party := e.party
	if party == "" {
		party = "somebody else"
	}
	return party + " " + string(e.kind)
}

// of says whether a receipt is its who did something, and within whose run that was.
func (k *known) of(e event) bool {
	by := map[string]receipt.Writer{Janitor: receipt.Janitor, Keeper: receipt.Keeper}[e.party]
	if by == "" {
		by = receipt.Admin
	}
	return k.By == by && !e.time.Before(k.Began.Add(-slack)) && !e.time.After(k.Time.Add(slack))
}

// claims says whether a receipt says that its run did something.
func (k *known) claims(e event) bool {
	switch {
	case !k.of(e):
		return false
	case e.kind == KeyDelete:
		return k.Deleted
	case e.kind == SecretDelete && k.Deleted:
		return true // an erasure takes them with everything else
	case e.kind == SecretDelete:
		return slices.ContainsFunc(k.Carried, func(t time.Time) bool {
			return strings.HasPrefix(e.name, carriedOf(t))
		})
	}
	return slices.ContainsFunc(k.Destroyed, func(d receipt.Range) bool { return e.below == 0 || d.From < e.below && e.below <= d.Below })
}

// destroyedHaveReceipts looks for the receipt of each act.
func (j *joiner) destroyedHaveReceipts() {
	for _, e := range j.events {
		if e.kind == ReceiptCreate {
			j.isKnown(e)
			continue
		}
		j.report.Destroyed++
		if slices.ContainsFunc(j.receipts, func(k known) bool { return k.claims(e) }) {
			continue
		}
		what := who(e)
		if e.below > 0 {
			what += fmt.Sprintf(", all below %d", e.below)
		}
		later := slices.ContainsFunc(j.receipts, func(k known) bool {
			return e.kind == KeyDestroy && !k.Time.Before(e.time.Add(-slack)) && (k.Below >= e.below || k.Deleted)
		})
		switch {
		case !j.complete.has(e.time.Add(-slack)) || !j.complete.has(e.time.Add(slack)):
			j.report.Outside++
		case later:
			j.report.note(e.time, e.line, what+", and left no receipt; a later one says that they are gone")
		default:
			j.report.note(e.time, e.line, what+", and no receipt says so")
		}
	}
}

// isKnown looks for a receipt that was put.
func (j *joiner) isKnown(e event) {
	name, ok := receipt.ParseName(e.name)
	if !ok {
		j.report.note(e.time, e.line, who(e)+" that is none")
		return
	}
	at, _ := name.Time()
	// Of several of one second, each is one.
	i := slices.IndexFunc(j.receipts, func(k known) bool { return !k.put && k.By == name.By && k.Time.Equal(at) })
	switch {
	case i >= 0:
		j.receipts[i].put = true
	case !j.complete.has(at):
		j.report.Outside++
	default:
		j.report.note(e.time, e.line, who(e)+" that is missing among the receipts: it was removed, or kept back")
	}
}

// receiptsAreTrue looks for what receipts say that was done.
func (j *joiner) receiptsAreTrue() {
	for i := range j.receipts {
		k := &j.receipts[i]
		if k.Began.Add(-slack).Before(j.report.From) || k.Time.Add(slack).After(j.report.To) {
			continue // the file does not cover it
		}
		j.report.Receipts++
		if !k.put {
			j.report.note(k.Time, 0, fmt.Sprintf("a receipt of the %s says this time, and the file does not say that one was put into Vault", k.By))
		}
		j.isTrue(k)
	}
}

// isTrue looks for what one receipt says that its run destroyed.
func (j *joiner) isTrue(k *known) {
	happened := func(is func(event) bool) bool {
		return slices.ContainsFunc(j.events, func(e event) bool { return k.of(e) && is(e) })
	}
	for _, d := range k.Destroyed {
		if !happened(func(e event) bool {
			return e.kind == KeyDelete && k.Deleted || e.kind == KeyDestroy && (e.below == 0 || e.below == d.Below)
		}) {
			j.report.note(k.Time, 0, fmt.Sprintf("a receipt of the %s says that it destroyed versions %d to %d, and the file does not", k.By, d.From, d.Below-1))
		}
	}
	for _, t := range k.Carried {
		if !happened(func(e event) bool { return e.kind == SecretDelete && strings.HasPrefix(e.name, carriedOf(t)) }) {
			j.report.note(k.Time, 0, fmt.Sprintf("a receipt of the %s says that it destroyed a data key from another region, and the file does not", k.By))
		}
	}
}

// carriedOf begins the names of the data keys from another region that count since a time.
func carriedOf(made time.Time) string { return fmt.Sprintf("%s%d-", carried, made.Unix()) }
