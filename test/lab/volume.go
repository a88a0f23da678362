package lab

import (
	"context"
	"database/sql"
	"fmt"
	"os"
	"path/filepath"
	"strings"

	_ "modernc.org/sqlite" // the relay's store
)

// Sealed is a message as it lies on a business's volume.
type Sealed struct {
	Epoch   int64
	Bytes   int    // of the sealed message
	Wrapped string // the epoch's data key, wrapped by Vault: "vault:v<version>:…"
}

// SealedMessage reads a message as a thief of the volume would find it: from a copy
// of the files, without any key.
func (l *Lab) SealedMessage(ctx context.Context, b *Business, id string) (Sealed, error) {
	copied, err := l.copyStore(ctx, b)
	if err != nil {
		return Sealed{}, err
	}
	defer func() { _ = os.RemoveAll(copied) }()
	db, err := sql.Open("sqlite", filepath.Join(copied, storeFile))
	if err != nil {
		return Sealed{}, fmt.Errorf("opening the stolen store: %w", err)
	}
	defer func() { _ = db.Close() }()
	var s Sealed
	const query = `SELECT m.epoch, length(m.sealed), e.wrapped FROM messages m JOIN epochs e ON e.id = m.epoch WHERE m.id = ?`
	if err := db.QueryRowContext(ctx, query, id).Scan(&s.Epoch, &s.Bytes, &s.Wrapped); err != nil {
		return Sealed{}, fmt.Errorf("reading the stolen store: %w", err)
	}
	return s, nil
}

// StoredMessages counts the messages on a business's volume.
func (l *Lab) StoredMessages(ctx context.Context, b *Business) (count int, err error) {
	copied, err := l.copyStore(ctx, b)
	if err != nil {
		return 0, err
	}
	defer func() { _ = os.RemoveAll(copied) }()
	db, err := sql.Open("sqlite", filepath.Join(copied, storeFile))
	if err != nil {
		return 0, fmt.Errorf("opening the stolen store: %w", err)
	}
	defer func() { _ = db.Close() }()
	if err := db.QueryRowContext(ctx, `SELECT count(*) FROM messages`).Scan(&count); err != nil {
		return 0, fmt.Errorf("reading the stolen store: %w", err)
	}
	return count, nil
}

// Version is the version of the wrapping key that wrapped the data key.
func (s Sealed) Version() string {
	_, rest, _ := strings.Cut(s.Wrapped, ":v")
	version, _, _ := strings.Cut(rest, ":")
	return version
}

// storeFile is the relay's store on its volume.
const storeFile = "relay.db"

// copyStore copies the store's files, the log of writes before the database that
// it belongs to: what a checkpoint moves meanwhile is then at least in one of them.
func (l *Lab) copyStore(ctx context.Context, b *Business) (string, error) {
	volume, err := l.Volume(ctx, b)
	if err != nil {
		return "", err
	}
	dir, err := os.MkdirTemp("", "relaykeep-stolen-")
	if err != nil {
		return "", fmt.Errorf("copying the volume: %w", err)
	}
	for _, name := range []string{storeFile + "-wal", storeFile} {
		data, err := os.ReadFile(filepath.Join(volume, name))
		if err == nil {
			err = os.WriteFile(filepath.Join(dir, name), data, 0o600)
		}
		if err != nil && !os.IsNotExist(err) {
			return "", fmt.Errorf("copying the volume: %w", err)
		}
	}
	return dir, nil
}
