package phone

import (
	"errors"
	"strings"
	"unicode"
	"unicode/utf8"
)

// MaxName is the longest name that may stand for a number, in bytes.
const MaxName = 255

// ErrName says that a text cannot stand for a number.
var ErrName = errors.New("not a carrier's name for somebody without a number: it must be a lower-case local part of an address that is no number, at most 255 bytes")

// ParseName reads the name by which a carrier knows somebody who has no number: the local part of an
// address, in the form in which servers write it. Whatever could be taken for a number is refused, so that
// nobody can choose an address that looks like another person's number.
func ParseName(s string) (Number, error) {
	if s == "" || len(s) > MaxName || !utf8.ValidString(s) || strings.ToLower(s) != s || strings.ContainsFunc(s, unnameable) {
		return Number{}, ErrName
	}
	if _, err := ParseLoose(s); !errors.Is(err, ErrInvalid) || !strings.ContainsFunc(s, unicode.IsLetter) {
		return Number{}, ErrName
	}
	return Number{name: s}, nil
}

// unnameable says whether a character cannot be part of a local part (RFC 7622, 3.3), or is not shown.
func unnameable(r rune) bool {
	return !unicode.IsPrint(r) || r == ' ' || strings.ContainsRune(`"&'/:<>@`, r)
}

// HasDigits says whether n is a telephone number, and not a name in place of one.
func (n Number) HasDigits() bool { return n.digits != "" }

// Local is the local part of the address at the carrier: the number with its plus sign, or the name.
func (n Number) Local() string {
	if n.name != "" {
		return n.name
	}
	return n.E164()
}

// Key tells n from every other, for lookups and hashes: the digits of a number, or the name behind an at
// sign.
func (n Number) Key() string {
	if n.name != "" {
		return "@" + n.name
	}
	return n.digits
}

// ParseLocal reads the local part of an address: a number in E.164 form, or a name.
func ParseLocal(s string) (Number, error) {
	if n, err := Parse(s); err == nil {
		return n, nil
	}
	return ParseName(s)
}

// ParseKey reads what Key returned.
func ParseKey(s string) (Number, error) {
	if name, ok := strings.CutPrefix(s, "@"); ok {
		return ParseName(name)
	}
	return Parse("+" + s)
}
