package postgres

import (
	"context"
	"testing"
	"time"
)

// StartT runs a server in a temporary directory until the test ends. When the test failed, the
// end of the server's log is shown. With -short the test is skipped.
func StartT(t testing.TB, o Options) *Server {
	t.Helper()
	if testing.Short() {
		t.Skip("needs PostgreSQL, and -short asks for no servers")
	}
	ctx, cancel := context.WithTimeout(t.Context(), time.Minute)
	defer cancel()
	s, err := Start(ctx, t.TempDir(), o)
	if err != nil {
		t.Fatalf("starting postgres: %v", err)
	}
	t.Cleanup(func() {
		if t.Failed() {
			t.Logf("postgres's last words:\n%s", s.lastWords())
		}
		s.Kill() // its directory goes, too
	})
	return s
}

// NewDatabaseT makes a database, or ends the test.
func (s *Server) NewDatabaseT(t testing.TB) Database {
	t.Helper()
	d, err := s.NewDatabase(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	return d
}

// LendDatabaseT lends an empty database until the test ends, then removes the schemas that were
// made in it and lends it to another test: that takes less time than making one.
func (s *Server) LendDatabaseT(t testing.TB) Database {
	t.Helper()
	s.mu.Lock()
	var d Database
	lent := len(s.free) > 0
	if lent {
		d, s.free = s.free[0], s.free[1:]
	}
	s.mu.Unlock()
	if !lent {
		d = s.NewDatabaseT(t)
	}
	t.Cleanup(func() {
		_, err := s.Query(context.Background(), d.Name, `SELECT pg_terminate_backend(pid, 1000) FROM pg_stat_activity
			WHERE datname = current_database() AND pid <> pg_backend_pid();
			DROP SCHEMA IF EXISTS relaykeep CASCADE`)
		if err != nil {
			return // the server was ended; or the database is not lent again
		}
		s.mu.Lock()
		defer s.mu.Unlock()
		s.free = append(s.free, d)
	})
	return d
}
