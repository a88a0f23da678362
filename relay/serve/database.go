package serve

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"sync"
	"time"

	"github.com/relaykeep/relaykeep/relay/store"
	"github.com/relaykeep/relaykeep/relay/vault"
)

// Reasons of KeysReady about a store in a database.
const (
	ReasonDatabaseLoginMissing = "DatabaseLoginMissing"
	ReasonDatabaseUnreachable  = "DatabaseUnreachable"
	ReasonDatabaseDenied       = "DatabaseDenied"
	ReasonDatabaseCertificate  = "DatabaseCertificate"
	ReasonDatabaseUnsuitable   = "DatabaseUnsuitable"
	ReasonDatabaseReadOnly     = "DatabaseReadOnly"
	ReasonDatabaseBusy         = "DatabaseBusy"
	ReasonDatabaseRights       = "DatabaseRights"
	ReasonStoreTakenOver       = "StoreTakenOver"
	ReasonStoreRolledBack      = "StoreRolledBack"
	ReasonStoreNewer           = "StoreNewer"
	ReasonStoreMoved           = "StoreMoved"
	ReasonDatabaseNotEmpty     = "DatabaseNotEmpty"
	ReasonStoreNotCopied       = "StoreNotCopied"
)

// errLoginMissing means that no admin has put the login at PostgreSQL into Vault.
var errLoginMissing = errors.New("the login at PostgreSQL is not in Vault")

// databaseExplanations say what to do about a store in a database.
func databaseExplanations() []explanation {
	return []explanation{
		{errLoginMissing, ReasonDatabaseLoginMissing, "Vault has no login at PostgreSQL for this relay: an admin makes a role and a database and writes both to Vault (docs/postgresql.md)"},
		{store.ErrMoved, ReasonStoreMoved, "the store on the volume was moved into a database: set storage.postgres as it was"},
		{store.ErrNotEmpty, ReasonDatabaseNotEmpty, "a store should be moved into the database, but that holds something else: give the relay an empty database, or remove the relay's volume, if it has one, when what is on it is not wanted"},
		{store.ErrCopy, ReasonStoreNotCopied, "the database server returned something else than what was copied to it, so nothing was moved: check the server and its disk"},
		{store.ErrFenced, ReasonStoreTakenOver, "another process has taken the store over, and this one ends"},
		{store.ErrRolledBack, ReasonStoreRolledBack, "the database server lost what it had committed, through a restoration or a failover: the relay starts again and then resets all sessions"},
		{store.ErrDenied, ReasonDatabaseDenied, "PostgreSQL refuses the relay's login: check that role and password in Vault, the database's name and pg_hba.conf are right"},
		{store.ErrCertificate, ReasonDatabaseCertificate, "PostgreSQL's certificate is not trusted: check spec.postgres.caBundle of the DataRegion, and that the certificate is for the host in spec.postgres.address"},
		{store.ErrTooOld, ReasonDatabaseUnsuitable, "the server is older than PostgreSQL 15: upgrade it"},
		{store.ErrEncoding, ReasonDatabaseUnsuitable, "the database does not have the encoding UTF8: create it with ENCODING 'UTF8'"},
		{store.ErrStandby, ReasonDatabaseReadOnly, "the database server accepts no writes: let spec.postgres.address of the DataRegion lead to the primary, and unset default_transaction_read_only"},
		{store.ErrBusy, ReasonDatabaseBusy, "the database server has no connection left: raise max_connections, or the connection limit of the role or the database"},
		{store.ErrRights, ReasonDatabaseRights, "the role may not do what a relay does in its database: make the role the database's owner"},
		{store.ErrUnreachable, ReasonDatabaseUnreachable, "PostgreSQL does not answer: check that it runs, its address in the DataRegion, and that the network lets the relay through"},
		{store.ErrUncertain, ReasonDatabaseUnreachable, "PostgreSQL ended before it said whether it kept what was written last: the relay asks it again when it starts"},
		{store.ErrNewer, ReasonStoreNewer, "a newer release wrote the store: run that release, or a later one"},
	}
}

