package xmpp

import (
	"context"
	"fmt"
	"time"
)

// positionEvery is how often a position in the archive is kept at most.
const positionEvery = time.Second

// position is the one in our archive up to which the Handler received everything. It belongs
// to the Handler's goroutine.
type position struct {
	archive Archive // nil: none is kept
	id      string  // still to be kept; empty for none
	keepAt  time.Time
}

// reached notes that everything was received up to what has that id in the archive; it is
// empty for what is not there.
func (p *position) reached(id string) {
	if p.archive != nil && id != "" {
		p.id = id
	}
}

// whenToKeep returns what tells that there is a position to be kept; nil while there
// is none.
func (p *position) whenToKeep() <-chan time.Time {
	if p.id == "" {
		return nil
	}
	return time.After(time.Until(p.keepAt))
}

// keep keeps the position that was reached, but only now and then: what is read twice is
// dropped by its ciphertext.
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

// keepNow is keep, however short ago that was.
func (p *position) keepNow(ctx context.Context) error {
	p.keepAt = time.Time{}
	return p.keep(ctx)
}
