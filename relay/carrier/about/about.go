// Package about reads and writes the elements in which a message says something about another one: replies
// (XEP-0461 with XEP-0428), corrections (XEP-0308), reactions (XEP-0444) and retractions (XEP-0424). They
// stand in a stanza or inside an envelope of OMEMO2, and mean the same in both. The package must not depend on
// which.
package about

import (
	"iter"
	"strconv"

	"github.com/relaykeep/relaykeep/relay/carrier"
)

// Namespaces.
const (
	NSReply     = "urn:xmpp:reply:0"
	NSFallback  = "urn:xmpp:fallback:0" // XEP-0428
	NSCorrect   = "urn:xmpp:message-correct:0"
	NSReactions = "urn:xmpp:reactions:0"
	NSRetract   = "urn:xmpp:message-retract:1"
	nsRetract0  = "urn:xmpp:message-retract:0" // before version 0.4 of XEP-0424, inside of:
	nsFasten    = "urn:xmpp:fasten:0"          // XEP-0422
)

// Element is an XML element that was read.
type Element interface {
	Is(space, local string) bool
	Attr(local string) string
	Words() string // its own character data
	Elements() iter.Seq[Element]
}

// Said is what a message says about others. Anybody may have written it.
type Said struct {
	carrier.References
	// Reacts says that the message holds a reaction, and Retracts that it takes another one back: a body
	// only repeats that for clients that do not know it, or says that it does.
	Reacts, Retracts bool
	// ReactsTo and Takes are the ids of the messages that these are about; empty if they are unusable.
	ReactsTo, Takes string
	// Emoji are the reactions, at most carrier.MaxReactions of at most carrier.MaxEmoji bytes. They need
	// not be emoji.
	Emoji []string
	// Repeats says that the whole body is marked as a fallback for the reaction or the retraction.
	Repeats bool
}

// Read reads the children of a message or of an envelope's content. Id returns an element's id, or "" if
// that is missing or too long.
func Read(e Element, id func(Element) string) (s Said) {
	for c := range e.Elements() {
		switch {
		case c.Is(NSReply, "reply") && s.ReplyTo == "":
			s.ReplyTo = id(c)
		case c.Is(NSCorrect, "replace") && s.Corrects == "":
			s.Corrects = id(c)
		case c.Is(NSFallback, "fallback") && c.Attr("for") == NSReply && s.Quote == (carrier.Range{}):
			s.Quote = rangeOf(Child(c, NSFallback, "body"))
		case c.Is(NSReactions, "reactions") && !s.Reacts:
			s.Reacts, s.ReactsTo, s.Emoji = true, id(c), reactions(c)
		case retracts(c) && !s.Retracts:
			s.Retracts, s.Takes = true, id(c)
		case repeats(c):
			s.Repeats = true
		}
	}
	s.Repeats = s.Repeats && (s.Reacts || s.Retracts)
	return s
}

// Child returns the first child of that name, or nil. A nil element has none.
func Child(e Element, space, local string) Element {
	if e == nil {
		return nil
	}
	for c := range e.Elements() {
		if c.Is(space, local) {
			return c
		}
	}
	return nil
}

// rangeOf reads a part of a body (XEP-0428). A whole body is no quote that a text follows.
func rangeOf(body Element) carrier.Range {
	if body == nil {
		return carrier.Range{}
	}
	start, err := strconv.ParseUint(body.Attr("start"), 10, 31)
	if body.Attr("start") == "" {
		start, err = 0, nil
	}
	end, wrong := strconv.ParseUint(body.Attr("end"), 10, 31)
	if err != nil || wrong != nil || end <= start {
		return carrier.Range{}
	}
	return carrier.Range{Start: int(start), End: int(end)}
}

// reactions returns the reactions. Those that are too long are left out.
func reactions(e Element) (out []string) {
	for c := range e.Elements() {
		if !c.Is(NSReactions, "reaction") || c.Words() == "" || len(c.Words()) > carrier.MaxEmoji {
			continue
		}
		if len(out) == carrier.MaxReactions {
			break
		}
		out = append(out, c.Words())
	}
	return out
}

// retracts says whether an element names a message that is taken back, as clients write it today or
// before 2023.
func retracts(e Element) bool {
	return e.Is(NSRetract, "retract") || e.Is(nsFasten, "apply-to") && Child(e, nsRetract0, "retract") != nil
}

// repeats says whether an element marks the whole body as a fallback for a reaction or a retraction. Before
// XEP-0428 had versions, clients did not say for what.
func repeats(e Element) bool {
	if !e.Is(NSFallback, "fallback") {
		return false
	}
	switch e.Attr("for") {
	case "", NSReactions, NSRetract, nsRetract0:
	default:
		return false
	}
	return Whole(e)
}

// Whole says whether a fallback is the whole body (XEP-0428).
func Whole(fallback Element) bool {
	body := Child(fallback, NSFallback, "body")
	return body == nil || body.Attr("start") == "" && body.Attr("end") == ""
}
