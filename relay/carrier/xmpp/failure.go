package xmpp

import (
	"errors"
	"fmt"

	"github.com/relaykeep/relaykeep/relay/carrier"
)

// Reasons of a Status that is not Online.
const (
	ReasonNotStarted         = "NotStarted"
	ReasonConnecting         = "Connecting"
	ReasonUnreachable        = "CarrierUnreachable"
	ReasonTLSFailed          = "TLSFailed"
	ReasonCredentialsRefused = "CredentialsRefused"
	ReasonRegistration       = "RegistrationRefused"
	ReasonAccountTaken       = "AccountTaken"
	ReasonNoStreamManagement = "NoStreamManagement"
	ReasonReplaced           = "Replaced"
	ReasonProtocolError      = "ProtocolError"
	ReasonServerClosed       = "ServerClosed"
	ReasonLinkLost           = "LinkLost"
	ReasonNotStored          = "NotStored"
	ReasonStopped            = "Stopped"
)

// Errors that a caller of Register or Unregister decides on.
var (
	// ErrCredentials means that the server knows no such account and password.
	ErrCredentials = fmt.Errorf("xmpp: server refused the credentials: %w", carrier.ErrRejected)
	// ErrAccountExists means that somebody registered this account before.
	ErrAccountExists = fmt.Errorf("xmpp: account exists already: %w", carrier.ErrRejected)
	// ErrRegistrationClosed means that the server registers nobody, or not so.
	ErrRegistrationClosed = fmt.Errorf("xmpp: server does not register accounts: %w", carrier.ErrRejected)
)

// detail says what a reader of a condition with that reason can do; Online has none.
func detail(reason string) string {
	switch reason {
	case ReasonNotStarted:
		return "the link was not started yet"
	case ReasonConnecting:
		return "connecting for the first time"
	case ReasonUnreachable:
		return "the carrier does not answer; check its address, that it runs, and that the network lets the relay through"
	case ReasonTLSFailed:
		return "no trusted TLS with the carrier; its certificate must name the domain and be signed by the CA bundle"
	case ReasonCredentialsRefused:
		return "the carrier refuses the account or its password; check the carrier account in Vault"
	case ReasonRegistration:
		return "the carrier does not let the relay register its account; open registration, or put an account, or a token that was not used yet, into Vault"
	case ReasonAccountTaken:
		return "the carrier has an account of this number already, under another password than the relay's, as when the number was another relay's before; have the carrier's admin remove that account, or set its password and put that into Vault (kubectl relay setup carrier-account NAME --replace)"
	case ReasonNoStreamManagement:
		return "the carrier lacks stream management (XEP-0198); enable it (Prosody: mod_smacks)"
	case ReasonReplaced:
		return "something else connected as this account with the same resource"
	case ReasonProtocolError:
		return "the carrier broke the protocol"
	case ReasonServerClosed:
		return "the carrier closed the link"
	case ReasonLinkLost:
		return "the link broke"
	case ReasonNotStored:
		return "the relay could not store what arrived, so it gave the link up; it will come again"
	case ReasonStopped:
		return "the link was stopped"
	}
	return ""
}

// failure is why there is no link.
type failure struct {
	reason string
	err    error
}

func (f *failure) Error() string { return fmt.Sprintf("%s: %v", f.reason, f.err) }

func (f *failure) Unwrap() error { return f.err }

// refused says that trying again soon is of no use.
func (f *failure) refused() bool {
	switch f.reason {
	case ReasonCredentialsRefused, ReasonRegistration, ReasonAccountTaken, ReasonNoStreamManagement, ReasonReplaced:
		return true
	}
	return false
}

// failed gives err a reason unless it has one.
func failed(reason string, err error) error {
	if f := (*failure)(nil); errors.As(err, &f) {
		return err
	}
	return &failure{reason: reason, err: err}
}

func reasonOf(err error) *failure {
	if f := (*failure)(nil); errors.As(err, &f) {
		return f
	}
	return &failure{reason: ReasonLinkLost, err: err}
}
