package chat

import (
	"context"
	"fmt"
	"io"
	"strings"
	"sync"

	"github.com/relaykeep/relaykeep/cmd/kubectl-relay/internal/exit"
	"github.com/relaykeep/relaykeep/cmd/kubectl-relay/internal/printable"
	"github.com/relaykeep/relaykeep/relay/customer"
	"github.com/relaykeep/relaykeep/relay/media"
)

// maxEarly is how many statuses are remembered for messages that are not ours, or not yet
// numbered: a peer may invent any number of them.
const maxEarly = 256

// view shows a chat: messages on one writer, everything else on another.
// Its methods are safe for concurrent use.
type view struct {
	messages, notes io.Writer
	interactive     bool // the output is a terminal

	mu       sync.Mutex     // guards the following fields and keeps lines whole
	numbers  map[string]int // ordinals of our messages by id
	early    map[string][]customer.EventKind
	received int
	arrived  chan struct{} // closed and replaced with each message
}

func newView(messages, notes io.Writer) *view {
	return &view{
		messages: messages, notes: notes,
		numbers: map[string]int{}, early: map[string][]customer.EventKind{}, arrived: make(chan struct{}),
	}
}

// notef reports something about the chat itself.
func (v *view) notef(format string, a ...any) {
	v.mu.Lock()
	defer v.mu.Unlock()
	v.noteLockedf(format, a...)
}

func (v *view) noteLockedf(format string, a ...any) {
	fmt.Fprintln(v.notes, printable.Text(fmt.Sprintf(format, a...)))
}

// sent shows that the server has our message, and statuses that arrived before.
func (v *view) sent(id string) {
	v.mu.Lock()
	defer v.mu.Unlock()
	v.numbers[id] = len(v.numbers) + 1
	v.noteLockedf("#%d ✓ sent", v.numbers[id])
	for _, kind := range v.early[id] {
		v.status(id, kind)
	}
	delete(v.early, id)
}

// event shows an event of the conversation.
func (v *view) event(e customer.Event) {
	v.mu.Lock()
	defer v.mu.Unlock()
	switch e.Kind {
	case customer.Received:
		if e.IdentityChanged {
			v.noteLockedf("! the business has a new identity key: compare it with its invitation")
		}
		fmt.Fprintln(v.messages, received(e.Text))
		v.received++
		close(v.arrived)
		v.arrived = make(chan struct{})
	case customer.Unreadable:
		v.noteLockedf("! a message could not be decrypted; a new session was offered")
	case customer.Plaintext:
		v.noteLockedf("! an unencrypted message arrived and is not shown")
	case customer.Typing:
		if v.interactive {
			v.noteLockedf("… the business is typing")
		}
	case customer.Reacted:
		v.reacted(e)
	default:
		v.status(e.ID, e.Kind)
	}
}

// reacted shows a reaction to one of our messages.
func (v *view) reacted(e customer.Event) {
	n, ok := v.numbers[e.ID]
	switch {
	case !ok: // sent before this start
	case e.Text == "":
		v.noteLockedf("#%d the business no longer reacts", n)
	default:
		v.noteLockedf("#%d the business reacts with %s", n, printable.Text(e.Text))
	}
}

// received returns how a message is shown. A file has its own mark, so that no text
// looks like one; its link contains its key and is not shown.
func received(text string) string {
	var lines []string
	for _, p := range media.Split(text) {
		if link, err := media.ParseFileURL(p.URL); err == nil {
			lines = append(lines, "<+ "+printable.Text(customer.FileName(link)))
		}
		if p.Text != "" || p.URL == "" {
			lines = append(lines, "<- "+printable.Indented(printable.Text(p.Text), "   "))
		}
	}
	return strings.Join(lines, "\n")
}

// status shows a status of one of our messages. One for a message without a number yet is
// kept: it arrived before the server's acknowledgement.
func (v *view) status(id string, kind customer.EventKind) {
	n, ok := v.numbers[id]
	if !ok {
		if len(v.early) >= maxEarly || len(v.early[id]) >= maxEarly {
			clear(v.early)
		}
		v.early[id] = append(v.early[id], kind)
		return
	}
	switch kind {
	case customer.Delivered:
		v.noteLockedf("#%d ✓✓ delivered", n)
	case customer.Read:
		v.noteLockedf("#%d ✓✓ read", n)
	case customer.Bounced:
		v.noteLockedf("#%d ✗ returned undelivered", n)
	default: // not about one of our messages
	}
}

// await waits until n messages have arrived, or with n = 0 until ctx ends.
func (v *view) await(ctx context.Context, n int) error {
	for {
		v.mu.Lock()
		received, arrived := v.received, v.arrived
		v.mu.Unlock()
		if n > 0 && received >= n {
			return nil
		}
		select {
		case <-arrived:
		case <-ctx.Done():
			if n == 0 {
				return nil
			}
			return fmt.Errorf("%w: %d of %d", exit.ErrNotSeen, received, n)
		}
	}
}
