package peers

import (
	"crypto/sha256"
	"encoding/base64"
	"slices"

	"github.com/relaykeep/relaykeep/relay/omemo"
	"github.com/relaykeep/relaykeep/relay/store"
)

// IdentityHash names an identity key to the business: 16 bytes of its SHA-256, so that nobody
// can find a second key with that name.
func IdentityHash(key []byte) string {
	sum := sha256.Sum256(key)
	return base64.StdEncoding.EncodeToString(sum[:16])
}

// strict says whether only devices that are accepted are written to: under firstUse,
// from the first accepted one on.
func (s *Peers) strict(devices []store.Device) bool {
	return s.Account.Trust == omemo.FirstUse && hasAccepted(devices)
}

func hasAccepted(devices []store.Device) bool {
	// Of a damaged one it is not known: it must not open what was closed.
	return slices.ContainsFunc(devices, func(d store.Device) bool { return d.Accepted || d.Damaged })
}
