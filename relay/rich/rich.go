// Package rich writes as text what OMEMO has no form for: messages with choices or a link, places, and
// contacts, which it also writes as vCards; and it fills templates. It also reads what customers' clients send instead: a choice by its number or title, a place as a geo URI. It
// is pure. It must not know who sends a message or how.
package rich

import (
	"fmt"
	"strconv"
	"strings"
	"unicode"
)

// Choice is one answer that a message offers.
type Choice struct {
	ID          string `json:"id"`
	Title       string `json:"title"`
	Description string `json:"description,omitempty"`
}

// Section is a group of choices with a title, which may be empty.
type Section struct {
	Title   string
	Choices []Choice
}

// Interactive is a message that offers choices, or leads to web pages and such. All but Body may be empty.
type Interactive struct {
	Header, Body, Footer string
	Sections             []Section
	Links                []Link
}

// Link is a web page, a telephone number or a code, with what it is for.
type Link struct{ Label, Target string }

// Choices are the choices in their order, which is also their numbers' order.
func (i Interactive) Choices() (all []Choice) {
	for _, s := range i.Sections {
		all = append(all, s.Choices...)
	}
	return all
}

// Text is the message as people read it: paragraphs, and a line for each choice with its number and for each link.
func (i Interactive) Text() string {
	paragraphs := []string{i.Header, i.Body}
	number := 0
	for _, s := range i.Sections {
		var lines []string
		if s.Title != "" {
			lines = append(lines, s.Title)
		}
		for _, c := range s.Choices {
			number++
			line := fmt.Sprintf("%d. %s", number, c.Title)
			if c.Description != "" {
				line += " – " + c.Description
			}
			lines = append(lines, line)
		}
		paragraphs = append(paragraphs, strings.Join(lines, "\n"))
	}
	var lines []string
	for _, l := range i.Links {
		lines = append(lines, l.Label+": "+l.Target)
	}
	paragraphs = append(paragraphs, strings.Join(lines, "\n"))
	return joined("\n\n", append(paragraphs, i.Footer)...)
}

// joined joins what is not empty.
func joined(by string, parts ...string) string {
	var some []string
	for _, p := range parts {
		if p != "" {
			some = append(some, p)
		}
	}
	return strings.Join(some, by)
}

// Find returns the choice that a text names: by its title, in which case, white space, and punctuation at
// the ends do not matter unless titles differ in nothing else; by its number, such as "2", "2." or "2)"; or by
// the whole line that Text writes for it. A text that may mean two choices is none.
func Find(choices []Choice, text string) (Choice, bool) {
	titled, named := byTitle(choices, strings.TrimSpace(text))
	numbered, counted := byNumber(choices, text)
	switch {
	case named && counted && titled != numbered:
		return Choice{}, false
	case named:
		return titled, true
	}
	return numbered, counted
}

func byTitle(choices []Choice, text string) (found Choice, ok bool) {
	alike := 0
	for _, c := range choices {
		switch {
		case c.Title == text:
			return c, true
		case bare(text) != "" && same(text, c.Title):
			found = c
			alike++
		}
	}
	return found, alike == 1
}

func byNumber(choices []Choice, text string) (Choice, bool) {
	digits, rest, _ := strings.Cut(strings.TrimSpace(text)+" ", " ")
	n, err := strconv.Atoi(strings.TrimRight(digits, ".)"))
	if err != nil || n < 1 || n > len(choices) {
		return Choice{}, false
	}
	c := choices[n-1]
	if rest = strings.TrimSpace(rest); rest != "" {
		title, _, _ := strings.Cut(rest, " – ")
		if !same(title, c.Title) {
			return Choice{}, false
		}
	}
	return c, true
}

// same says whether two texts are equal but for case, white space, and punctuation at the ends.
func same(a, b string) bool { return strings.EqualFold(bare(a), bare(b)) }

// bare returns a text with single spaces, and without punctuation at its ends.
func bare(text string) string {
	text = strings.Join(strings.Fields(text), " ")
	return strings.TrimFunc(text, func(r rune) bool { return unicode.IsPunct(r) || unicode.IsSpace(r) })
}
