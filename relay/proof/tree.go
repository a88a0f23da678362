package proof

import (
	"errors"

	"golang.org/x/mod/sumdb/tlog"
)

// Tree is the tree of a list of entries' hashes, which grows.
type Tree struct {
	stored []tlog.Hash
	size   int64
}

// Append adds an entry's hash.
func (t *Tree) Append(h tlog.Hash) error {
	hashes, err := tlog.StoredHashesForRecordHash(t.size, h, t)
	if err != nil {
		return err
	}
	t.stored = append(t.stored, hashes...)
	t.size++
	return nil
}

// Size is how many entries it has.
func (t *Tree) Size() int64 { return t.size }

// At returns the hash of the tree when it had so many entries.
func (t *Tree) At(size int64) (tlog.Hash, error) { return tlog.TreeHash(size, t) }

// ReadHashes implements tlog.HashReader.
func (t *Tree) ReadHashes(places []int64) ([]tlog.Hash, error) {
	hashes := make([]tlog.Hash, len(places))
	for i, p := range places {
		if p < 0 || p >= int64(len(t.stored)) {
			return nil, errors.New("the tree has no such hash")
		}
		hashes[i] = t.stored[p]
	}
	return hashes, nil
}
