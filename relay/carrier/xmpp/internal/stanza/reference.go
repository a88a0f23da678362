package stanza

import (
	"strconv"

	"github.com/relaykeep/relaykeep/relay/carrier"
	"github.com/relaykeep/relaykeep/relay/phone"
)

// references reads what a message says about others: the children of a stanza.
func (r *Reading) references(e *Element) (out carrier.References) {
	for _, c := range e.Children {
		switch {
		case c.Is(NSReply, "reply") && out.ReplyTo == "":
			out.ReplyTo = r.idOf(c)
		case c.Is(NSCorrect, "replace") && out.Corrects == "":
			out.Corrects = r.idOf(c)
		case c.Is(NSFallback, "fallback") && c.Attr("for") == NSReply && out.Quote == (carrier.Range{}):
			out.Quote = rangeOf(c.Child(NSFallback, "body"))
		}
	}
	return out
}

// rangeOf reads a part of a body (XEP-0428). A whole body is no quote that a text follows.
func rangeOf(body *Element) carrier.Range {
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

// remarks reads a reaction or a retraction, and says whether the stanza is one: then a body in
// clear only repeats it for clients that do not know it.
func (p Reader) remarks(r *Reading, e *Element, peer phone.Number, when Span) (found bool) {
	if about := reactedTo(e); about != nil {
		found = true
		if id := r.idOf(about); id != "" {
			r.Event(carrier.Reaction{
				ID: r.idOf(e), From: peer, Resource: resource(e), About: id, Emoji: reactions(about), Time: p.sentAt(e, when),
			})
		}
	}
	if about := retracted(e); about != nil {
		found = true
		if id := r.idOf(about); id != "" {
			r.Event(carrier.Retraction{ID: r.idOf(e), From: peer, Resource: resource(e), About: id, Time: p.sentAt(e, when)})
		}
	}
	return found
}

func reactedTo(e *Element) *Element { return e.Child(NSReactions, "reactions") }

// reactions returns the reactions. Those that are too long are left out.
func reactions(e *Element) (out []string) {
	for _, c := range e.Children {
		if !c.Is(NSReactions, "reaction") || c.Text == "" || len(c.Text) > carrier.MaxEmoji {
			continue
		}
		if len(out) == carrier.MaxReactions {
			break
		}
		out = append(out, c.Text)
	}
	return out
}

// retracted returns the element that names a message that is taken back, as clients write it
// today or before 2023; nil when there is none.
func retracted(e *Element) *Element {
	if v1 := e.Child(NSRetract, "retract"); v1 != nil {
		return v1
	}
	for _, c := range e.Children {
		if c.Is(nsFasten, "apply-to") && c.Child(nsRetract0, "retract") != nil {
			return c
		}
	}
	return nil
}

// withReferences adds what a message says about others.
func withReferences(m *Element, a Addresses, to phone.Number, refs carrier.References) {
	if refs.ReplyTo != "" {
		author := to
		if refs.ReplyToOwn {
			author = a.Own
		}
		m.With(New(NSReply, "reply", "to", a.Of(author), "id", refs.ReplyTo))
	}
	if refs.ReplyTo != "" && refs.Quote.End > 0 {
		m.With(New(NSFallback, "fallback", "for", NSReply).With(
			New(NSFallback, "body", "start", strconv.Itoa(refs.Quote.Start), "end", strconv.Itoa(refs.Quote.End))))
	}
	if refs.Corrects != "" {
		m.With(New(NSCorrect, "replace", "id", refs.Corrects))
	}
}

// Reaction renders a reaction's stanza. The server keeps it for a peer that is offline.
func Reaction(a Addresses, r carrier.OutgoingReaction) *Element {
	about := New(NSReactions, "reactions", "id", r.About)
	if r.Emoji != "" {
		about.With(New(NSReactions, "reaction").WithText(r.Emoji))
	}
	return New(NSClient, "message", "to", a.Of(r.To), "type", "chat", "id", r.ID).With(about, New(NSHints, "store"))
}

// Retraction renders a retraction's stanza.
func Retraction(a Addresses, id string, to phone.Number, about string) *Element {
	return New(NSClient, "message", "to", a.Of(to), "type", "chat", "id", id).With(
		New(NSRetract, "retract", "id", about), New(NSHints, "store"))
}
