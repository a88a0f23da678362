package cloudapi

import (
	"context"
	"errors"
	"net/http"

	"github.com/relaykeep/relaykeep/relay/proof"
)

// This edge is the relay's own: the hosted API shows no log. It serves the paths of c2sp.org/tlog-tiles below log/.

// Paths below log/, apart from tiles.
const (
	logCheckpoint = "checkpoint"
	logHeader     = "header" // what an export begins with, as JSON: origin, public key, checkpoints
)

// logFile serves GET of /{phone-number-id}/log/….
func (a *API) logFile(w http.ResponseWriter, r *http.Request, path string) (any, error) {
	kind, read := "application/octet-stream", func(ctx context.Context) ([]byte, error) { return a.Ledger.Tile(ctx, path) }
	switch path {
	case logHeader:
		h, err := a.Ledger.Header(r.Context())
		return h, fromService(err)
	case logCheckpoint:
		kind, read = "text/plain; charset=utf-8", a.Ledger.Checkpoint
	}
	data, err := read(r.Context())
	if errors.Is(err, ErrNoLogFile) {
		e := errNoObject(r.Method, "")
		e.Status = http.StatusNotFound // as clients of tiles expect
		return nil, e
	}
	if err != nil {
		return nil, fromService(err)
	}
	w.Header().Set("Content-Type", kind)
	_, _ = w.Write(data) // who asked is gone otherwise
	return served{}, nil
}

// use is what is noted of a request for the log.
type use struct {
	caller   caller
	known    bool // who it is
	signed   bool // by a file's address
	route    string
	method   string
	customer bool // it is about one
}

type useKey struct{}

// useOf returns where a request's use is noted.
func useOf(r *http.Request) *use {
	u, _ := r.Context().Value(useKey{}).(*use)
	if u == nil {
		return &use{}
	}
	return u
}

// who is how the log names the caller.
func (u *use) who() string {
	switch {
	case u.known && u.caller.owner:
		return proof.Owner
	case u.known:
		return proof.Named(u.caller.named.Name)
	case u.signed:
		return proof.Signed
	}
	return proof.Nobody
}

// kind is what the log counts the request as; empty for what is no data of messages or customers.
func (u *use) kind() proof.Kind {
	read := u.method == http.MethodGet || u.method == http.MethodHead
	either := func(reads, writes proof.Kind) proof.Kind {
		if read {
			return reads
		}
		return writes
	}
	switch u.route {
	case routeMessages, routeEncrypted:
		return proof.Send
	case routeUpload, routeMedia, routeDownload:
		return either(proof.MediaRead, proof.MediaWrite)
	case routeBlock:
		return either(proof.BlockRead, proof.BlockWrite)
	case routeHistory:
		return proof.HistoryRead
	case routeLetters:
		return either(proof.HistoryRead, proof.Replay)
	case routeCustomers:
		if !u.customer {
			return proof.CustomerRead
		}
		return either(proof.Export, proof.Erase)
	case routeTokens:
		return either(proof.TokenRead, proof.TokenWrite)
	case routeLog:
		return proof.LogRead
	case routeCanary:
		return either("", proof.Canary)
	}
	if !u.known {
		return proof.Refused
	}
	return ""
}

// note counts a request that was answered with a status.
func (a *API) note(r *http.Request, u *use, status int) {
	kind := u.kind()
	if kind == "" {
		return
	}
	result := proof.OK
	switch {
	case status == http.StatusUnauthorized || status == http.StatusForbidden:
		result = proof.Denied
	case status >= http.StatusInternalServerError:
		result = proof.Failed
	case status >= http.StatusBadRequest:
		result = proof.Invalid
	}
	a.Note(r.Context(), u.who(), kind, result)
}
