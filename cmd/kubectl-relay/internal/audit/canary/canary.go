// Package canary sends a message of a customer who is nobody through a relay, has the business answer, and looks for both and
// for the customer's number wherever they must not be; then it has the customer erased, and looks again. It must not know
// how the relay, the carrier and the cluster are reached, nor how outcomes are shown.
package canary

import (
	"context"
	"crypto/rand"
	"errors"
	"fmt"
	"math/big"
	"strings"
	"time"

	"github.com/relaykeep/relaykeep/cmd/kubectl-relay/internal/audit"
	"github.com/relaykeep/relaykeep/cmd/kubectl-relay/internal/audit/probe"
	"github.com/relaykeep/relaykeep/relay/phone"
)

const (
	// patience is how long a message may take from one end to the other.
	patience = time.Minute
	// often is how often the relay is asked whether it has a message.
	often = 250 * time.Millisecond
	// cleanUp bounds the erasure, also when the audit is interrupted.
	cleanUp = time.Minute
)

// Relay is the business's endpoint. A customer is named by user id.
type Relay interface {
	// Announce announces the canary, and returns its user id.
	Announce(ctx context.Context, n phone.Number) (user string, err error)
	// Holds says whether the relay stores a message to or from a customer with that text.
	Holds(ctx context.Context, user, text string) (bool, error)
	// Say sends a text to a customer.
	Say(ctx context.Context, user, text string) error
	// KeptBack is how many webhooks about the canary are kept back.
	KeptBack(ctx context.Context) (int, error)
	// Erase erases a customer.
	Erase(ctx context.Context, user string) error
	// Stores says whether anything is stored about a customer.
	Stores(ctx context.Context, user string) (bool, error)
	// End erases the canary, if anything is left of it, and ends the announcement.
	End(ctx context.Context) error
}

// Customer is the canary's client at the carrier.
type Customer interface {
	// Say writes to the business.
	Say(ctx context.Context, text string) error
	// Hears waits for a text of the business's.
	Hears(ctx context.Context, text string) error
	// Leave goes offline and removes the account, if the client made it.
	Leave(ctx context.Context) error
}

// Options say how the canary's ends are reached, and what is searched. All but Files and Prepare are required.
type Options struct {
	Namespace, Name string // of the relay
	Number          phone.Number
	Relay           Relay
	// Join brings the canary's client online.
	Join func(ctx context.Context, n phone.Number) (Customer, error)
	// Texts reads what the platform says of the relay.
	Texts func(ctx context.Context) ([]probe.Text, error)
	// Files are searched as well.
	Files []File
	// Witness are texts that the files of a place must have, or else they are not that place's.
	Witness map[audit.Place]string
	// Prepare brings the files up to date. The step is Stored or Erased.
	Prepare func(ctx context.Context, step string) error
	Now     func() time.Time
}

// Steps, for Options.Prepare.
const (
	Stored = "stored" // the canary's messages are stored
	Erased = "erased" // it was erased
)

// code is the country code of canaries; the relay takes no other. The ITU keeps it in reserve.
const code = "+999"

// IsNobodys says whether a number can only be a canary's.
func IsNobodys(n phone.Number) bool { return strings.HasPrefix(n.E164(), code) }

// NewNumber draws a number that is nobody's.
func NewNumber() (phone.Number, error) {
	const twelveDigits = 1_000_000_000_000
	n, err := rand.Int(rand.Reader, big.NewInt(twelveDigits))
	if err != nil {
		return phone.Number{}, fmt.Errorf("drawing a number: %w", err)
	}
	return phone.Parse(fmt.Sprintf("%s%012d", code, n.Int64()))
}

// run is one canary's.
type run struct {
	Options
	said, answered string
	user           string
	customer       Customer
	scan           *search
	steps          map[audit.ID]audit.Outcome
	stored, erased map[audit.Place]look
}

// Run sends a canary. What cannot be done is an outcome, and no error. Whatever happens, it is erased.
func Run(ctx context.Context, o Options) *audit.Canary {
	r := &run{
		Options: o, said: "canary " + rand.Text(), answered: "canary " + rand.Text(), steps: map[audit.ID]audit.Outcome{},
	}
	failed := r.send(ctx)
	if r.user != "" {
		r.erase(context.WithoutCancel(ctx), failed == nil)
	}
	reason := ""
	if failed != nil {
		reason = failed.Error()
	}
	return audit.JudgeCanary(o.Namespace, o.Name, reason, r.steps, r.sightings())
}

