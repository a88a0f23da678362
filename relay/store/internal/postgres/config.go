package postgres

import (
	"context"
	"crypto/tls"
	"crypto/x509"
	"errors"
	"fmt"
	"net"
	"strconv"
	"time"

	"github.com/jackc/pgx/v5/pgconn"
)

// Limits of a connection.
const (
	connectTimeout = 10 * time.Second
	answerTimeout  = time.Minute // for one answer of the server
	maxMessage     = 16 << 20    // bytes of one message of the server: a row has at most about 1 MiB
)

// Config says where a database is and whose it is.
type Config struct {
	Address  string // host:port; the server's certificate must be for this host
	Database string
	// Login returns the role and its password. It is asked for each connection, so that both
	// may change.
	Login func(context.Context) (user, password string, err error)
	// CA are the certificates that may have signed the server's, PEM. Empty means the
	// system's.
	CA []byte
	// Size is how many bytes the database may take, 0 when that is not known.
	Size int64

	// Name says who the process is, in at most 47 characters, to those who ask Holder; empty
	// for nobody.
	Name string

	Owner     [16]byte // a new database is bound to it, and an old one must be
	MustExist bool     // engine.ErrMissing when there is no database

	idle    time.Duration // instead of idleWriter, for a writer; 0: not
	silence time.Duration // instead of leaseTime, for tests; 0: not
}

// applicationName begins the name of every session, as the server shows it.
const applicationName = "relaykeep "

// Settings of every session. An index leads to the rows of each query in their order; what the
// planner is told keeps it from reading and sorting all rows before the first, because it does
// not know that few of them will be fetched.
func settings() map[string]string {
	return map[string]string{
		"client_encoding":               "UTF8",
		"search_path":                   schemaName,
		"default_transaction_isolation": "read committed",
		"lock_timeout":                  "10s",
		"statement_timeout":             "55s", // the server gives up before we do
		"plan_cache_mode":               "force_generic_plan",
		"enable_seqscan":                "off",
		"enable_bitmapscan":             "off",
		"enable_sort":                   "off",
		"jit":                           "off",
	}
}

// connect opens a connection. idle bounds how long a transaction may wait for its next
// statement; the server ends one that waits longer.
func (f Config) connect(ctx context.Context, idle time.Duration) (*pgconn.PgConn, error) {
	c, err := f.parameters(ctx)
	if err != nil {
		return nil, err
	}
	c.RuntimeParams["application_name"] = applicationName + f.Name
	c.RuntimeParams["idle_in_transaction_session_timeout"] = strconv.FormatInt(idle.Milliseconds(), 10)
	ctx, cancel := context.WithTimeout(ctx, connectTimeout)
	defer cancel()
	conn, err := pgconn.ConnectConfig(ctx, c)
	if err != nil {
		return nil, connecting(err)
	}
	return conn, nil
}

// parameters are what pgconn needs to know. It must start from ParseConfig, but nothing of the
// environment may decide where we connect.
func (f Config) parameters(ctx context.Context) (*pgconn.Config, error) {
	host, port, err := net.SplitHostPort(f.Address)
	if err != nil {
		return nil, fmt.Errorf("reading the database's address: %w", err)
	}
	number, err := strconv.ParseUint(port, 10, 16)
	if err != nil {
		return nil, errors.New("reading the database's address: the port is not a number")
	}
	roots, err := f.roots()
	if err != nil {
		return nil, err
	}
	c, err := pgconn.ParseConfig("host=localhost port=5432 user=nobody dbname=none sslmode=disable")
	if err != nil {
		return nil, fmt.Errorf("preparing the database connection: %w", err)
	}
	c.User, c.Password, err = f.Login(ctx)
	if err != nil {
		return nil, fmt.Errorf("getting the database's login: %w", err)
	}
	c.Host, c.Port, c.Database = host, uint16(number), f.Database
	c.TLSConfig = &tls.Config{RootCAs: roots, ServerName: host, MinVersion: tls.VersionTLS12}
	c.RuntimeParams, c.Fallbacks, c.ValidateConnect, c.AfterConnect = settings(), nil, nil, nil
	c.MaxProtocolMessageBodyLen = maxMessage
	return c, nil
}

func (f Config) roots() (*x509.CertPool, error) {
	if len(f.CA) == 0 {
		return nil, nil
	}
	pool := x509.NewCertPool()
	if !pool.AppendCertsFromPEM(f.CA) {
		return nil, errors.New("reading the database's CA bundle: it holds no certificate")
	}
	return pool, nil
}
