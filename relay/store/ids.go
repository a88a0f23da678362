package store

import (
	"crypto/rand"
	"encoding/base64"
	"encoding/binary"
	"time"
)

// What the relay names is named in the order of time, so that new rows are written beside each other in
// the indexes: an index over random names has a page to write for each. When a message was made is no
// secret to anyone who sees its name, and stands in its row.

// timeSize is how many bytes of a name say when it was made, in milliseconds since 1970.
const timeSize = 6

// named returns bytes that begin with the time, and are random otherwise.
func named(size int) []byte {
	b := binary.BigEndian.AppendUint64(make([]byte, 0, size), uint64(time.Now().UnixMilli())<<16)[:size]
	_, _ = rand.Read(b[timeSize:])
	return b
}

// NewMessageID returns a new message ID: "wamid." and 32 characters of base64url over 24 bytes, which are
// the time in milliseconds and 18 random bytes. Unlike an ID of the hosted API it says nothing about
// anyone.
func NewMessageID() string { return "wamid." + base64.RawURLEncoding.EncodeToString(named(24)) }

// The form of the names that the carrier gets: carrierIDMark and 24 characters of base64url over 18
// bytes, which are the time and 12 random bytes.
const (
	carrierIDMark = "k"
	carrierIDSize = len(carrierIDMark) + 24
)

// NewCarrierID returns a new CarrierID for a message that goes out.
func NewCarrierID() string {
	return carrierIDMark + base64.RawURLEncoding.EncodeToString(named(18))
}

// timeOf returns the bytes of a CarrierID that say when it was made, if it has the form of ours. Peers may
// choose such names too: then the bytes say nothing.
func timeOf(id string) (made []byte, ok bool) {
	if len(id) != carrierIDSize || id[:len(carrierIDMark)] != carrierIDMark {
		return nil, false
	}
	made, err := base64.RawURLEncoding.DecodeString(id[len(carrierIDMark):][:timeSize*4/3])
	return made, err == nil
}

// madeAt is the time that a CarrierID of our form says.
func madeAt(id string) (at time.Time, ok bool) {
	made, ok := timeOf(id)
	if !ok {
		return time.Time{}, false
	}
	return fromMillis(int64(binary.BigEndian.Uint64(append(make([]byte, 8-timeSize, 8), made...)))), true
}
