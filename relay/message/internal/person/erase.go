package person

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"log/slog"
	"time"

	"github.com/relaykeep/relaykeep/relay/carrier"
	"github.com/relaykeep/relaykeep/relay/message/internal/blocklist"
	"github.com/relaykeep/relaykeep/relay/message/internal/record"
	"github.com/relaykeep/relaykeep/relay/phone"
	"github.com/relaykeep/relaykeep/relay/store"
)

// Erase removes everything that is stored about one person: messages in both directions with
// their files and everything that belongs to them, sessions and devices, queued jobs, an
// opt-out, and the entries on the block list and on the carrier's contact list. A file of the business that
// another customer's message names stays. Erase may be called again, and then does what was
// left. A person about whom nothing is stored is no error. When the carrier cannot be reached,
// Erase returns the carrier's error: the relay's part is done then, the carrier's lists are
// not.
func (s *People) Erase(ctx context.Context, n phone.Number) error {
	// If a damaged block list can't be read from the carrier now, eraseThere fails as well.
	_ = s.blocklist.FindBlocked(ctx)
	used, err := s.filesOfOthers(ctx, n)
	if err != nil {
		return fmt.Errorf("erasing a person: %w", err)
	}
	if err := s.eraseMost(ctx, n, used); err != nil {
		return fmt.Errorf("erasing a person: %w", err)
	}
	var id store.CustomerID
	var blocked bool
	err = s.Store.Shrink(ctx, func(tx *store.Tx) (err error) {
		if blocked, err = blocklist.Unlist(tx, n); err != nil {
			return err
		}
		if err = tx.PutOptOut(n, time.Time{}); err != nil {
			return err
		}
		id, err = erase(tx, n, used)
		return err
	})
	if err != nil {
		return fmt.Errorf("erasing a person: %w", err)
	}
	if blocked {
		s.blocklist.BlocklistChanged()
	}
	if id != 0 {
		s.forget(id)
	}
	if blocked || id != 0 {
		s.Log.LogAttrs(ctx, slog.LevelInfo, "erased what was kept of a person")
	}
	if s.Scrub != nil {
		if err := s.Scrub(ctx); err != nil {
			return fmt.Errorf("erasing a person: %w", err)
		}
	}
	return s.eraseThere(ctx, n)
}

// eraseMost removes a person's files and messages step by step, however many there are, since
// a deletion needs room itself until it is done. The files go before the messages that name
// them, so that an erasure finds the rest after it was interrupted.
func (s *People) eraseMost(ctx context.Context, n phone.Number, used *filesInUse) error {
	var id store.CustomerID
	theirs := map[string]bool{} // whether they came from the customer
	err := s.Store.View(ctx, func(tx *store.Tx) (err error) {
		if id, err = tx.CustomerID(n); err != nil { // does not open the row, which may be damaged
			return err
		}
		return filesOf(tx, id, theirs)
	})
	if record.IsNotFound(err) {
		return nil
	}
	if err != nil {
		return err
	}
	for file, came := range theirs {
		err := s.files.RemoveFile(ctx, file, func(tx *store.Tx) (bool, error) { return used.mayGo(tx, id, file, came) })
		if err != nil {
			return err
		}
	}
	for more := true; more; {
		err := s.Store.Shrink(ctx, func(tx *store.Tx) (err error) {
			more, err = tx.EraseSome(id)
			return err
		})
		if err != nil {
			return err
		}
	}
	return nil
}

// filesOf notes which files a customer's messages name, and whether they came from them.
func filesOf(tx *store.Tx, id store.CustomerID, theirs map[string]bool) error {
	_, err := eachFile(tx, id, 0, func(m store.Message, file string) {
		theirs[file] = theirs[file] || m.Direction == store.Inbound
	})
	return err
}

// eraseThere removes a person from the carrier's lists.
func (s *People) eraseThere(ctx context.Context, n phone.Number) error {
	err := s.blocklist.Mirror(ctx)
	s.blocklist.MirrorSoon() // once more: a run that had begun may have used the old list
	if errors.Is(err, carrier.ErrNotFound) {
		err = nil // it keeps no block list
	}
	if s.Forget == nil {
		return err
	}
	return errors.Join(err, s.Forget(ctx, n))
}

// erase removes a customer with their files and returns who it was; zero when there
// is no such customer.
func erase(tx *store.Tx, n phone.Number, used *filesInUse) (store.CustomerID, error) {
	id, err := tx.CustomerID(n) // does not open the row, which goes even if it is damaged
	if record.IsNotFound(err) {
		return 0, nil
	}
	if err != nil {
		return 0, err
	}
	theirs := map[string]bool{} // whether they came from the customer
	if err := filesOf(tx, id, theirs); err != nil {
		return 0, err
	}
	for file, came := range theirs {
		if ok, err := used.mayGo(tx, id, file, came); err != nil {
			return 0, err
		} else if !ok {
			continue
		}
		if _, err := tx.DeleteMedia(file); err != nil {
			return 0, err
		}
	}
	return id, tx.EraseCustomer(id)
}

// filesInUse are the files that are named by the messages written up to a place.
type filesInUse struct {
	files map[string]struct{}
	place int64
}

// look adds the files that are named by messages of other customers written since. Only a new
// message can name a file that exists already.
func (f *filesInUse) look(tx *store.Tx, not store.CustomerID) (err error) {
	f.place, err = eachFile(tx, 0, f.place, func(m store.Message, id string) {
		if m.Customer != not {
			f.files[id] = struct{}{}
		}
	})
	return err
}

// mayGo says whether a file that a customer's messages name may be removed with them.
func (f *filesInUse) mayGo(tx *store.Tx, c store.CustomerID, file string, came bool) (bool, error) {
	if err := f.look(tx, c); err != nil {
		return false, err
	}
	_, needed := f.files[file]
	return came || !needed, nil
}

// filesOfOthers reads which files the messages of everybody but one person name. It runs beside
// the updates and may take long: the caller's update adds what was written meanwhile.
func (s *People) filesOfOthers(ctx context.Context, n phone.Number) (*filesInUse, error) {
	used := &filesInUse{files: map[string]struct{}{}}
	err := s.Store.View(ctx, func(tx *store.Tx) error {
		id, err := tx.CustomerID(n)
		if record.IsNotFound(err) {
			return nil
		}
		if err != nil {
			return err
		}
		return used.look(tx, id)
	})
	return used, err
}

// eachFile calls fn for the files that a customer's messages name, or everybody's if the
// customer is zero, for messages behind the given place. It returns the last place.
func eachFile(tx *store.Tx, c store.CustomerID, after int64, fn func(store.Message, string)) (int64, error) {
	return tx.EachMessage(c, after, func(m store.Message) error {
		if !bytes.Contains(m.Body, []byte(`"media":`)) {
			return nil // as most do
		}
		body, err := record.ContentOf(m)
		if err == nil && body.Media != nil && body.Media.ID != "" {
			fn(m, body.Media.ID)
		}
		return nil
	})
}

// forget drops what memory holds about a customer to save work.
func (s *People) forget(id store.CustomerID) {
	s.outbound.Forget(id)
	s.peers.ForgetDevices(id)
}
