package store

import (
	"crypto/hmac"
	"crypto/rand"
	"crypto/sha256"
)

// settingSeenKey names the key of the HMACs of ciphertexts' hashes. It is a setting, which
// lives as long as the relay, so that one lookup finds a hash of any age. So in a stolen copy a
// hash outlives its message for somebody who has that key, too. That is acceptable because the
// key only hashes ciphertexts, which reveal nothing about a message. Without a key, somebody
// with the carrier's traffic could tell which rows it became.
const settingSeenKey = "store.seen"

// loadSeenKey reads the key, or makes it.
func (t *Tx) loadSeenKey() error {
	key, err := t.Setting(settingSeenKey)
	if err != nil {
		return err
	}
	if key == nil {
		key = make([]byte, sha256.Size)
		if _, err := rand.Read(key); err != nil {
			return err
		}
		if err := t.PutSetting(settingSeenKey, key); err != nil {
			return err
		}
	}
	t.shared.seenMAC = hmac.New(sha256.New, key)
	clear(key)
	return nil
}

// SeenCiphertext remembers the hash of a received ciphertext. It must get no other hash:
// anything in the clear, such as a text or an id, could be guessed from its hash long after the
// message is gone. First says that the hash was not known. It is forgotten with the epoch in
// which it was first seen.
func (t *Tx) SeenCiphertext(hash [32]byte) (first bool, err error) {
	if err := t.allow(); err != nil {
		return false, err
	}
	epoch, err := t.shared.keys.Current()
	if err != nil {
		return false, err
	}
	var sum [sha256.Size]byte
	mac := t.shared.seenMAC
	mac.Reset()
	mac.Write(hash[:])
	n, err := t.run(`INSERT INTO seen (row, epoch, hash) VALUES (?, ?, ?) ON CONFLICT (hash) DO NOTHING`,
		take(&t.shared.next.seen), epoch, mac.Sum(sum[:0])[:16])
	return n == 1, err
}
