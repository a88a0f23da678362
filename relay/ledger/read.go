package ledger

import (
	"context"
	"errors"
	"fmt"

	"filippo.io/torchwood"
	"golang.org/x/mod/sumdb/tlog"

	"github.com/relaykeep/relaykeep/relay/proof"
	"github.com/relaykeep/relaykeep/relay/store"
)

// ErrNoTile means that the log has no such tile, or not yet.
var ErrNoTile = errors.New("the log has no such tile")

// Checkpoint returns the latest signed checkpoint, with the witness's cosignature once it has that. It returns ErrNoTile
// when there is none.
func (l *Ledger) Checkpoint(ctx context.Context) ([]byte, error) {
	h, err := l.Header(ctx)
	switch {
	case err != nil:
		return nil, err
	case h.Signed == "":
		return nil, ErrNoTile
	case sizeOf([]byte(h.Witnessed)) == sizeOf([]byte(h.Signed)):
		return []byte(h.Witnessed), nil
	}
	return []byte(h.Signed), nil
}

// Header returns what an export of the log begins with.
func (l *Ledger) Header(ctx context.Context) (proof.Header, error) {
	var s signed
	err := l.Store.View(ctx, func(tx *store.Tx) (err error) {
		s, err = readSigned(tx)
		return err
	})
	return proof.Header{Log: l.Origin, Key: s.Key, Signed: string(s.Latest), Witnessed: string(s.Witnessed)}, err
}

// Tile returns a tile of hashes or a bundle of entries by its path, such as tile/0/001 or tile/entries/001.p/7
// (c2sp.org/tlog-tiles). An entry that was dropped has no bytes in its bundle. It returns ErrNoTile when there is no such
// tile.
func (l *Ledger) Tile(ctx context.Context, path string) (data []byte, err error) {
	tile, err := torchwood.ParseTilePath(path)
	if err != nil || tile.L > 62/torchwood.TileHeight || tile.N > 1<<40 {
		return nil, ErrNoTile
	}
	err = l.Store.View(ctx, func(tx *store.Tx) error {
		entries, _, err := size(tx)
		if err != nil {
			return err
		}
		level := max(tile.L, 0)
		if have := entries >> (level * torchwood.TileHeight); tile.N*torchwood.TileWidth+int64(tile.W) > have {
			return ErrNoTile
		}
		if tile.L < 0 {
			data, err = bundle(tx, tile)
			return err
		}
		data, err = tlog.ReadTileData(tile, hashes{tx})
		return err
	})
	return data, err
}

func bundle(tx *store.Tx, tile tlog.Tile) (data []byte, err error) {
	first := tile.N * torchwood.TileWidth
	entries, err := tx.LogEntries(first, first+int64(tile.W))
	if err != nil {
		return nil, err
	}
	for _, e := range entries {
		if data, err = torchwood.AppendTileEntry(data, e); err != nil {
			return nil, fmt.Errorf("writing a bundle of entries: %w", err)
		}
	}
	return data, nil
}
