package ledger

import "context"

// Turn does what Run does at one time.
func (l *Ledger) Turn(ctx context.Context) error {
	if l.State() == (State{}) {
		if err := l.load(ctx); err != nil {
			return err
		}
	}
	if err := l.save(ctx, l.Store.Update); err != nil {
		return err
	}
	l.publish(ctx)
	return nil
}
