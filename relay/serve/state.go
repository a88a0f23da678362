package serve

import (
	"errors"
	"sync"
	"time"

	"github.com/relaykeep/relaykeep/api/contract"
	"github.com/relaykeep/relaykeep/relay/seal"
	"github.com/relaykeep/relaykeep/relay/store"
	"github.com/relaykeep/relaykeep/relay/vault"
)

// Reasons of the condition KeysReady.
const (
	ReasonKeysReady        = "Ready"
	ReasonStarting         = "Starting"
	ReasonVaultSealed      = "VaultSealed"
	ReasonVaultUnavailable = "VaultUnavailable"
	ReasonVaultDenied      = "VaultDenied"
	ReasonVaultForeign     = "VaultContentUnexpected"
	ReasonKeysErased       = "KeysErased"
	ReasonKeyOverdue       = "KeyOverdue"
	ReasonIdentityMissing  = "IdentityMissing"
	ReasonCounterBack      = "RotationCounterBack"
	ReasonAccessMissing    = "CredentialsMissing"
	ReasonClockSkewed      = "ClockSkewed"
	ReasonStoreTampered    = "StoreTampered"
	ReasonStoreForeign     = "StoreForeign"
	ReasonStoreMissing     = "StoreMissing"
	ReasonStoreLocked      = "StoreLocked"
	ReasonStoreUnusable    = "StoreUnusable"
)

// state is what the process tells of itself.
type state struct {
	mu sync.Mutex // guards the following fields
	// tried says that the keys were tried; failure is why they are not there.
	tried       bool
	failure     error
	opened      bool // the keys and the store are open
	serving     bool // the endpoint listens
	certificate error
	skew        error
	owner       error // that the names are another's now, while the relay runs
	tampered    bool
	running     *parts // nil before the keys are there

	identity    vault.Identity // without its key
	fingerprint string
	oldestKey   time.Time
}

// setKeys notes the outcome of an attempt and says whether it is another than
// before.
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

// setErased notes that the keys are gone for good while the relay runs: it takes
// nothing any more.
func (s *state) setErased() {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.opened, s.failure = false, errErased
}

// setOwner notes whether the relay's names are another's, while it runs, and says
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

func (s *state) setServing(on bool) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.serving = on
}

func (s *state) setParts(p *parts) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.running = p
}

// parts returns what needs the keys, nil before they are there.
func (s *state) parts() *parts {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.running
}

// setCertificate notes why the endpoint has no certificate; nil when it has one.
func (s *state) setCertificate(err error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.certificate = err
}

