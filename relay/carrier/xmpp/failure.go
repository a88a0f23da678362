package xmpp

import "github.com/relaykeep/relaykeep/relay/carrier/xmpp/internal/stream"

// Reasons of a Status that is not Online.
const (
	ReasonNotStarted         = "NotStarted"
	ReasonConnecting         = "Connecting"
	ReasonUnreachable        = stream.ReasonUnreachable
	ReasonTLSFailed          = stream.ReasonTLSFailed
	ReasonCredentialsRefused = stream.ReasonCredentialsRefused
	ReasonRegistration       = stream.ReasonRegistration
	ReasonAccountTaken       = stream.ReasonAccountTaken
	ReasonNoStreamManagement = stream.ReasonNoStreamManagement
	ReasonReplaced           = stream.ReasonReplaced
	ReasonProtocolError      = stream.ReasonProtocolError
	ReasonServerClosed       = stream.ReasonServerClosed
	ReasonLinkLost           = stream.ReasonLinkLost
	ReasonNotStored          = "NotStored"
	ReasonStopped            = stream.ReasonStopped
)

// Errors that a caller of Register or Unregister decides on.
var (
	// ErrCredentials means that the server knows no such account and password.
	ErrCredentials = stream.ErrCredentials
	// ErrAccountExists means that somebody registered this account before.
	ErrAccountExists = stream.ErrAccountExists
	// ErrRegistrationClosed means that the server registers nobody, or not in this way.
	ErrRegistrationClosed = stream.ErrRegistrationClosed
)

// detail says what a person who reads a condition with that reason can do. Online has none.
func detail(reason string) string {
	switch reason {
	case ReasonNotStarted:
		return "the link has not been started yet"
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
		return "the carrier already has an account for this number with another password, for example because another relay had the number before; have the carrier's admin remove that account, or set its password and put that into Vault (kubectl relay setup carrier-account NAME --replace)"
	case ReasonNoStreamManagement:
		return "the carrier has no stream management (XEP-0198); enable it (Prosody: mod_smacks)"
	case ReasonReplaced:
		return "something else connected as this account with the same resource"
	case ReasonProtocolError:
		return "the carrier broke the protocol"
	case ReasonServerClosed:
		return "the carrier closed the link"
	case ReasonLinkLost:
		return "the link broke"
	case ReasonNotStored:
		return "the relay could not store what arrived, so it closed the link; the carrier will send it again"
	case ReasonStopped:
		return "the link was stopped"
	}
	return ""
}
