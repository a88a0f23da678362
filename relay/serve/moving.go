package serve

import (
	"context"
	"crypto/sha256"
	"crypto/subtle"
	"errors"
	"fmt"
	"hash"
	"io"
	"log/slog"
	"net/http"
	"strings"
	"time"

	"github.com/relaykeep/relaykeep/api/contract"
	"github.com/relaykeep/relaykeep/relay/parcel"
	"github.com/relaykeep/relaykeep/relay/seal"
	"github.com/relaykeep/relaykeep/relay/store"
	"github.com/relaykeep/relaykeep/relay/vault"
)

// moveAway has the relay leave its region or arrive in one, until ctx ends.
func (r *relay) moveAway(ctx context.Context) error {
	if r.cfg.Move == contract.MoveArrive {
		r.move.set(http.HandlerFunc(r.takeIn))
		r.state.setKeys(errArriving) // who waits for it may ask
		<-ctx.Done()
		return ctx.Err()
	}
	k, err := r.open(ctx)
	if err != nil {
		return err
	}
	id, restored := k.identity.StoreID, k.store.Restored()
	k.close(r.Log)
	d, err := r.depart(ctx, id)
	if err != nil {
		return err
	}
	defer func() {
		r.move.set(nil) // no request begins any more
		if err := d.Close(); err != nil {
			r.Log.LogAttrs(ctx, slog.LevelError, "closing the store failed", slog.Any("error", err))
		}
	}()
	r.move.set(http.HandlerFunc(func(w http.ResponseWriter, req *http.Request) { r.handOut(w, req, d, id, restored) }))
	r.state.setKeys(errDeparting)
	<-ctx.Done()
	return ctx.Err()
}

// depart prepares the store.
func (r *relay) depart(ctx context.Context, id [16]byte) (*store.Departing, error) {
	if r.onServer() {
		return store.DepartFrom(ctx, r.server(), id)
	}
	return store.Depart(r.DataDir, id)
}

// form is how the store is written in the relay's file.
func (r *relay) form() string {
	if r.onServer() {
		return store.FormRows
	}
	return store.FormFile
}

// shows says whether a request shows the token.
func shows(req *http.Request, token string) bool {
	given, is := strings.CutPrefix(req.Header.Get("Authorization"), "Bearer ")
	return is && token != "" && subtle.ConstantTimeCompare([]byte(given), []byte(token)) == 1
}

// admits answers a request itself, and returns false, unless it shows the token that Vault holds for the move: token, if
// reading it did not fail with err.
func (r *relay) admits(w http.ResponseWriter, req *http.Request, token string, err error) bool {
	switch {
	case errors.Is(err, vault.ErrNotFound), err == nil && !shows(req, token):
		plain(w, http.StatusUnauthorized, "an admin of this region's Vault has to allow the move: kubectl relay move does it")
		return false
	case err != nil:
		r.refuse(w, req, err)
		return false
	}
	return true
}

// refuse answers a request that failed with a condition's words.
func (r *relay) refuse(w http.ResponseWriter, req *http.Request, err error) {
	r.Log.LogAttrs(req.Context(), slog.LevelWarn, "moving failed", slog.Any("error", err))
	reason, message := explain(err)
	plain(w, http.StatusServiceUnavailable, reason+": "+message)
}

// handOut writes the relay's file.
func (r *relay) handOut(w http.ResponseWriter, req *http.Request, d *store.Departing, id [16]byte, restored bool) {
	ctx := req.Context()
	allowed, err := r.vault.Departure(ctx)
	if !r.admits(w, req, allowed.Token, err) {
		return
	}
	if req.Method != http.MethodGet {
		plain(w, http.StatusMethodNotAllowed, "the relay is leaving: its file can be read, with GET")
		return
	}
	c, err := r.contents(ctx, d)
	defer c.Destroy()
	if err != nil {
		r.refuse(w, req, err)
		return
	}
	c.StoreID, c.Restored = id, restored
	image, err := d.Open(ctx)
	if err != nil {
		r.refuse(w, req, err)
		return
	}
	defer func() { _ = image.Close() }() // it was only read
	w.Header().Set("Content-Type", "application/octet-stream")
	if err := parcel.Write(w, allowed.Key, c, image); err != nil {
		r.Log.LogAttrs(ctx, slog.LevelWarn, "handing out the relay's file failed", slog.Any("error", err))
		panic(http.ErrAbortHandler) // so that the file does not look whole
	}
	r.Log.LogAttrs(ctx, slog.LevelInfo, "handed out the relay's file for another region", slog.Int64("bytes", c.Size))
}

