package serve

import (
	"errors"
	"sync"
	"time"

	"github.com/relaykeep/relaykeep/api/contract"
	"github.com/relaykeep/relaykeep/relay/vault"
)

// waitTime is for how long a replica counts as ready although nobody is known to hold the store: connections wait for
// as long, and if no pod were ready, they would be refused.
const waitTime = 20 * time.Second

// state is what the process reports about itself.
type state struct {
	mu sync.Mutex // guards the following fields
	// tried says that the relay tried to get the keys; failure is why it has none.
	tried       bool
	failure     error
	opened      bool      // the keys and the store are open
	serving     bool      // the endpoint listens
	holder      string    // host:port of the replica that connections are passed on to; empty: none
	waits       time.Time // until when connections wait for a replica that holds the store
	certificate error
	skew        error
	owner       error // set when the names belong to another owner now, while the relay runs
	tampered    bool

	identity    vault.Identity // without its key
	fingerprint string
	oldestKey   time.Time
}

// setKeys notes the outcome of an attempt and says whether it changed.
func (s *state) setKeys(err error) (changed bool) {
	s.mu.Lock()
	defer s.mu.Unlock()
	was, _ := explain(s.failure)
	now, _ := explain(err)
	changed = !s.tried || was != now
	s.tried, s.failure, s.opened = true, err, err == nil
	return changed
}

func (s *state) setIdentity(id vault.Identity, fingerprint string) {
	s.mu.Lock()
	defer s.mu.Unlock()
	id.PrivateKey = nil
	s.identity, s.fingerprint = id, fingerprint
}

func (s *state) setOldestKey(t time.Time) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.oldestKey = t
}

// setOverdue notes whether the oldest key should be gone, while the relay runs.
func (s *state) setOverdue(err error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	if errors.Is(s.failure, errErased) {
		return // for good
	}
	s.failure = err
}

// setErased notes that the keys are gone for good while the relay runs: it accepts nothing any
// more.
func (s *state) setErased() {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.opened, s.failure = false, errErased
}

// lasting is why the keys that were opened are of no use any more; nil while they are.
func (s *state) lasting() error {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.failure
}

// setOwner notes whether the relay's names belong to another owner, while it runs, and says
// whether that is new.
func (s *state) setOwner(err error) (changed bool) {
	s.mu.Lock()
	defer s.mu.Unlock()
	changed = (s.owner == nil) != (err == nil)
	s.owner = err
	return changed
}

// setSkew notes whether this node's clock and Vault's are too far apart.
func (s *state) setSkew(err error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.skew = err
}

// setTampered notes that somebody changed the store while the relay was stopped.
func (s *state) setTampered() {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.tampered = true
}

// setHolder notes which other replica holds the store, and says whether that is new.
func (s *state) setHolder(address string) (changed bool) {
	s.mu.Lock()
	defer s.mu.Unlock()
	changed = s.holder != address
	if changed && address == "" {
		s.waits = time.Now().Add(waitTime)
	}
	s.holder = address
	return changed
}

// setWaiting notes that connections wait for another replica from now on: this one gives the store up.
func (s *state) setWaiting() {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.waits = time.Now().Add(waitTime)
}

func (s *state) setServing(on bool) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.serving = on
}

// setCertificate notes why the endpoint has no certificate; nil when it has one.
func (s *state) setCertificate(err error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.certificate = err
}

// ready says whether the relay can take requests, and if not what is missing.
func (s *state) ready() (bool, string) {
	s.mu.Lock()
	defer s.mu.Unlock()
	switch {
	case s.holder != "":
		return true, "standing by"
	case !s.serving && time.Now().Before(s.waits):
		return true, "connections wait for a replica that holds the store"
	case !s.opened:
		reason, _ := explain(s.failure)
		if !s.tried {
			reason = ReasonStarting
		}
		return false, "keys: " + reason
	case !s.serving:
		return false, "endpoint: not up yet"
	}
	return true, "ready"
}

// keysCondition is KeysReady. Trouble is why Vault's latest answer was not good; nil if it was.
func (s *state) keysCondition(trouble error) contract.Condition {
	s.mu.Lock()
	defer s.mu.Unlock()
	c := contract.Condition{Type: contract.ConditionKeysReady, Status: contract.False}
	switch {
	case s.holder != "":
		c.Status, c.Reason, c.Message = contract.True, ReasonStandingBy, "another replica holds the store; this one passes connections on to it, and takes over when it ends"
	case !s.tried && trouble == nil:
		c.Status, c.Reason, c.Message = contract.Unknown, ReasonStarting, "the keys are being fetched from Vault"
	case !s.opened:
		failure := s.failure
		if failure == nil {
			failure = trouble
		}
		c.Reason, c.Message = explain(failure)
		c.Message += "; the relay waits and continues automatically"
	case trouble != nil:
		c.Reason, c.Message = explain(trouble)
		c.Message += "; the relay continues with the keys that it has in memory"
	case s.failure != nil:
		c.Reason, c.Message = explain(s.failure)
	case s.owner != nil:
		c.Reason, c.Message = explain(s.owner)
		c.Message += "; the relay continues with the keys that it has in memory until it restarts"
	case s.skew != nil:
		c.Reason, c.Message = explain(s.skew)
	case s.certificate != nil:
		c.Reason, c.Message = explain(s.certificate)
		c.Message = "the endpoint's certificate: " + c.Message
	case s.tampered:
		c.Status, c.Reason = contract.True, ReasonStoreTampered
		c.Message = "sessions or pre-keys on the volume were put back or removed while the relay was stopped: it reset all sessions; find out who may write to the volume"
	default:
		c.Status, c.Reason, c.Message = contract.True, ReasonKeysReady, "identity, credentials and data keys are loaded"
	}
	return c
}