// onServer says whether the store is in a database of a server instead of a directory.
func (r *relay) onServer() bool { return r.cfg.Postgres != nil }

// server is the database that the configuration names.
func (r *relay) server() store.Server {
	return store.Server{
		Address: r.cfg.Server.Address, Database: r.cfg.Postgres.Database, Login: r.login.get,
		CA: []byte(r.cfg.Server.CABundle), Size: r.cfg.Postgres.Size, Name: r.ownAddress,
	}
}

// place says where the store is.
func (r *relay) place() []store.Option {
	if r.onServer() {
		return []store.Option{store.OnServer(r.server())}
	}
	return []store.Option{store.OnVolume(r.cfg.Volume)}
}

// ownerOfStore reads whose the store is; nil when there is none. One that must still be moved into the
// database counts.
func (r *relay) ownerOfStore(ctx context.Context) (*store.Owner, error) {
	if !r.onServer() {
		return store.OwnerOf(r.DataDir)
	}
	if left, err := r.leftOver(); err != nil || left != nil {
		return left, err
	}
	return store.OwnerOn(ctx, r.server())
}

// leftOver reads whose store is on the volume that must be moved into the database; nil when there is none.
func (r *relay) leftOver() (*store.Owner, error) {
	left, err := store.OwnerOf(r.DataDir)
	if errors.Is(err, store.ErrMoved) {
		return nil, nil
	}
	return left, err
}

// moveStore moves what is on the volume into the database. An admin who adds storage.postgres to a suspended
// BusinessRelay asks for it.
func (r *relay) moveStore(ctx context.Context, storeID [16]byte) error {
	if !r.onServer() {
		return nil
	}
	if left, err := r.leftOver(); err != nil || left == nil {
		return err
	}
	r.Log.LogAttrs(ctx, slog.LevelInfo, "moving the store from the volume into the database")
	rows, err := store.MoveToServer(ctx, r.DataDir, storeID, r.server(), store.OnVolume(r.cfg.Volume))
	if err != nil {
		return fmt.Errorf("moving the store into the database: %w", err)
	}
	r.Log.LogAttrs(ctx, slog.LevelInfo, "moved the store into the database; the one on the volume cannot be used any more", slog.Int64("rows", rows))
	return nil
}

// databaseLogin reads the login at PostgreSQL from Vault for each connection, so that an admin may
// change it. While Vault does not answer, or has none any more, the last one counts: a relay goes on
// while Vault is sealed.
type databaseLogin struct {
	read func(context.Context) (vault.DatabaseLogin, error)

	mu   sync.Mutex // guards last
	last vault.DatabaseLogin
}

func (d *databaseLogin) get(ctx context.Context) (role, password string, err error) {
	l, err := d.read(ctx)
	d.mu.Lock()
	defer d.mu.Unlock()
	switch {
	case err == nil:
		d.last = l
	case d.last != (vault.DatabaseLogin{}):
	case errors.Is(err, vault.ErrNotFound):
		return "", "", errLoginMissing
	default:
		return "", "", err
	}
	return d.last.Role, d.last.Password, nil
}

// watchEvery is how often the relay looks whether its store still works.
const watchEvery = time.Second

// watchStore logs when the store cannot be written, and returns when this process never can again.
func (p *parts) watchStore(ctx context.Context) error {
	tick := time.NewTicker(watchEvery)
	defer tick.Stop()
	for was := ""; ; {
		select {
		case <-ctx.Done():
			return ctx.Err()
		case <-tick.C:
		}
		err := p.keys.store.Trouble()
		if store.Lost(err) {
			return err
		}
		reason, _ := explain(err)
		if err != nil && reason != was {
			p.Log.LogAttrs(ctx, slog.LevelWarn, "the store cannot be written, retrying", slog.Any("error", err))
		}
		was = reason
	}
}