// contents gathers what the relay takes along beside its store.
func (r *relay) contents(ctx context.Context, d *store.Departing) (c parcel.Contents, err error) {
	c = parcel.Contents{Version: parcel.Version, Number: r.cfg.PhoneNumber, Form: r.form(), Size: d.Size()}
	secrets, err := r.vault.Belongings(ctx, r.cfg.Rotation.Identity, r.cfg.Rotation.Access, lookBack)
	if err != nil {
		return c, err
	}
	for _, s := range secrets {
		c.Secrets = append(c.Secrets, parcel.Secret(s))
	}
	state, err := r.vault.EnsureKeys(ctx, r.retention())
	if err != nil {
		return c, err
	}
	for _, e := range d.Epochs {
		since, known := vault.WrappedSince(e.Wrapped, state)
		if !known || since.After(e.Created) {
			since = e.Created
		}
		if c.Epochs, err = unwrapTo(ctx, c.Epochs, r.vault, e, since); err != nil {
			return c, err
		}
	}
	for _, e := range d.Settings {
		if c.Settings, err = unwrapTo(ctx, c.Settings, r.vault.Settings(), e, time.Time{}); err != nil {
			return c, err
		}
	}
	return c, nil
}

// unwrapTo adds a data key, without its value if that was destroyed.
func unwrapTo(ctx context.Context, to []parcel.Key, w seal.Wrapper, e seal.Epoch, since time.Time) ([]parcel.Key, error) {
	key, err := w.Unwrap(ctx, e.Wrapped)
	if err != nil && !errors.Is(err, seal.ErrErased) {
		return to, err
	}
	return append(to, parcel.Key{ID: e.ID, Plain: key, Created: since}), nil
}

// takeIn takes in the relay's file, or says whether the relay has it.
func (r *relay) takeIn(w http.ResponseWriter, req *http.Request) {
	ctx := req.Context()
	allowed, err := r.vault.Arrival(ctx)
	if !r.admits(w, req, allowed.Token, err) {
		return
	}
	owner, err := r.ownerOfStore(ctx)
	waits := owner == nil || r.onServer() && !owner.Used // a database that was prepared for a file that did not come whole
	switch {
	case err != nil:
		r.refuse(w, req, err)
		return
	case waits && req.Method != http.MethodPut:
		plain(w, http.StatusNotFound, "the relay waits for its file")
		return
	case waits:
		if err := r.unpack(ctx, req.Body, allowed.Digest); err != nil {
			r.refuse(w, req, err)
			return
		}
	}
	k, err := r.tryOpen(ctx) // as it would for running
	if err != nil {
		r.refuse(w, req, err)
		return
	}
	k.close(r.Log)
	r.state.setKeys(errArrived)
	r.Log.LogAttrs(ctx, slog.LevelInfo, "the store from another region is in place and opens")
	plain(w, http.StatusOK, contract.MoveArrived)
}

// unpack puts what is in a file into Vault and the relay's directory, once the whole file is known to be the one that an
// admin named.
func (r *relay) unpack(ctx context.Context, from io.Reader, digest [32]byte) error {
	whole := sha256.New()
	c, image, err := parcel.Read(io.TeeReader(from, whole), func(sealed []byte) ([]byte, error) { return r.vault.OpenArrival(ctx, sealed) })
	defer c.Destroy()
	if err != nil {
		return err
	}
	if c.Number != r.cfg.PhoneNumber {
		return fmt.Errorf("taking in a file: %w", store.ErrForeignStore)
	}
	if c.Form != r.form() {
		return fmt.Errorf("%w: its store is of another kind than this relay's", parcel.ErrInvalid)
	}
	a := store.Arriving{
		StoreID: c.StoreID, Size: c.Size, Restored: c.Restored,
		Wrap: func() (epochs, settings map[int64]string, err error) { return r.wrapAgain(ctx, c) },
	}
	if r.onServer() {
		return a.PlaceIn(ctx, r.server(), &checked{image, whole, digest})
	}
	return a.Place(r.DataDir, &checked{image, whole, digest})
}

// checked is a reader whose end is an error if what was read up to there has another digest.
type checked struct {
	io.Reader
	whole  hash.Hash
	digest [32]byte
}

// Read implements io.Reader.
func (c *checked) Read(p []byte) (int, error) {
	n, err := c.Reader.Read(p)
	if errors.Is(err, io.EOF) && subtle.ConstantTimeCompare(c.whole.Sum(nil), c.digest[:]) != 1 {
		return n, fmt.Errorf("%w: it is not the file that was announced", parcel.ErrInvalid)
	}
	return n, err
}

// wrapAgain writes the secrets and has the data keys wrapped by this region's Vault. It can be repeated.
func (r *relay) wrapAgain(ctx context.Context, c parcel.Contents) (epochs, settings map[int64]string, err error) {
	for _, s := range c.Secrets {
		if err := r.vault.TakeIn(ctx, vault.Secret(s)); err != nil {
			return nil, nil, err
		}
	}
	if _, err := r.vault.EnsureKeys(ctx, r.retention()); err != nil {
		return nil, nil, err
	}
	epochs, settings = make(map[int64]string), make(map[int64]string)
	for _, k := range c.Epochs {
		epochs[k.ID] = vault.CarriedErased(k.ID)
		if k.Plain == nil {
			continue
		}
		if epochs[k.ID], err = r.vault.CarryDataKey(ctx, k.Plain, k.Created, k.ID); err != nil {
			return nil, nil, err
		}
	}
	for _, k := range c.Settings {
		if k.Plain == nil {
			continue // it stays as it is: nothing opens it
		}
		if settings[k.ID], err = r.vault.Settings().Carry(ctx, k.Plain); err != nil {
			return nil, nil, err
		}
	}
	return epochs, settings, nil
}
