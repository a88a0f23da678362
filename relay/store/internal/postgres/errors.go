package postgres

import (
	"crypto/tls"
	"crypto/x509"
	"errors"
	"fmt"

	"github.com/jackc/pgx/v5/pgconn"

	"github.com/relaykeep/relaykeep/relay/store/internal/engine"
)

// SQLSTATE codes that a caller decides on (postgresql.org/docs/15/errcodes-appendix.html).
const (
	codeReadOnly    = "25006"
	codeRights      = "42501"
	codeLockTimeout = "55P03"
)

// errLockTimeout means that another transaction held a row for too long.
var errLockTimeout = errors.New("postgres: a row stayed locked")

// meaning is what a code means to a caller; nil for nothing.
func meaning(code string) error {
	switch code {
	case "53100", "53400": // disk full, configuration limit: a quota of the disk
		return engine.ErrFull
	case "53300", "53200": // too many connections, out of memory
		return engine.ErrBusy
	case "3D000", "28000", "28P01": // no such database, no such login
		return engine.ErrDenied
	case codeRights:
		return engine.ErrRights
	case codeReadOnly:
		return engine.ErrStandby
	case codeLockTimeout:
		return errLockTimeout
	case "XX001", "XX002": // data, index corrupted
		return engine.ErrDamaged
	case "57P01", "57P02", "57P03", "57P05", "25P03": // shutting down, crashed, starting up, idle sessions
		return engine.ErrUnreachable
	}
	if len(code) == 5 && code[:2] == "08" {
		return engine.ErrUnreachable
	}
	return nil
}

// typed gives a server's error its meaning. It passes on the code alone: the server's text may
// name users and hold values.
func typed(err *pgconn.PgError) error {
	said := fmt.Errorf("postgres: SQLSTATE %s", err.Code)
	if err.ConstraintName != "" {
		said = fmt.Errorf("postgres: SQLSTATE %s, constraint %s", err.Code, err.ConstraintName)
	}
	if m := meaning(err.Code); m != nil {
		return fmt.Errorf("%w: %w", m, said)
	}
	return said
}

// connecting gives the error of a connection attempt its meaning, without addresses and names.
func connecting(err error) error {
	var said *pgconn.PgError
	if errors.As(err, &said) {
		if said.Code == codeRights { // to connect
			return fmt.Errorf("%w: postgres: SQLSTATE %s", engine.ErrDenied, said.Code)
		}
		return typed(said)
	}
	var verification *tls.CertificateVerificationError
	var authority x509.UnknownAuthorityError
	var host x509.HostnameError
	var invalid x509.CertificateInvalidError
	if errors.As(err, &verification) || errors.As(err, &authority) || errors.As(err, &host) || errors.As(err, &invalid) {
		return engine.ErrCertificate
	}
	return engine.ErrUnreachable
}
