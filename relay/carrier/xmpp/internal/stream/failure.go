package stream

import (
	"errors"
	"fmt"
	"io"
	"net"

	"github.com/relaykeep/relaykeep/relay/carrier"
	"github.com/relaykeep/relaykeep/relay/carrier/xmpp/internal/stanza"
)

// Reasons why there is no link.
const (
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
	ReasonStopped            = "Stopped"
)

// Errors that a caller decides on.
var (
	// ErrCredentials means that the server knows no such account and password.
	ErrCredentials = fmt.Errorf("xmpp: server refused the credentials: %w", carrier.ErrRejected)
	// ErrAccountExists means that somebody registered this account before.
	ErrAccountExists = fmt.Errorf("xmpp: account exists already: %w", carrier.ErrRejected)
	// ErrRegistrationClosed means that the server registers nobody, or not in this way.
	ErrRegistrationClosed = fmt.Errorf("xmpp: server does not register accounts: %w", carrier.ErrRejected)
	// ErrStopped ends a link that we close ourselves.
	ErrStopped = Failed(ReasonStopped, io.ErrClosedPipe)
	// ErrEndless says that a stanza does not end within Config.MaxWire.
	ErrEndless = errors.New("xmpp: a stanza does not end")
)

var (
	errNoManagement = &Failure{ReasonNoStreamManagement, errors.New("server does not offer stream management")}
	errNotTaken     = errors.New("xmpp: server resumed the stream, and acknowledges nothing that is sent on it")
	errStalled      = errors.New("xmpp: server does not read what we answer")
	errStreamClosed = errors.New("xmpp: server closed the stream")
	// errBadCount says that the server acknowledged more than we sent.
	errBadCount = errors.New("xmpp: server acknowledged stanzas that were not sent")
)

// streamError is what a server says before it closes a stream (RFC 6120, 4.9).
type streamError struct{ condition string }

func (e *streamError) Error() string { return "xmpp: server ended the stream: " + e.condition }

// Failure is why there is no link.
type Failure struct {
	Reason string
	Err    error
}

// Error implements error.
func (f *Failure) Error() string { return fmt.Sprintf("%s: %v", f.Reason, f.Err) }

// Unwrap returns the cause.
func (f *Failure) Unwrap() error { return f.Err }

// Refused says that trying again soon is useless.
func (f *Failure) Refused() bool {
	switch f.Reason {
	case ReasonCredentialsRefused, ReasonRegistration, ReasonAccountTaken, ReasonNoStreamManagement, ReasonReplaced:
		return true
	}
	return false
}

// Failed gives err a reason unless it has one.
func Failed(reason string, err error) error {
	if f := (*Failure)(nil); errors.As(err, &f) {
		return err
	}
	return &Failure{Reason: reason, Err: err}
}

// ReasonOf returns the Failure that err is or wraps. An error without a reason means that the
// link was lost.
func ReasonOf(err error) *Failure {
	if f := (*Failure)(nil); errors.As(err, &f) {
		return f
	}
	return &Failure{Reason: ReasonLinkLost, Err: err}
}

// networkReason distinguishes a silent or broken server from one that breaks the protocol,
// while the stream is negotiated.
func networkReason(err error) string {
	if e := net.Error(nil); errors.As(err, &e) || stanza.CutOff(err) {
		return ReasonUnreachable
	}
	return ReasonProtocolError
}

// readFailure gives an error from reading a link its reason.
func readFailure(err error) error {
	if se := (*streamError)(nil); errors.As(err, &se) {
		if se.condition == "conflict" {
			return Failed(ReasonReplaced, err)
		}
		return Failed(ReasonServerClosed, err)
	}
	if errors.Is(err, errStreamClosed) || stanza.CutOff(err) {
		return Failed(ReasonServerClosed, err)
	}
	if e := net.Error(nil); errors.As(err, &e) || errors.Is(err, net.ErrClosed) {
		return Failed(ReasonLinkLost, fmt.Errorf("reading: %w", err))
	}
	return Failed(ReasonProtocolError, err)
}
