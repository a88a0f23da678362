package stanza

import (
	"errors"
)

// Error is an answer of type error (RFC 6120, 8.3). Its text comes from the other side and is
// not kept.
type Error struct {
	Condition string // "item-not-found" and so on; "undefined-condition" for any that RFC 6120 does not define
	Kind      string // "auth", "cancel", "continue", "modify", "wait"
	Detail    string // the application's condition, here that of pub-sub
}

func (e *Error) Error() string { return "xmpp: answer is the error " + e.Condition }

// isDefined reports whether RFC 6120, 8.3.3 defines the condition: only these reach
// an error's text.
func isDefined(condition string) bool {
	switch condition {
	case "bad-request", "conflict", "feature-not-implemented", "forbidden",
		"gone", "internal-server-error", "item-not-found", "jid-malformed",
		"not-acceptable", "not-allowed", "not-authorized", "policy-violation",
		"recipient-unavailable", "redirect", "registration-required", "remote-server-not-found",
		"remote-server-timeout", "resource-constraint", "service-unavailable", "subscription-required",
		"undefined-condition", "unexpected-request":
		return true
	}
	return false
}

// ParseError reads the error of a stanza of that type.
func ParseError(stanza *Element) *Error {
	out := &Error{Condition: "undefined-condition"}
	e := stanza.Child(NSClient, "error")
	if e == nil {
		return out
	}
	out.Kind = e.Attr("type")
	for _, c := range e.Children {
		switch {
		case c.Name.Space == NSStanzas && isDefined(c.Name.Local):
			out.Condition = c.Name.Local
		case c.Name.Space == nsPSErrors:
			out.Detail = c.Name.Local
		}
	}
	return out
}

// IsCondition reports whether err is an answer with one of these conditions.
func IsCondition(err error, names ...string) bool {
	e := (*Error)(nil)
	if !errors.As(err, &e) {
		return false
	}
	for _, n := range names {
		if e.Condition == n {
			return true
		}
	}
	return false
}
