package cloudapi

import (
	"context"
	"crypto/sha256"
	"log/slog"
	"time"

	"github.com/relaykeep/relaykeep/relay/proof"
)

// New returns the handler for o.
func New(o Options) *API {
	if o.Now == nil {
		o.Now = time.Now
	}
	if o.Log == nil {
		o.Log = slog.New(slog.DiscardHandler)
	}
	if o.Quality == nil {
		o.Quality = func() string { return "UNKNOWN" }
	}
	if o.Tier == nil {
		o.Tier = func() string { return unlimitedTier }
	}
	if o.Problems == nil {
		o.Problems = func() []Problem { return nil }
	}
	if o.Others == nil {
		o.Others = func() []OtherNumber { return nil }
	}
	if o.Observe == nil {
		o.Observe = func(string, int, int, time.Duration) {}
	}
	if o.Note == nil {
		o.Note = func(context.Context, string, proof.Kind, string) {}
	}
	return &API{
		Options: o, limits: newLimits(o.Throughput), routes: routes(),
		tokenHash: sha256.Sum256([]byte(o.Token)), formerHash: sha256.Sum256([]byte(o.Former.Token)),
		fileKey: sha256.Sum256([]byte("relaykeep media address v1\x00" + o.Token)), uploads: make(chan struct{}, maxUploads),
	}
}
