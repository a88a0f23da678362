package contract

import (
	"crypto/sha256"
	"encoding/binary"
	"strconv"
)

// AccountFile is the file of AccountDir, and its key in the relay's ConfigMap. Unlike the configuration it changes
// while the relay runs.
const AccountFile = "account.json"

// Limits of the account file.
const (
	MaxAccountNumbers = 255
	MaxAccountBytes   = 320 << 10
)

// AccountVersion is the version of Account that this build writes and reads.
const AccountVersion = 1

// Account is what a relay's endpoint tells of the other numbers of its business account, JSON. It contains no
// secret, and nothing about any customer.
type Account struct {
	Version int `json:"version"`
	// Numbers are those of the account's other relays, at most MaxAccountNumbers, sorted by the relays' names.
	Numbers []AccountNumber `json:"numbers"`
}

// AccountNumber is a number of another relay.
type AccountNumber struct {
	ID          string `json:"id"`          // the Cloud API's phone-number-id
	PhoneNumber string `json:"phoneNumber"` // E.164
	Name        string `json:"name,omitempty"`
	Quality     string `json:"quality,omitempty"` // as in Status
	Connected   bool   `json:"connected"`         // the relay is connected to its carrier
}

// BusinessAccountID returns the id of the business account that relays of a namespace share by naming it: 15
// digits, the first not zero, like the ids that relays draw for accounts of their own.
func BusinessAccountID(namespace, account string) string {
	const low, count = 100_000_000_000_000, 900_000_000_000_000
	sum := sha256.Sum256([]byte("relaykeep business account v1\x00" + namespace + "\x00" + account))
	return strconv.FormatUint(low+binary.BigEndian.Uint64(sum[:8])%count, 10)
}
