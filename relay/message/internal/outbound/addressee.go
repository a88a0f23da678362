package outbound

import (
	"context"
	"errors"
	"time"

	"github.com/relaykeep/relaykeep/relay/message/internal/record"
	"github.com/relaykeep/relaykeep/relay/phone"
	"github.com/relaykeep/relaykeep/relay/seal"
	"github.com/relaykeep/relaykeep/relay/store"
)

// settingConduct is what a restart must not forget of the business's conduct.
const settingConduct = "conduct"

// addressee is the customer whom a message is being accepted for.
type addressee struct {
	*Outbound
	marketing bool
	first     bool // they are a stranger, and count as written to
}

// ErrOptedOut means that the recipient asked the business to stop.
var ErrOptedOut = errors.New("the recipient opted out")

// openFor is for how long after a customer wrote they can be answered though they opted out before.
const openFor = 24 * time.Hour

// optedOut returns ErrOptedOut if the customer stopped such messages.
func (a *addressee) optedOut(tx *store.Tx, n phone.Number, c store.Customer) error {
	if a.OptOut == nil || a.OptOut.MarketingOnly && !a.marketing {
		return nil
	}
	at, err := tx.OptedOut(n)
	if err != nil || at.IsZero() {
		return err
	}
	if !a.marketing && c.LastInbound.After(at) && a.Now().Sub(c.LastInbound) < openFor {
		return nil // an answer
	}
	return ErrOptedOut
}

// find finds the customer or makes one, if the business may write to them now. The error may be a
// *conduct.LimitError or ErrOptedOut.
func (a *addressee) find(tx *store.Tx, n phone.Number) (store.Customer, error) {
	a.undo() // of a transaction that ran before
	c, err := tx.Customer(n)
	stranger := record.IsNotFound(err)
	if err != nil && !stranger && !errors.Is(err, seal.ErrTampered) {
		return c, err
	}
	if err := a.optedOut(tx, n, c); err != nil {
		return c, err
	}
	// Of a damaged row it is not known whether they wrote: a message is not refused for that.
	wrote := !c.LastInbound.IsZero() || err != nil && !stranger
	keep, refused := a.Conduct.Contact(a.Now(), n.Key(), stranger, wrote)
	if refused != nil {
		return c, refused
	}
	a.first = stranger
	if keep != nil {
		if err := tx.PutSetting(settingConduct, keep); err != nil {
			return c, err
		}
	}
	if err != nil {
		return a.Customer(tx, n)
	}
	return c, nil
}

// undo takes back what counted for a message that is not accepted after all.
func (a *addressee) undo() {
	if a.first {
		a.Conduct.Undo(a.Now())
		a.first = false
	}
}

// KeepConduct keeps what changed of the business's conduct; last says that no message is accepted any more.
func (s *Outbound) KeepConduct(ctx context.Context, last bool) error {
	err := s.Store.UpdateLate(ctx, func(tx *store.Tx) error {
		keep := s.Conduct.Save(s.Now(), last)
		if keep == nil {
			return record.ErrNoNews
		}
		return tx.PutSetting(settingConduct, keep)
	})
	if errors.Is(err, record.ErrNoNews) {
		return nil
	}
	if err != nil {
		s.Conduct.Unsaved()
	}
	return err
}

// KeptConduct returns what KeepConduct kept; nil if nothing was.
func KeptConduct(tx *store.Tx) ([]byte, error) { return tx.Setting(settingConduct) }
