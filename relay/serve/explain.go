package serve

import (
	"errors"

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

// ReasonOwnerChanged is the reason of KeysReady while what lies in Vault under the
// relay's names is another's.
const ReasonOwnerChanged = "OwnerChanged"

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