// send proves the scanner, has the canary and the business write, and searches for the first time. The error says why nothing
// more was tried.
func (r *run) send(ctx context.Context) (err error) {
	if r.scan, err = newSearch(r.Number, r.said, r.answered); err != nil {
		r.steps[audit.CanaryScanner] = audit.Outcome{State: audit.Broken, Detail: err.Error()}
		return errors.New("the scanner does not find what it looks for")
	}
	r.steps[audit.CanaryScanner] = audit.Outcome{State: audit.Kept, Detail: "each text was found in each encoding, and none where none was"}
	began := r.Now()
	if r.user, err = r.Relay.Announce(ctx, r.Number); err != nil {
		return fmt.Errorf("the canary could not be announced: %w", err)
	}
	if r.customer, err = r.Join(ctx, r.Number); err != nil {
		return fmt.Errorf("the canary could not go to the carrier: %w", err)
	}
	if err := r.talk(ctx); err != nil {
		return fmt.Errorf("the canary's message: %w", err)
	}
	r.steps[audit.CanaryArrival] = audit.Outcome{State: audit.Kept, Detail: "the relay has the canary's message, and the canary the answer"}
	kept, err := r.Relay.KeptBack(ctx)
	switch {
	case err != nil:
		r.steps[audit.CanaryWebhook] = audit.Outcome{State: audit.NotTried, Detail: err.Error()}
	case kept == 0:
		r.steps[audit.CanaryWebhook] = audit.Outcome{State: audit.Broken, Detail: "the relay keeps none back: the business was told of the canary"}
	default:
		r.steps[audit.CanaryWebhook] = audit.Outcome{State: audit.Kept, Detail: fmt.Sprintf("the relay keeps %d back", kept)}
	}
	r.stored = r.look(ctx, Stored, began)
	return nil
}

// talk has each side write to the other.
func (r *run) talk(ctx context.Context) error {
	ctx, cancel := context.WithTimeout(ctx, patience)
	defer cancel()
	if err := r.customer.Say(ctx, r.said); err != nil {
		return err
	}
	if err := until(ctx, "the relay did not get it in time", func() (bool, error) { return r.Relay.Holds(ctx, r.user, r.said) }); err != nil {
		return err
	}
	if err := r.Relay.Say(ctx, r.user, r.answered); err != nil {
		return fmt.Errorf("its answer: %w", err)
	}
	if err := r.customer.Hears(ctx, r.answered); err != nil {
		return fmt.Errorf("its answer: %w", err)
	}
	return nil
}

// until asks until the answer is yes.
func until(ctx context.Context, otherwise string, ask func() (bool, error)) error {
	tick := time.NewTicker(often)
	defer tick.Stop()
	for {
		if yes, err := ask(); err != nil || yes {
			return err
		}
		select {
		case <-ctx.Done():
			return errors.New(otherwise)
		case <-tick.C:
		}
	}
}

// erase has the canary erased, looks whether it is, and searches again.
func (r *run) erase(ctx context.Context, again bool) {
	ctx, cancel := context.WithTimeout(ctx, cleanUp)
	defer cancel()
	began := r.Now()
	var account error
	if r.customer != nil {
		account = r.customer.Leave(ctx)
	}
	err := r.Relay.Erase(ctx, r.user)
	left, asked := r.Relay.Stores(ctx, r.user)
	kept, counted := r.Relay.KeptBack(ctx)
	if again {
		searching, done := context.WithTimeout(context.WithoutCancel(ctx), cleanUp)
		r.erased = r.look(searching, Erased, began)
		done()
	}
	ended := r.Relay.End(ctx)
	remedy := "kubectl relay erase-customer " + r.Name + " " + r.user + " -n " + r.Namespace
	switch failed := errors.Join(err, asked, counted, ended); {
	case failed != nil:
		r.steps[audit.CanaryErasure] = audit.Outcome{State: audit.NotTried, Remedy: remedy, Detail: fmt.Sprintf("the relay erases it by itself within a quarter of an hour: %v", failed)}
	case left || kept > 0:
		r.steps[audit.CanaryErasure] = audit.Outcome{State: audit.Broken, Remedy: remedy, Detail: "the relay stores something about it after its erasure"}
	case account != nil:
		r.steps[audit.CanaryErasure] = audit.Outcome{State: audit.NotTried, Detail: fmt.Sprintf("the relay stores nothing of it, but its account at the carrier stays: %v", account)}
	default:
		r.steps[audit.CanaryErasure] = audit.Outcome{State: audit.Kept, Detail: "the relay stores nothing of it"}
	}
}
