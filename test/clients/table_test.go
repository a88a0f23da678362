//go:build clients

package clients_test

import (
	"fmt"
	"slices"
	"strings"
	"sync"
)

// works is the outcome that every row should have.
const works = "works"

// row is something that a customer and a business do with each other.
type row string

// The rows of the table.
const (
	businessFirst row = "the business writes first"
	texts         row = "texts, both ways"
	replyIn       row = "reply in"
	replyOut      row = "reply out"
	reactionIn    row = "reaction in"
	correctionIn  row = "correction in"
	fileIn        row = "file in"
	fileOut       row = "file out"
	invitation    row = "invite link"
)

func rows() []row {
	return []row{businessFirst, texts, replyIn, replyOut, reactionIn, correctionIn, fileIn, fileOut, invitation}
}

// table collects outcomes by client and row.
type table struct {
	mu       sync.Mutex
	outcomes map[string]map[row]string
}

func (t *table) note(client string, r row, outcome string) {
	t.mu.Lock()
	defer t.mu.Unlock()
	if t.outcomes == nil {
		t.outcomes = map[string]map[row]string{}
	}
	if t.outcomes[client] == nil {
		t.outcomes[client] = map[row]string{}
	}
	t.outcomes[client][r] = outcome
}

// String is the table in Markdown, with a line for each outcome other than works below.
func (t *table) String() string {
	t.mu.Lock()
	defer t.mu.Unlock()
	var clients []string
	for c := range t.outcomes {
		clients = append(clients, c)
	}
	slices.Sort(clients)
	var b, notes strings.Builder
	fmt.Fprintf(&b, "| | %s |\n|---|%s\n", strings.Join(clients, " | "), strings.Repeat("---|", len(clients)))
	n := 0
	for _, r := range rows() {
		fmt.Fprintf(&b, "| %s |", r)
		for _, c := range clients {
			cell := t.outcomes[c][r]
			switch cell {
			case "":
				cell = "not tested"
			case works:
			default:
				n++
				fmt.Fprintf(&notes, "%d. %s, %s: %s\n", n, c, r, cell)
				cell = fmt.Sprintf("see %d", n)
			}
			fmt.Fprintf(&b, " %s |", cell)
		}
		b.WriteString("\n")
	}
	return b.String() + "\n" + notes.String()
}