// ready says whether the relay can take requests, and if not what lacks.
func (s *state) ready() (bool, string) {
	s.mu.Lock()
	defer s.mu.Unlock()
	switch {
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

// keysCondition is KeysReady. Trouble is what Vault's latest answer was.
func (s *state) keysCondition(trouble error) contract.Condition {
	s.mu.Lock()
	defer s.mu.Unlock()
	c := contract.Condition{Type: contract.ConditionKeysReady, Status: contract.False}
	switch {
	case !s.tried && trouble == nil:
		c.Status, c.Reason, c.Message = contract.Unknown, ReasonStarting, "the keys are being fetched from Vault"
	case !s.opened:
		failure := s.failure
		if failure == nil {
			failure = trouble
		}
		c.Reason, c.Message = explain(failure)
		c.Message += "; the relay waits and goes on by itself"
	case trouble != nil:
		c.Reason, c.Message = explain(trouble)
		c.Message += "; the relay goes on with the keys that it has in memory"
	case s.failure != nil:
		c.Reason, c.Message = explain(s.failure)
	case s.owner != nil:
		c.Reason, c.Message = explain(s.owner)
		c.Message += "; the relay goes on with the keys that it has in memory until it restarts"
	case s.skew != nil:
		c.Reason, c.Message = explain(s.skew)
	case s.certificate != nil:
		c.Reason, c.Message = explain(s.certificate)
		c.Message = "the endpoint's certificate: " + c.Message
	case s.tampered:
		c.Status, c.Reason = contract.True, ReasonStoreTampered
		c.Message = "sessions or pre-keys on the volume were put back or taken away while the relay was stopped: it began all sessions anew; find out who may write to the volume"
	default:
		c.Status, c.Reason, c.Message = contract.True, ReasonKeysReady, "identity, credentials and data keys are at hand"
	}
	return c
}

// explanation says for an error what to do.
type explanation struct {
	err             error
	reason, message string
}

// explanations are looked through in this order; the first that matches counts.
func explanations() []explanation {
	return []explanation{
		{errErased, ReasonKeysErased, "the relay's keys were erased in Vault: nothing that it stored is readable; delete this relay, or give it an empty volume and restart it to begin anew"},
		{errKeyMissing, ReasonKeysErased, "the wrapping key of what is stored is gone from Vault: restore Vault from its backup, or erase the relay (kubectl relay erase) and give it an empty volume to begin anew"},
		{errOwnerChanged, ReasonOwnerChanged, "what Vault keeps under this relay's names was first used by another service account or number, and is not opened: if it is the same business, whose account was made again or whose number changed, a Vault admin runs kubectl relay adopt NAME; if it was another business, erase what that left (kubectl relay erase NAME)"},
		{errIdentityMissing, ReasonIdentityMissing, "the identity that this relay had is gone from Vault, and none is made in its place: restore Vault from its backup, or erase the relay (kubectl relay erase) and give it an empty volume to begin anew"},
		{errCounterBack, ReasonCounterBack, "spec.rotation is lower than what was in force already, and what was rotated away does not come back: raise the counters again (the relay's log says to what)"},
		{errAccessMissing, ReasonAccessMissing, "the credentials that were in force are gone from Vault: restore Vault from its backup, or raise spec.rotation.access to have new ones made"},
		{errClock, ReasonClockSkewed, "this node's clock and Vault's are more than five minutes apart: set the clock of the one that is wrong"},
		{vault.ErrSealed, ReasonVaultSealed, "Vault is sealed: unseal it"},
		{vault.ErrUnavailable, ReasonVaultUnavailable, "Vault does not answer: check its address and CA bundle in the DataRegion, and that the network lets the relay through"},
		{vault.ErrDenied, ReasonVaultDenied, "Vault refuses the relay: run kubectl relay setup vault --region with the DataRegion's name, as after each upgrade, and check that its Kubernetes auth can reach the API server"},
		{vault.ErrErased, ReasonKeysErased, "the key of what is stored was destroyed"},
		{vault.ErrForeignContent, ReasonVaultForeign, "Vault holds something under this relay's paths that the relay did not write: remove it, or restore what was there"},
		{vault.ErrNotFound, ReasonVaultForeign, "Vault lacks something that was there: run kubectl relay setup vault"},
		{errCertificate, "CertificateUnreadable", errCertificate.Error()},
		{errOverdue, ReasonKeyOverdue, "the oldest key version is older than the retention allows: see why the CronJob for retention does not run"},
		{store.ErrForeignStore, ReasonStoreForeign, "the volume holds another identity's store: give this relay its own volume back, or an empty one"},
		{store.ErrStoreMissing, ReasonStoreMissing, "the volume is empty though this identity had a store: give the volume back, or raise spec.rotation.identity to begin anew"},
		{store.ErrLocked, ReasonStoreLocked, "another process has the store open: it must stop first"},
		{seal.ErrErased, ReasonKeysErased, "the key of what is stored was destroyed"},
	}
}

// explain words an error for a condition.
func explain(err error) (reason, message string) {
	if err == nil {
		return ReasonKeysReady, ""
	}
	for _, e := range explanations() {
		if errors.Is(err, e.err) {
			return e.reason, e.message
		}
	}
	return ReasonStoreUnusable, "the store cannot be opened: see the relay's log, and check the volume"
}
