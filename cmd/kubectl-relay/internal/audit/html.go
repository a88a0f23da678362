package audit

import (
	_ "embed"
	"fmt"
	"html/template"
	"io"
	"regexp"
	"strings"
	"time"
)

// link is one in Markdown, in which the catalogue is written.
var link = regexp.MustCompile(`\[([^]]*)\]\([^)]*\)`)

//go:embed page.html
var page string

// HTML writes a report as one page that needs nothing else: no script, no font and no picture from elsewhere.
func HTML(out io.Writer, r *Report) error {
	t, err := template.New("page").Funcs(template.FuncMap{
		"rows": Rows, "columns": Columns, "catalogue": Catalogue, "places": Places, "canaryRows": CanaryRows, "canaryCatalogue": CanaryCatalogue,
		"cell":      func(t *Relay, d Data, p Party) Cell { return t.Cell(d, p) },
		"sighting":  func(c *Canary, d Data, p Place) Sighting { return c.Sighting(d, p) },
		"receivers": r.InCommon,
		"findings":  func(state string) []Finding { return r.Findings(State(state)) },
		"class":     func(s State) string { return strings.ReplaceAll(string(s), " ", "-") },
		"sign":      sign,
		"time":      func(t time.Time) string { return t.UTC().Format("2 January 2006, 15:04 UTC") },
		"verdict":   func() string { return strings.TrimSpace(Verdict(r)) },
		"anchor":    func(t *Relay) string { return "relay-" + t.Namespace + "-" + t.Name },
		"join":      func(list []string) string { return strings.Join(list, "; ") },
		"reason":    reason,
		"plain": func(markdown string) string {
			return link.ReplaceAllString(strings.ReplaceAll(markdown, "`", ""), "$1")
		},
	}).Parse(page)
	if err != nil {
		return fmt.Errorf("reading the page: %w", err)
	}
	if err := t.Execute(out, r); err != nil {
		return fmt.Errorf("writing the page: %w", err)
	}
	return nil
}

// sign is a state as one character, for who prints without colour or does not tell colours apart.
func sign(s State) string {
	switch s {
	case Broken:
		return "✗"
	case NotTried:
		return "?"
	case ByDesign:
		return "○"
	case Kept:
	}
	return "✓"
}

// reason says which checks made a cell what it is, or why the party may see the data.
func reason(t *Relay, c Cell) string {
	if c.State == Kept || c.Why != "" && c.State == ByDesign {
		return c.Why
	}
	var of []string
	for _, id := range c.Checks {
		if t.Check(id).State == c.State {
			of = append(of, string(id))
		}
	}
	return strings.Join(of, ", ")
}
