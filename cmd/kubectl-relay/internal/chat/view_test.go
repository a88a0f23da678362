package chat

import (
	"bytes"
	"context"
	"errors"
	"io"
	"strconv"
	"testing"
	"testing/synctest"
	"time"

	"github.com/relaykeep/relaykeep/cmd/kubectl-relay/internal/exit"
	"github.com/relaykeep/relaykeep/relay/customer"
)

func TestViewShowsMessagesAndStatusesApart(t *testing.T) {
	var messages, notes bytes.Buffer
	v := newView(&messages, &notes)
	v.sent("a")
	v.event(customer.Event{Kind: customer.Delivered, ID: "a"})
	v.event(customer.Event{Kind: customer.Read, ID: "b"}) // faster than the server's acknowledgement
	v.event(customer.Event{Kind: customer.Received, Text: "two\nlines\x1b[2J"})
	v.sent("b")
	v.event(customer.Event{Kind: customer.Bounced, ID: "b"})
	v.event(customer.Event{Kind: customer.Received, Text: "new", IdentityChanged: true})
	v.event(customer.Event{Kind: customer.Unreadable})
	v.event(customer.Event{Kind: customer.Plaintext})
	v.event(customer.Event{Kind: customer.Reacted, ID: "a", Text: "👍"})
	v.event(customer.Event{Kind: customer.Reacted, ID: "a"})
	v.event(customer.Event{Kind: customer.Reacted, ID: "unknown", Text: "👍"})
	if got, want := messages.String(), "<- two\n   lines\uFFFD[2J\n<- new\n"; got != want {
		t.Errorf("messages:\n%s\nwant:\n%s", got, want)
	}
	want := `#1 ✓ sent
#1 ✓✓ delivered
#2 ✓ sent
#2 ✓✓ read
#2 ✗ returned undelivered
! the business has a new identity key: compare it with its invitation
! a message could not be decrypted; a new session was offered
! an unencrypted message arrived and is not shown
#1 the business reacts with 👍
#1 the business no longer reacts
`
	if got := notes.String(); got != want {
		t.Errorf("notes:\n%s\nwant:\n%s", got, want)
	}
}

func TestView_StatusesOfUnknownMessagesDoNotPileUp(t *testing.T) {
	v := newView(io.Discard, io.Discard)
	for i := range 100 * maxEarly {
		v.event(customer.Event{Kind: customer.Read, ID: strconv.Itoa(i)})
		v.event(customer.Event{Kind: customer.Read, ID: "one"})
	}
	kept := 0
	for _, kinds := range v.early {
		kept += len(kinds)
	}
	if kept > 2*maxEarly {
		t.Errorf("%d are kept", kept)
	}
}

func TestAwait(t *testing.T) {
	for name, tt := range map[string]struct {
		expect, arrive int
		want           error
		took           time.Duration
	}{
		"all came":                {2, 2, nil, 2 * time.Second},
		"too few":                 {3, 2, exit.ErrNotSeen, time.Minute},
		"nothing expected, waits": {0, 5, nil, time.Minute},
	} {
		t.Run(name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				v := newView(&bytes.Buffer{}, &bytes.Buffer{})
				ctx, cancel := context.WithTimeout(t.Context(), time.Minute)
				defer cancel()
				for i := range tt.arrive {
					time.AfterFunc(time.Duration(i+1)*time.Second, func() { v.event(customer.Event{Kind: customer.Received}) })
				}
				began := time.Now()
				if err := v.await(ctx, tt.expect); !errors.Is(err, tt.want) {
					t.Errorf("error %v, want %v", err, tt.want)
				}
				if took := time.Since(began); took != tt.took {
					t.Errorf("took %s, want %s", took, tt.took)
				}
			})
		})
	}
}
