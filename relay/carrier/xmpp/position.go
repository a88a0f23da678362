package xmpp

import (
	"context"
	"fmt"
	"time"
)

// positionEvery is how often, at most, the position in the archive is stored.
const positionEvery = time.Second

// position is the place in our archive up to which the Handler has received everything. It
// belongs to the Handler's goroutine.
type position struct {
	archive Archive // nil: no position is stored
	id      string  // not stored yet; empty for none
	keepAt  time.Time
}

// reached notes that everything was received up to the message with that id in the archive.
// The id is empty for what is not in it.
func (p *position) reached(id string) {
	if p.archive != nil && id != "" {
		p.id = id
	}
}

// whenToKeep returns a channel that fires when a position is due to be stored; nil while
// there is none.
func (p *position) whenToKeep() <-chan time.Time {
	if p.id == "" {
		return nil
	}
	return time.After(time.Until(p.keepAt))
}

// keep stores the position that was reached, but only now and then: what is read twice is
// recognized by its ciphertext and dropped.
func (p *position) keep(ctx context.Context) error {
	if p.id == "" || time.Now().Before(p.keepAt) {
		return nil
	}
	if err := p.archive.SetPosition(ctx, p.id); err != nil {
		return fmt.Errorf("keeping the position in the archive: %w", err)
	}
	p.id, p.keepAt = "", time.Now().Add(positionEvery)
	return nil
}

// keepNow is keep without the wait.
func (p *position) keepNow(ctx context.Context) error {
	p.keepAt = time.Time{}
	return p.keep(ctx)
}
