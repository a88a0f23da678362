// Package phone holds the one type for a customer's or a business's telephone number, or the name of
// a customer who has none. It knows E.164, countries, and how to keep a number out of logs. It knows nothing about carriers, stores or the HTTP
// interface.
package phone

import (
	"errors"
	"fmt"
	"log/slog"
	"strings"
	"unicode"
)

// MaxDigits is the longest number that ITU-T E.164 allows, country code included.
const MaxDigits = 15

// MinDigits is the shortest number accepted here: a country code and a
// subscriber number of some length.
const MinDigits = 7

// ErrInvalid says that a text is not a telephone number in E.164 form.
var ErrInvalid = errors.New("not an E.164 number: write a plus sign, the country code and the subscriber number, 7 to 15 digits in all")

// Number is how a carrier knows a person: a telephone number, or, of who has none, a name. The
// zero Number is nobody's. It prints as "[number]" so that it never reaches a log, an event or an
// error by accident; E164, Digits, Local and Key reveal it to code that must have it.
type Number struct {
	digits string
	name   string // empty unless digits is
}

// Parse reads a number in E.164 form: a plus sign and 7 to 15 digits, the first
// not zero.
func Parse(s string) (Number, error) {
	digits, plus := strings.CutPrefix(s, "+")
	if !plus || !valid(digits) {
		return Number{}, ErrInvalid
	}
	return Number{digits: digits}, nil
}

// ErrTrunkZero says that a number has a zero in parentheses, as in "+49 (0)170". Most countries
// dial it only within the country, some always: with it or without it, the number may be another
// person's.
var ErrTrunkZero = errors.New("a zero in parentheses is ambiguous: write the number as it is dialled from abroad, without parentheses")

// ParseLoose reads a number as people write and paste it into clients of the Cloud API: the plus
// sign is optional, and spaces, dashes, dots, parentheses and characters that only steer how text
// is shown are ignored. Anything else is refused, with ErrInvalid or ErrTrunkZero. The country
// code is always expected.
func ParseLoose(s string) (Number, error) {
	if len(s) > maxLoose {
		return Number{}, ErrInvalid
	}
	written := strings.TrimPrefix(strings.Map(visible, s), "+")
	if strings.Contains(written, "(0") {
		return Number{}, ErrTrunkZero
	}
	digits := strings.Map(func(r rune) rune {
		if r == '(' || r == ')' {
			return -1
		}
		return r
	}, written)
	if !valid(digits) {
		return Number{}, ErrInvalid
	}
	return Number{digits: digits}, nil
}

// maxLoose is the longest text that may be a number, in bytes: each digit may have company.
const maxLoose = 8 * MaxDigits

// visible drops what only separates digits: spaces of all widths, dashes, dots, and marks such as
// the direction marks that are copied along with a number.
func visible(r rune) rune {
	if r >= '0' && r <= '9' { // as most are
		return r
	}
	if r == '.' || r == '\u2212' || unicode.In(r, unicode.White_Space, unicode.Pd, unicode.Cf) { // U+2212 is the minus sign
		return -1
	}
	return r
}

func valid(digits string) bool {
	if len(digits) < MinDigits || len(digits) > MaxDigits || digits[0] == '0' {
		return false
	}
	for i := range len(digits) {
		if digits[i] < '0' || digits[i] > '9' {
			return false
		}
	}
	return true
}

// E164 returns the number with its plus sign; empty for who has none.
func (n Number) E164() string {
	if n.digits == "" {
		return ""
	}
	return "+" + n.digits
}

// Digits returns the number without its plus sign, as the Cloud API's wa_id; empty for who has none.
func (n Number) Digits() string { return n.digits }

// IsZero reports whether n is nobody's.
func (n Number) IsZero() bool { return n == Number{} }

// Format implements fmt.Formatter for every verb: a number is never printed.
func (n Number) Format(f fmt.State, _ rune) { _, _ = f.Write([]byte("[number]")) }

// LogValue implements slog.LogValuer: a number is never logged.
func (n Number) LogValue() slog.Value { return slog.StringValue("[number]") }

// ErrNotMarshalled says that a Number was passed to an encoder by accident.
var ErrNotMarshalled = errors.New("a telephone number is not encoded implicitly: use E164 or Digits")

// MarshalJSON implements json.Marshaler by refusing: code that writes a number must do so with
// E164 or Digits.
func (n Number) MarshalJSON() ([]byte, error) { return nil, ErrNotMarshalled }
