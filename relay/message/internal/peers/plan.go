package peers

import (
	"slices"

	"github.com/relaykeep/relaykeep/relay/carrier"
)

// Plan says which devices an envelope is for, and holds the bundles of those that need a new
// session first.
type Plan struct {
	Devices []carrier.DeviceID
	bundles map[carrier.DeviceID]carrier.Bundle
	// Identity names the key that the one device must have; empty for any.
	Identity string
}

// without leaves a device out.
func (p Plan) without(d carrier.DeviceID) Plan {
	p.Devices = slices.DeleteFunc(slices.Clone(p.Devices), func(o carrier.DeviceID) bool { return o == d })
	return p
}
