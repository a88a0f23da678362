package main

import (
	"fmt"
	"go/ast"
	"go/parser"
	"go/token"
	"os"
	"regexp"
	"slices"
	"strconv"
	"strings"
)

// condition is a type of condition, with what its constant's comment says of it.
type condition struct{ name, text string }

// readConditions reads the constants Condition… of a Go file, in their order.
func readConditions(path string) ([]condition, error) {
	file, err := parser.ParseFile(token.NewFileSet(), path, nil, parser.ParseComments)
	if err != nil {
		return nil, fmt.Errorf("reading the conditions: %w", err)
	}
	var all []condition
	for _, decl := range file.Decls {
		group, ok := decl.(*ast.GenDecl)
		if !ok || group.Tok != token.CONST {
			continue
		}
		for _, s := range group.Specs {
			spec, ok := s.(*ast.ValueSpec)
			if !ok || !strings.HasPrefix(spec.Names[0].Name, "Condition") {
				continue
			}
			literal, ok := spec.Values[0].(*ast.BasicLit)
			if !ok {
				return nil, fmt.Errorf("%s is no literal", spec.Names[0].Name)
			}
			name, err := strconv.Unquote(literal.Value)
			if err != nil {
				return nil, fmt.Errorf("%s is no string: %w", spec.Names[0].Name, err)
			}
			text := strings.Join(strings.Fields(spec.Doc.Text()), " ")
			text = strings.TrimPrefix(strings.TrimPrefix(text, spec.Names[0].Name), ",")
			all = append(all, condition{name, strings.TrimSpace(text)})
		}
	}
	if len(all) == 0 {
		return nil, fmt.Errorf("%s has no conditions", path)
	}
	return all, nil
}

// reason is a row of the tables that say what to do when a condition is not True.
type reason struct {
	condition string // as the row has it
	reasons   string
	meaning   string
	command   string
}

// of is the end of a condition's name in a row that is about one kind alone, or about a further one.
var of = regexp.MustCompile(`^(.*?)(?: of a ([A-Za-z]+)|, also of a ([A-Za-z]+))?$`)

// applies says whether the row is about a condition of a kind. Without a kind's name a row is about every kind that has the
// condition; of Ready, Reconciling and Stalled, which all have, it is about BusinessRelays.
func (r reason) applies(kind, name string) bool {
	for part := range strings.SplitSeq(r.condition, "; ") {
		m := of.FindStringSubmatch(strings.TrimSuffix(part, " (True)"))
		only, also := m[2], m[3]
		if !slices.Contains(strings.Split(m[1], ", "), name) {
			continue
		}
		switch {
		case only != "":
			if only == kind {
				return true
			}
		case also == kind, kind == "BusinessRelay", !slices.Contains([]string{"Ready", "Reconciling", "Stalled"}, name):
			return true
		}
	}
	return false
}

// readReasons reads the rows of the two tables in operations.md.
func readReasons(path string) ([]reason, error) {
	text, err := os.ReadFile(path)
	if err != nil {
		return nil, fmt.Errorf("reading the reasons: %w", err)
	}
	var rows []reason
	inside := false
	for line := range strings.SplitSeq(string(text), "\n") {
		switch {
		case strings.HasPrefix(line, "| condition | reason |"):
			inside = true
		case !strings.HasPrefix(line, "|"):
			inside = false
		case inside && !strings.HasPrefix(line, "|---"):
			cells := strings.Split(strings.Trim(line, "|"), " | ")
			if len(cells) != 3 && len(cells) != 4 {
				return nil, fmt.Errorf("a row has %d cells: %s", len(cells), line)
			}
			r := reason{condition: strings.TrimSpace(cells[0]), reasons: strings.TrimSpace(cells[1]), meaning: strings.TrimSpace(cells[2])}
			if len(cells) == 4 {
				r.command = strings.TrimSpace(cells[3])
			}
			rows = append(rows, r)
		}
	}
	if len(rows) == 0 {
		return nil, fmt.Errorf("%s has no table of reasons", path)
	}
	return rows, nil
}
