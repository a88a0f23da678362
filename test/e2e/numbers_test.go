//go:build e2e

package e2e

import (
	"fmt"
	"math/rand/v2"
	"sync"
	"testing"
)

// numbers are telephone numbers of a range that is set aside for fiction. Each is drawn once in a run, since its account at
// the carrier stays; in which order is chance, since an environment that stays has the accounts of former runs.
type numbers struct {
	format string
	mu     sync.Mutex // guards the following field
	left   []int
}

func newNumbers(format string, count int) *numbers {
	return &numbers{format: format, left: rand.Perm(count)}
}

func (n *numbers) draw(t *testing.T) string {
	t.Helper()
	n.mu.Lock()
	defer n.mu.Unlock()
	if len(n.left) == 0 {
		t.Fatalf("no number of %s is left", n.format)
	}
	drawn := n.left[0]
	n.left = n.left[1:]
	return fmt.Sprintf(n.format, drawn)
}

// What the tests draw from: numbers of businesses that a test hosts for itself, and of people who write to them.
var (
	guestNumbers  = newNumbers("+4930231259%02d", 100)
	personNumbers = newNumbers("+498999998%03d", 1000)
)

func guestNumber(t *testing.T) string  { t.Helper(); return guestNumbers.draw(t) }
func personNumber(t *testing.T) string { t.Helper(); return personNumbers.draw(t) }
