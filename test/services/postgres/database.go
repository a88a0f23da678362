package postgres

import (
	"context"
	"crypto/rand"
	"crypto/tls"
	"crypto/x509"
	"fmt"
	"net"
	"strconv"
	"strings"

	"github.com/jackc/pgx/v5/pgconn"
)

// Database is one of a server's, with the role that owns it.
type Database struct {
	Address  string // host:port
	Name     string // of the database and of the role
	Password string
	CA       []byte // PEM
}

// NewDatabase makes a role and a database of its own, to which no other role may connect, as
// an admin makes them for a business.
func (s *Server) NewDatabase(ctx context.Context) (Database, error) {
	d := Database{Address: s.Addr, Name: "b" + strings.ToLower(rand.Text()[:12]), Password: rand.Text(), CA: s.CAPEM}
	for _, text := range []string{
		fmt.Sprintf(`CREATE ROLE %s LOGIN PASSWORD '%s'`, d.Name, d.Password),
		fmt.Sprintf(`CREATE DATABASE %s OWNER %s TEMPLATE template0 ENCODING 'UTF8' LOCALE 'C'`, d.Name, d.Name),
		fmt.Sprintf(`REVOKE CONNECT, TEMPORARY ON DATABASE %s FROM PUBLIC`, d.Name),
	} {
		if _, err := s.Query(ctx, Superuser, text); err != nil {
			return d, fmt.Errorf("making a database: %w", err)
		}
	}
	return d, nil
}

// Query runs statements in a database as the superuser and returns the last one's rows as text.
func (s *Server) Query(ctx context.Context, database, text string) ([][]string, error) {
	return query(ctx, Database{Address: s.Addr, Name: Superuser, Password: password, CA: s.CAPEM}, database, text)
}

// Query runs statements in a database of the same server as the role that owns d, and returns the last one's rows
// as text.
func (d Database) Query(ctx context.Context, database, text string) ([][]string, error) {
	return query(ctx, d, database, text)
}

// Connect connects to d as the role that owns it.
func (d Database) Connect(ctx context.Context) (*pgconn.PgConn, error) {
	return connect(ctx, d, d.Name)
}

func connect(ctx context.Context, as Database, database string) (*pgconn.PgConn, error) {
	c, err := pgconn.ParseConfig("host=localhost user=nobody dbname=none sslmode=disable")
	if err != nil {
		return nil, err
	}
	host, port, err := net.SplitHostPort(as.Address)
	if err != nil {
		return nil, err
	}
	number, err := strconv.ParseUint(port, 10, 16)
	if err != nil {
		return nil, err
	}
	roots := x509.NewCertPool()
	roots.AppendCertsFromPEM(as.CA)
	c.Host, c.Port, c.Database, c.User, c.Password = host, uint16(number), database, as.Name, as.Password
	c.TLSConfig, c.Fallbacks = &tls.Config{RootCAs: roots, ServerName: host, MinVersion: tls.VersionTLS12}, nil
	c.RuntimeParams = map[string]string{}
	return pgconn.ConnectConfig(ctx, c)
}

func query(ctx context.Context, as Database, database, text string) ([][]string, error) {
	conn, err := connect(ctx, as, database)
	if err != nil {
		return nil, err
	}
	defer conn.Close(ctx)
	results, err := conn.Exec(ctx, text).ReadAll()
	if err != nil || len(results) == 0 {
		return nil, err
	}
	var rows [][]string
	for _, row := range results[len(results)-1].Rows {
		var columns []string
		for _, value := range row {
			columns = append(columns, string(value))
		}
		rows = append(rows, columns)
	}
	return rows, nil
}
