package rich

import (
	"fmt"
	"strings"
	"unicode"
	"unicode/utf8"
)

// Contact is a person or a business to reach. All but Name may be empty.
type Contact struct {
	Name                                 string // as it is shown
	First, Middle, Last, Prefix, Suffix  string
	Company, Department, Title, Birthday string // Birthday is YYYY-MM-DD
	Phones, Emails, Links                []Labelled
	Addresses                            []Address
}

// Labelled is one of several values of a kind, such as a phone number, and which one it is, such as
// "WORK"; the label may be empty.
type Labelled struct{ Value, Label string }

// Address is a postal address.
type Address struct{ Street, City, State, Code, Country, Label string }

// ContactsText is contacts as people read them: for each its name and how to reach it, a line each. It has
// at most so many characters; in place of what does not fit stands how many contacts are missing.
func ContactsText(contacts []Contact, most int) string {
	const rest = len("\n\n… +") + 20 // bytes that the note on the others may take
	var all string
	for i, c := range contacts {
		text := joined("\n\n", all, c.text())
		left := len(contacts) - i
		switch {
		case utf8.RuneCountInString(text) <= most && (left == 1 || utf8.RuneCountInString(text)+rest <= most):
			all = text
		case i > 0:
			return fmt.Sprintf("%s\n\n… +%d", all, left)
		case left == 1:
			return string([]rune(text)[:most-1]) + "…"
		default:
			runes := []rune(text)
			return fmt.Sprintf("%s…\n\n… +%d", string(runes[:min(len(runes), most-rest-1)]), left-1)
		}
	}
	return all
}

func (c Contact) text() string {
	lines := []string{c.Name, joined(", ", c.Title, c.Department, c.Company)}
	for _, some := range [][]Labelled{c.Phones, c.Emails} {
		for _, l := range some {
			lines = append(lines, l.text())
		}
	}
	for _, a := range c.Addresses {
		lines = append(lines, Labelled{joined(", ", a.Street, a.City, joined(" ", a.State, a.Code), a.Country), a.Label}.text())
	}
	for _, l := range c.Links {
		lines = append(lines, l.text())
	}
	return joined("\n", lines...)
}

func (l Labelled) text() string {
	if l.Label == "" || l.Value == "" {
		return l.Value
	}
	return l.Value + " (" + l.Label + ")"
}

// VCards returns contacts as a file of vCards 3.0 (RFC 2426), the version that most address books read. The
// libraries for it neither fold long lines nor escape semicolons, so one field could pass for several.
func VCards(contacts []Contact) []byte {
	var file vcards
	for _, c := range contacts {
		file.card(c)
	}
	return file
}

// vcards is a file of vCards in the making.
type vcards []byte

func (f *vcards) card(c Contact) {
	f.line("BEGIN", "", "VCARD")
	f.line("VERSION", "", "3.0")
	f.line("FN", "", c.Name)
	if c.First+c.Middle+c.Last+c.Prefix+c.Suffix == "" {
		c.Last = c.Name // the property is required
	}
	f.line("N", "", c.Last, c.First, c.Middle, c.Prefix, c.Suffix)
	if c.Company+c.Department != "" {
		f.line("ORG", "", c.Company, c.Department)
	}
	f.some("TITLE", "", c.Title)
	for _, p := range c.Phones {
		f.some("TEL", p.Label, p.Value)
	}
	for _, e := range c.Emails {
		f.some("EMAIL", e.Label, e.Value)
	}
	for _, a := range c.Addresses {
		if a.Street+a.City+a.State+a.Code+a.Country != "" {
			f.line("ADR", a.Label, "", "", a.Street, a.City, a.State, a.Code, a.Country)
		}
	}
	for _, l := range c.Links {
		if uri := strings.ReplaceAll(plain(l.Value), "\n", ""); uri != "" {
			f.write("URL", l.Label, uri) // a URI is not escaped
		}
	}
	f.some("BDAY", "", c.Birthday)
	f.line("END", "", "VCARD")
}

// some writes a property that has a value.
func (f *vcards) some(property, label, value string) {
	if value != "" {
		f.line(property, label, value)
	}
}

// maxLine is how long a line may be, in bytes without its end (RFC 2426, section 2.6).
const maxLine = 75

// line writes a property with the parts of its value.
func (f *vcards) line(property, label string, parts ...string) {
	escape := strings.NewReplacer(`\`, `\\`, "\n", `\n`, ",", `\,`, ";", `\;`)
	for i, p := range parts {
		parts[i] = escape.Replace(plain(p))
	}
	f.write(property, label, strings.Join(parts, ";"))
}

// write writes a property in lines of at most maxLine bytes.
func (f *vcards) write(property, label, value string) {
	if label = token(label); label != "" {
		property += ";TYPE=" + label
	}
	length := 0
	for _, r := range property + ":" + value {
		if length+utf8.RuneLen(r) > maxLine {
			*f = append(*f, "\r\n "...)
			length = 1
		}
		*f = utf8.AppendRune(*f, r)
		length += utf8.RuneLen(r)
	}
	*f = append(*f, "\r\n"...)
}

// plain returns a value without control characters but line feeds.
func plain(value string) string {
	value = strings.ReplaceAll(value, "\r\n", "\n")
	return strings.Map(func(r rune) rune {
		if unicode.IsControl(r) && r != '\n' {
			return -1
		}
		return r
	}, strings.ToValidUTF8(value, "\ufffd"))
}

// token returns a label if it can be a parameter, else nothing.
func token(label string) string {
	for _, r := range label {
		if r != '-' && (r > unicode.MaxASCII || !unicode.IsLetter(r) && !unicode.IsDigit(r)) {
			return ""
		}
	}
	return label
}
