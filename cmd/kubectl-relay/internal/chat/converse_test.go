package chat

import (
	"bytes"
	"context"
	"io"
	"testing"
	"testing/synctest"
	"time"

	"github.com/relaykeep/relaykeep/relay/carrier"
)

// asked is a link in a state that a function says.
type asked struct {
	carrier.Carrier
	state func() carrier.Status
}

// Status implements carrier.Carrier.
func (a asked) Status() carrier.Status { return a.state() }

func TestChat_EndIsNotShownAsALostLink(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		var notes bytes.Buffer
		ctx, cancel := context.WithCancel(t.Context())
		link := asked{state: func() carrier.Status {
			cancel() // it is stopped by the time that it is asked
			return carrier.Status{State: carrier.Disconnected, Reason: "Stopped"}
		}}
		c := &conversation{link: link, view: newView(&notes, &notes), online: make(chan struct{})}
		if err := c.watch(ctx); err != nil {
			t.Fatal(err)
		}
		if notes.Len() > 0 {
			t.Errorf("told %q", &notes)
		}
	})
}

func TestChat_OnlineChecksItsLinkRarely(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		const looks = 100
		ctx, cancel := context.WithCancel(t.Context())
		looked := 0
		link := asked{state: func() carrier.Status {
			if looked++; looked == looks {
				cancel()
			}
			return carrier.Status{State: carrier.Online}
		}}
		c := &conversation{link: link, view: newView(io.Discard, io.Discard), online: make(chan struct{})}
		close(c.online)
		began := time.Now()
		if err := c.watch(ctx); err != nil {
			t.Fatal(err)
		}
		if took := time.Since(began); took < (looks-2)*statusEvery {
			t.Errorf("looked %d times within %s", looked, took)
		}
	})
}
