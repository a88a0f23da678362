package serve

import (
	"errors"
	"fmt"

	"github.com/relaykeep/relaykeep/relay/seal"
)

// errNewAccount means that an admin changed the carrier account in Vault: its password,
// or the token to register it with.
var errNewAccount = errors.New("the carrier account in Vault changed")

// errOtherAccount means that the account in Vault is for another number.
var errOtherAccount = errors.New("the carrier account in Vault is for another number")

// errOverdue means that the oldest key should have been destroyed by now.
var errOverdue = errors.New("the wrapping key has a version older than the retention")

// errErased means that the tenant's wrapping key is gone while the relay runs.
var errErased = fmt.Errorf("the tenant was erased: %w", seal.ErrErased)

// errClock means that this node's clock and Vault's are far apart.
var errClock = errors.New("this node's clock and Vault's are more than five minutes apart")

// errCertificate means that the files of a tenant's own certificate are missing or invalid.
var errCertificate = errors.New("the endpoint's certificate files cannot be read: the Secret named in spec.endpoint.tlsSecretName must have tls.crt and tls.key that belong together")

// Errors of a tenant whose parts do not belong together. The relay does not replace an identity
// or key.
var (
	errIdentityMissing = errors.New("the identity that this relay had is gone from Vault")
	errKeyMissing      = errors.New("the wrapping key of what is stored is gone from Vault")
)

// errOwnerChanged means that another service account, or another number, used the
// relay's names first.
var errOwnerChanged = errors.New("the names of this relay belong to another service account or number")

// Errors of counters and what they name.
var (
	errCounterBack   = errors.New("the rotation counter is lower than what was in force")
	errAccessMissing = errors.New("the credentials in force are gone from Vault")
)

// What a relay that moves to another region is doing, as KeysReady tells it.
var (
	errDeparting = errors.New("the relay is leaving its region")
	errArriving  = errors.New("the relay waits for its store from another region")
	errArrived   = errors.New("the relay has its store from another region")
)
