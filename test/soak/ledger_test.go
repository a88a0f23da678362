package soak_test

import (
	"fmt"
	"hash/maphash"
	"strconv"
	"strings"
	"sync"
)

// What happened to one message, as bits of a byte.
const (
	begun     = 1 << iota // its writer wrote it
	taken                 // in: the carrier has it; out: the endpoint answered with its id
	arrived               // in: the webhook got it; out: the customer's client showed it
	sent                  // out: the webhook was told so
	delivered             // out: likewise, delivered or read
)

// window is how many messages may be under way each way.
const window = 1500

// way is the messages of one direction, by number.
type way struct {
	state []uint8
	names []uint64      // hash of the id that each arrived under; 0: it has not arrived
	slots chan struct{} // has one for each message that is under way
	// How many have each of the bits.
	begun, taken, arrived, sent, delivered int
	doubled                                int // arrived again under another id, or were shown again
	again                                  int // webhooks that came again with the same id
}

// ledger counts every message at both ends. Its size is ten bytes a message.
type ledger struct {
	seed maphash.Seed

	mu      sync.Mutex // guards the following fields
	in, out way
	strange map[string]int // what must not happen, by what it is
	retried map[string]int // requests of the business that were made again, by why
	moved   chan struct{}  // closed when something has happened, and replaced
}

func newLedger(each int) *ledger {
	w := func() way {
		return way{state: make([]uint8, each), names: make([]uint64, each), slots: make(chan struct{}, window)}
	}
	return &ledger{
		seed: maphash.MakeSeed(), in: w(), out: w(), strange: map[string]int{}, retried: map[string]int{}, moved: make(chan struct{}),
	}
}

// with changes the ledger and tells those who wait.
func (l *ledger) with(change func()) {
	l.mu.Lock()
	defer l.mu.Unlock()
	change()
	close(l.moved)
	l.moved = make(chan struct{})
}

// await waits until something holds, which is looked at whenever the ledger changes. It returns false
// when stop is closed before.
func (l *ledger) await(stop <-chan struct{}, holds func() bool) bool {
	for {
		l.mu.Lock()
		ok, moved := holds(), l.moved
		l.mu.Unlock()
		if ok {
			return true
		}
		select {
		case <-moved:
		case <-stop:
			return false
		}
	}
}

// wrong notes something that must not happen.
func (l *ledger) wrong(what string) { l.with(func() { l.strange[what]++ }) }

// again notes that a request is made again.
func (l *ledger) again(why string) { l.with(func() { l.retried[why]++ }) }

// room waits until another message may be under way, and counts it as that. It returns false when stop is closed
// before.
func (w *way) room(stop <-chan struct{}) bool {
	select {
	case <-stop:
		return false
	default:
	}
	select {
	case w.slots <- struct{}{}:
		return true
	case <-stop:
		return false
	}
}

func (w *way) begin(n int) { w.mark(n, begun, &w.begun) }

func (w *way) take(n int) { w.mark(n, taken, &w.taken) }

func (w *way) mark(n int, bit uint8, count *int) {
	if w.state[n]&bit == 0 {
		w.state[n] |= bit
		*count++
	}
}

// arrive notes that a message arrived under a name.
func (w *way) arrive(n int, name uint64, repeats bool) {
	switch {
	case w.state[n]&arrived == 0:
		w.names[n] = name
		<-w.slots
	case repeats && w.names[n] == name:
		w.again++
	default:
		w.doubled++
	}
	w.mark(n, arrived, &w.arrived)
}

// lack returns the numbers of messages below n that were written and lack one of some bits, up to 20.
func (w *way) lack(n int, bits uint8) (some []int, count int) {
	for i, s := range w.state[:n] {
		if s&begun != 0 && s&bits != bits {
			count++
			if len(some) < 20 {
				some = append(some, i)
			}
		}
	}
	return some, count
}

// padding is the rest of each text.
const padding = ": your order is on its way, and you can answer here if something is not as it should be."

// text is the text of a message.
func text(n int) string { return strconv.Itoa(n) + padding }

// number returns the number of the message whose text it is.
func (l *ledger) number(s string) (n int, err error) {
	digits, ok := strings.CutSuffix(s, padding)
	if n, err = strconv.Atoi(digits); err != nil || !ok || n < 0 || n >= len(l.in.state) {
		return 0, fmt.Errorf("a text that nobody wrote: %q", s)
	}
	return n, nil
}
