package serve

import (
	"errors"

	"github.com/relaykeep/relaykeep/relay/parcel"
	"github.com/relaykeep/relaykeep/relay/seal"
	"github.com/relaykeep/relaykeep/relay/store"
	"github.com/relaykeep/relaykeep/relay/vault"
)

// Reasons of the condition KeysReady.
const (
	ReasonKeysReady        = "Ready"
	ReasonStarting         = "Starting"
	ReasonStandingBy       = "StandingBy" // another replica holds the store
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
	ReasonDeparting        = "Departing"
	ReasonArriving         = "Arriving"
	ReasonArrived          = "Arrived"
)

// ReasonOwnerChanged is the reason of KeysReady while another owner's things are in Vault under
// the relay's names.
const ReasonOwnerChanged = "OwnerChanged"

// explanation says what to do about an error.
type explanation struct {
	err             error
	reason, message string
}

// explanations are tried in this order; the first match counts.
func explanations() []explanation {
	return []explanation{
		{errErased, ReasonKeysErased, "the relay's keys were erased in Vault: nothing that it stored is readable; delete this relay, or give it an empty volume and restart it to start over"},
		{errKeyMissing, ReasonKeysErased, "the wrapping key of what is stored is gone from Vault: restore Vault from its backup, or erase the relay (kubectl relay erase) and give it an empty volume to start over"},
		{errOwnerChanged, ReasonOwnerChanged, "what Vault holds under this relay's names was first used by another service account or number, and is not opened: if it is the same business, whose account was recreated or whose number changed, a Vault admin has to run kubectl relay adopt NAME; if it was another business, erase what it left behind (kubectl relay erase NAME)"},
		{errIdentityMissing, ReasonIdentityMissing, "the identity that this relay had is gone from Vault, and none is made in its place: restore Vault from its backup, or erase the relay (kubectl relay erase) and give it an empty volume to start over"},
		{errCounterBack, ReasonCounterBack, "spec.rotation is lower than what was in force, and what was rotated away does not come back: raise the counters again (the relay's log says to which values)"},
		{errAccessMissing, ReasonAccessMissing, "the credentials in force are gone from Vault: restore Vault from its backup, or raise spec.rotation.access to create new ones"},
		{errClock, ReasonClockSkewed, "this node's clock and Vault's are more than five minutes apart: set the clock of the one that is wrong"},
		{vault.ErrSealed, ReasonVaultSealed, "Vault is sealed: unseal it"},
		{vault.ErrUnavailable, ReasonVaultUnavailable, "Vault does not answer: check its address and CA bundle in the DataRegion, and that the network lets the relay through"},
		{vault.ErrDenied, ReasonVaultDenied, "Vault refuses the relay: run kubectl relay setup vault --region with the DataRegion's name, as before each upgrade, and check that Vault's Kubernetes auth method can reach the API server"},
		{vault.ErrErased, ReasonKeysErased, "the key of what is stored was destroyed"},
		{vault.ErrForeignContent, ReasonVaultForeign, "Vault holds something under this relay's paths that the relay did not write: remove it, or restore what was there"},
		{vault.ErrNotFound, ReasonVaultForeign, "something that Vault held is gone: run kubectl relay setup vault"},
		{errCertificate, "CertificateUnreadable", errCertificate.Error()},
		{errOverdue, ReasonKeyOverdue, "the oldest key version is older than the retention allows: check why the janitor's CronJob does not run"},
		{store.ErrForeignStore, ReasonStoreForeign, "the volume or database holds another identity's store: give this relay its own, or an empty one"},
		{store.ErrStoreMissing, ReasonStoreMissing, "the volume or database is empty although this identity had a store: restore it, or raise spec.rotation.identity to start over"},
		{store.ErrLocked, ReasonStoreLocked, "another process has the store open: it must stop first"},
		{seal.ErrErased, ReasonKeysErased, "the key of what is stored was destroyed"},
		{errDeparting, ReasonDeparting, "the relay is leaving for another region: run kubectl relay move again to go on, or with --back to stay"},
		{errArriving, ReasonArriving, "the relay waits for its store from another region: run kubectl relay move again to go on, or with --back to return"},
		{errArrived, ReasonArrived, "the relay's store has arrived and opens: run kubectl relay move again to start it"},
		{parcel.ErrInvalid, ReasonStoreForeign, "the file of the move was changed or cut off: run kubectl relay move with --back, then again"},
	}
}

// explanationFor finds what to do about an error, in the given ones.
func explanationFor(err error, all []explanation) (explanation, bool) {
	for _, e := range all {
		if errors.Is(err, e.err) {
			return e, true
		}
	}
	return explanation{}, false
}

// explain turns an error into a condition's reason and message.
func explain(err error) (reason, message string) {
	if err == nil {
		return ReasonKeysReady, ""
	}
	if e, found := explanationFor(err, explanations()); found {
		return e.reason, e.message
	}
	if e, found := explanationFor(err, databaseExplanations()); found {
		return e.reason, e.message
	}
	return ReasonStoreUnusable, "the store cannot be opened: check the relay's log and the volume or database"
}
