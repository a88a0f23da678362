package lab

import (
	"context"
	"errors"
	"fmt"
	"os"
	"path/filepath"

	"github.com/relaykeep/relaykeep/api/v1alpha1"
	"github.com/relaykeep/relaykeep/test/services/postgres"
)

// Database is a region's PostgreSQL, which runs until End. Unlike the lab's other services it ends with the program.
type Database struct{ *postgres.Server }

// StartDatabase starts a region's PostgreSQL, empty, where pods can reach it.
func (l *Lab) StartDatabase(ctx context.Context, r *Region) (Database, error) {
	dir := filepath.Join(l.dir, "postgres-"+r.Name)
	if err := os.RemoveAll(dir); err != nil {
		return Database{}, fmt.Errorf("making room for PostgreSQL: %w", err)
	}
	s, err := postgres.Start(ctx, dir, postgres.Options{Address: l.at(postgresPort)})
	return Database{s}, err
}

// End ends the server, and removes what was in it.
func (d Database) End() error {
	d.Stop()
	return os.RemoveAll(d.Dir)
}

// Postgres is the server as a DataRegion names it.
func (d Database) Postgres() *v1alpha1.Postgres {
	return &v1alpha1.Postgres{Address: v1alpha1.HostPort(d.Addr), CABundle: v1alpha1.CABundle(d.CAPEM)}
}

// Holder returns host:port of the replica that holds the store in a database.
func (d Database) Holder(ctx context.Context, database string) (string, error) {
	rows, err := d.Query(ctx, database, `SELECT substr(a.application_name, length('relaykeep ') + 1)
		FROM relaykeep.engine e JOIN pg_stat_activity a ON a.pid = e.pid AND a.backend_start = e.started`)
	if err != nil {
		return "", err
	}
	if len(rows) != 1 || rows[0][0] == "" {
		return "", errors.New("nobody holds the store")
	}
	return rows[0][0], nil
}

// PutLogin has a business's relay log in at a database, as an admin of its region's Vault would.
func (l *Lab) PutLogin(ctx context.Context, b *Business, to postgres.Database) error {
	server, err := l.Vault(ctx, b.Region)
	if err != nil {
		return err
	}
	root, err := server.Root()
	if err != nil {
		return err
	}
	_, err = root.Logical().WriteWithContext(ctx, fmt.Sprintf("kv/data/%s/%s/postgres", b.Name, b.Tenant()),
		map[string]any{"data": map[string]any{"username": to.Name, "password": to.Password}})
	if err != nil {
		return fmt.Errorf("writing the login into Vault: %w", err)
	}
	return nil
}
