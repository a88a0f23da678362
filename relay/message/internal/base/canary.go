package base

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"strings"
	"sync"
	"sync/atomic"
	"time"

	"github.com/relaykeep/relaykeep/relay/message/internal/record"
	"github.com/relaykeep/relaykeep/relay/metering"
	"github.com/relaykeep/relaykeep/relay/phone"
	"github.com/relaykeep/relaykeep/relay/seal"
	"github.com/relaykeep/relaykeep/relay/store"
)

// Errors of Announce and of a Canary that is looked for.
var (
	// ErrCanaryNumber means that a number is not one that only a canary can have.
	ErrCanaryNumber = errors.New("a canary's number begins with +" + canaryCode + ", which is nobody's")
	// ErrCanaryKnown means that the relay stores something about that number.
	ErrCanaryKnown = errors.New("there is a customer with the canary's number")
	// ErrCanaryRunning means that another canary is announced.
	ErrCanaryRunning = errors.New("another canary is announced")
	// ErrNoCanary means that none is announced.
	ErrNoCanary = errors.New("no canary is announced")
)

const (
	// CanaryTime is for how long a canary is announced, unless it is ended before.
	CanaryTime = 15 * time.Minute
	// canaryCode is the country code of canaries' numbers. The ITU keeps it in reserve: nobody has such a number, so that
	// no person's webhooks can be kept back.
	canaryCode = "999"
	// settingCanary is the name of the setting with the canary that is announced.
	settingCanary = "canary"
)

// QueueKept is the queue of webhooks about the canary; nobody works it off.
const QueueKept = "kept-back"

// Canary is a customer who is nobody: their webhooks are kept back, and they are not counted as usage. An audit writes as
// them, to look for what they say where it must not be.
type Canary struct {
	Number phone.Number
	UserID string
	Until  time.Time
}

// canary is the one that is announced, if any.
type canary struct {
	mu sync.Mutex // held while it is announced or ends
	at atomic.Pointer[Canary]
}

// storedCanary is a Canary as it is kept, for the next start of the relay.
type storedCanary struct {
	Number string    `json:"number"`
	User   string    `json:"user"`
	Until  time.Time `json:"until"`
}

// Announce announces a canary, once. It creates the customer's row, so that it has a user id.
func (s *Base) Announce(ctx context.Context, n phone.Number) (Canary, error) {
	if !strings.HasPrefix(n.Digits(), canaryCode) {
		return Canary{}, ErrCanaryNumber
	}
	s.canary.mu.Lock()
	defer s.canary.mu.Unlock()
	if at := s.canary.at.Load(); at != nil {
		if at.Number == n { // the same request again, whose answer was lost
			return *at, nil
		}
		return Canary{}, ErrCanaryRunning
	}
	c := Canary{Number: n, Until: s.Now().Add(CanaryTime).UTC().Truncate(time.Second)}
	s.canary.at.Store(&Canary{Number: c.Number, Until: c.Until}) // before it can write
	err := s.Store.Update(ctx, func(tx *store.Tx) error {
		switch _, err := tx.CustomerID(n); {
		case err == nil:
			return ErrCanaryKnown
		case !record.IsNotFound(err):
			return err
		}
		row := store.Customer{Number: n}
		if err := tx.PutCustomer(&row); err != nil {
			return err
		}
		c.UserID = row.UserID
		kept, err := json.Marshal(storedCanary{n.Digits(), c.UserID, c.Until})
		if err != nil {
			return err
		}
		return tx.PutSetting(settingCanary, kept)
	})
	if err != nil {
		s.canary.at.Store(nil)
		return Canary{}, fmt.Errorf("announcing a canary: %w", err)
	}
	s.canary.at.Store(&Canary{n, c.UserID, c.Until})
	return c, nil
}

// LoadCanary reads which canary was announced before the relay was stopped. One that cannot be read is none any more.
func (s *Base) LoadCanary(ctx context.Context) error {
	var kept []byte
	err := s.Store.View(ctx, func(tx *store.Tx) (err error) {
		kept, err = tx.Setting(settingCanary)
		return err
	})
	if errors.Is(err, seal.ErrTampered) {
		return s.endedCanary(ctx)
	}
	if err != nil || kept == nil {
		return err
	}
	var c storedCanary
	if json.Unmarshal(kept, &c) != nil {
		return s.endedCanary(ctx)
	}
	n, err := phone.Parse("+" + c.Number)
	if err != nil {
		return s.endedCanary(ctx)
	}
	s.canary.at.Store(&Canary{n, c.User, c.Until})
	return nil
}

// Announced returns the canary, and how many webhooks about it are kept back; ErrNoCanary for none.
func (s *Base) Announced(ctx context.Context) (c Canary, kept int64, err error) {
	at := s.canary.at.Load()
	if at == nil {
		return c, 0, ErrNoCanary
	}
	err = s.Store.View(ctx, func(tx *store.Tx) (err error) {
		kept, err = tx.QueueLength(QueueKept)
		return err
	})
	return *at, kept, err
}

// EndCanary erases the canary by erase, and then ends the announcement. It returns ErrNoCanary if there is none.
func (s *Base) EndCanary(ctx context.Context, erase func(context.Context, phone.Number) error) error {
	s.canary.mu.Lock()
	defer s.canary.mu.Unlock()
	at := s.canary.at.Load()
	if at == nil {
		return ErrNoCanary
	}
	if err := erase(ctx, at.Number); err != nil {
		return err
	}
	return s.endedCanary(ctx)
}

func (s *Base) endedCanary(ctx context.Context) error {
	err := s.Store.Shrink(ctx, func(tx *store.Tx) error { return tx.PutSetting(settingCanary, nil) })
	if err != nil {
		return fmt.Errorf("ending a canary: %w", err)
	}
	s.canary.at.Store(nil)
	return nil
}

// IsCanary says whether a customer is the canary.
func (s *Base) IsCanary(tx *store.Tx, c store.CustomerID) (bool, error) {
	at := s.canary.at.Load()
	if at == nil || c == 0 {
		return false, nil
	}
	id, err := tx.CustomerID(at.Number)
	if record.IsNotFound(err) {
		return false, nil
	}
	return id == c, err
}

// Meter counts a message of a customer's as usage, and the file that it brought, of so many bytes; 0 for none.
func (s *Base) Meter(tx *store.Tx, c store.CustomerID, d metering.Direction, at time.Time, stored string, fileBytes int64) error {
	if is, err := s.IsCanary(tx, c); err != nil || is {
		return err
	}
	return record.Meter(tx, at, d, stored, fileBytes)
}
