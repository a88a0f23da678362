package store

import (
	"context"
	"errors"

	"github.com/relaykeep/relaykeep/relay/store/internal/engine"
	"github.com/relaykeep/relaykeep/relay/store/internal/postgres"
)

// Server names a PostgreSQL database that holds a store. Only this store is in its schema
// relaykeep, and its role owns it.
type Server struct {
	Address  string // host:port; the server's certificate must be for this host
	Database string
	// Login returns the role and its password. It is asked for each connection, so that both
	// may change.
	Login func(context.Context) (user, password string, err error)
	CA    []byte // certificates that may have signed the server's, PEM; empty means the system's
	Size  int64  // bytes that the database may take; 0 when that is not known
	// Name is what others are told who look for the process that has the store open, in at most 47 characters;
	// empty for nothing.
	Name string
}

// OnServer keeps the store in a database instead of a directory.
func OnServer(s Server) Option { return func(o *options) { o.server = &s } }

func (s Server) config(storeID [16]byte, mustExist bool) postgres.Config {
	return postgres.Config{
		Address: s.Address, Database: s.Database, Login: s.Login, CA: s.CA, Size: s.Size, Name: s.Name,
		Owner: storeID, MustExist: mustExist,
	}
}

// OwnerOn reads whose store is in a database, as OwnerOf does for a directory. Errors are also those
// of the server.
func OwnerOn(ctx context.Context, s Server) (*Owner, error) {
	found, err := postgres.OwnerOf(ctx, s.config([16]byte{}, true))
	if err != nil || found == nil {
		return nil, err
	}
	return &Owner{StoreID: found.ID, Used: found.Used}, nil
}

// Watch looks who has a store open. Its methods are not safe for concurrent use.
type Watch struct{ watch *postgres.Watch }

// NewWatch returns a Watch of a store on a server. It connects when it is asked.
func NewWatch(s Server) *Watch { return &Watch{postgres.NewWatch(s.config([16]byte{}, true))} }

// Holder returns the Name of the process that has the store open; held is false when nobody has, or when who
// had it has been silent for so long that another may take it over. Errors are those of the server.
func (w *Watch) Holder(ctx context.Context) (name string, held bool, err error) {
	return w.watch.Holder(ctx)
}

// Close ends its connection.
func (w *Watch) Close() { w.watch.Close() }

// Lost says whether an error means that this process can never write to its store again, and must
// close it and open it again.
func Lost(err error) bool { return errors.Is(err, ErrFenced) || errors.Is(err, ErrRolledBack) }

// Unavailable says whether an error is that of a database server that may work again later.
func Unavailable(err error) bool {
	for _, e := range []error{
		ErrUnreachable, ErrUncertain, ErrDenied, ErrCertificate, ErrTooOld, ErrStandby, ErrBusy, ErrRights, ErrFenced, ErrRolledBack,
	} {
		if errors.Is(err, e) {
			return true
		}
	}
	return false
}

// Errors of a store on a server. Each says what to do.
var (
	// ErrFenced means that another process has taken the store over: this one must end.
	ErrFenced = engine.ErrFenced
	// ErrUncertain means that the store was closed before the server said whether a commit
	// happened.
	ErrUncertain = engine.ErrUncertain
	// ErrRolledBack means that the server lost what it had committed: open the store again,
	// which then is Restored.
	ErrRolledBack = engine.ErrRolledBack
	// ErrUnreachable means that there is no connection to the server.
	ErrUnreachable = engine.ErrUnreachable
	// ErrDenied means that the server refuses the login.
	ErrDenied = engine.ErrDenied
	// ErrCertificate means that the server's certificate is not trusted.
	ErrCertificate = engine.ErrCertificate
	// ErrTooOld means that the server's version is not supported.
	ErrTooOld = engine.ErrTooOld
	// ErrEncoding means that the database does not have the encoding UTF8.
	ErrEncoding = engine.ErrEncoding
	// ErrStandby means that the server accepts no writes.
	ErrStandby = engine.ErrStandby
	// ErrBusy means that the server has no connection left.
	ErrBusy = engine.ErrBusy
	// ErrRights means that the role lacks a right in the database.
	ErrRights = engine.ErrRights
)
