package peers

import (
	"slices"

	"github.com/relaykeep/relaykeep/relay/carrier"
)

// Plan says which devices an envelope is for, and holds the bundles of those that need a new
// session first.
type Plan struct {
	Devices []carrier.DeviceID
	// formats holds in which format each device is written to. Without an entry it is Legacy.
	formats map[carrier.DeviceID]carrier.Format
	bundles map[carrier.DeviceID]carrier.Bundle
	// Identity names the key that the one device must have; empty for any.
	Identity string
}

// In returns a plan for devices that are written to in one format, whatever else they read.
func In(f carrier.Format, devices ...carrier.DeviceID) Plan {
	p := Plan{Devices: devices, formats: map[carrier.DeviceID]carrier.Format{}}
	for _, d := range devices {
		p.formats[d] = f
	}
	return p
}

// With adds a device that is written to in a format.
func (p Plan) With(d carrier.DeviceID, f carrier.Format) Plan {
	if p.formats == nil {
		p.formats = map[carrier.DeviceID]carrier.Format{}
	}
	p.Devices, p.formats[d] = append(p.Devices, d), f
	return p
}

// in returns the devices that are written to in a format.
func (p Plan) in(f carrier.Format) (devices []carrier.DeviceID) {
	for _, d := range p.Devices {
		if p.formats[d] == f {
			devices = append(devices, d)
		}
	}
	return devices
}

// Only says whether all devices are written to in that format.
func (p Plan) Only(f carrier.Format) bool { return len(p.in(f)) == len(p.Devices) }

// without leaves a device out.
func (p Plan) without(d carrier.DeviceID) Plan {
	p.Devices = slices.DeleteFunc(slices.Clone(p.Devices), func(o carrier.DeviceID) bool { return o == d })
	return p
}
