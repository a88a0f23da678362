// Package seal encrypts what the relay stores, under data keys that die one after another. Each
// period has one epoch with one AES-256 data key, which is wrapped by a key that stays in Vault.
// Destroying that key makes the epoch unreadable, including all copies of it.
//
// The package knows neither where sealed values are stored nor what Vault is: it is given a
// Wrapper and a list of epochs.
//
// # Bounds
//
// Values are sealed with AES-256-GCM under subkeys that HKDF-SHA256 (RFC 5869)
// derives from the data key, one for each purpose, with random 96-bit nonces. NIST
// SP 800-38D (8.3) allows 2^32 messages under one key with such nonces. A subkey
// lives one period (a day, when the retention is 30 days): 5,000 values a second
// make 2^28.7 in a day. The keyring counts, asks for a new epoch at 2^31 and
// refuses at 2^32; the count restarts with the process.
package seal
