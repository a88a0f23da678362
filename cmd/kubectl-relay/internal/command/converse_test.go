package command

import (
	"bytes"
	"context"
	"testing"
	"testing/synctest"

	"github.com/relaykeep/relaykeep/relay/carrier"
)

// ending is a link that has ended because its chat does: it is stopped by the time
// that it is asked.
type ending struct {
	carrier.Carrier
	end func()
}

// Status implements carrier.Carrier.
func (e ending) Status() carrier.Status {
	e.end()
	return carrier.Status{State: carrier.Disconnected, Reason: "Stopped"}
}

func TestTheEndOfAChatIsNotToldAsALostLink(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		var notes bytes.Buffer
		ctx, cancel := context.WithCancel(t.Context())
		c := &conversation{link: ending{end: cancel}, view: newChatView(&notes, &notes), online: make(chan struct{})}
		check(t, c.watch(ctx))
		if notes.Len() > 0 {
			t.Errorf("told %q", &notes)
		}
	})
}
