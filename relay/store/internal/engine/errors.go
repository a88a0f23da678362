package engine

import "errors"

// Errors of a database that a server holds. Each says what to do, and names no address, user or
// value.
var (
	// ErrFenced means that another process has taken the database over. Nothing that this
	// process did since is kept; it must end.
	ErrFenced = errors.New("store: another process has taken the database over; this one must end")
	// ErrUncertain means that the server did not say whether a commit happened, and that the
	// database was closed before it could be asked again.
	ErrUncertain = errors.New("store: closed before the server said whether a commit happened; open the database to see")
	// ErrRolledBack means that what was committed is gone: an earlier state of the database
	// was put in place beneath this process, which must open it again.
	ErrRolledBack = errors.New("store: the server lost what it had committed, through a restoration or a failover; start the relay again, which then counts the database as restored")
	// ErrUnreachable means that there is no connection to the server.
	ErrUnreachable = errors.New("store: the database server cannot be reached; check its address, its certificate and the network")
	// ErrDenied means that the server does not let us in.
	ErrDenied = errors.New("store: the database server refuses the login; check user, password, database name and pg_hba.conf")
	// ErrCertificate means that the server's certificate is not to be trusted.
	ErrCertificate = errors.New("store: the database server's certificate is not trusted; check the CA bundle and the host name in the certificate")
	// ErrTooOld means that the server's version is not supported.
	ErrTooOld = errors.New("store: the database server is older than PostgreSQL 15; upgrade it")
	// ErrEncoding means that the database cannot hold all text.
	ErrEncoding = errors.New("store: the database does not have the encoding UTF8; create it with ENCODING 'UTF8'")
	// ErrStandby means that the server accepts no writes.
	ErrStandby = errors.New("store: the database server accepts no writes; connect to the primary, and unset default_transaction_read_only")
	// ErrBusy means that the server has no connection left.
	ErrBusy = errors.New("store: the database server has no connection left; raise max_connections or the limits of the role and the database")
	// ErrRights means that the role lacks a right.
	ErrRights = errors.New("store: the role may not do this in the database; make it the database's owner")
)
