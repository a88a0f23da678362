package store

import "github.com/relaykeep/relaykeep/relay/seal"

// Option changes how Open behaves.
type Option func(*options)

type options struct {
	mustExist bool
	settings  seal.Wrapper // nil: the epochs'
	volume    string
}

// MustExist makes Open fail with ErrStoreMissing where there is no store: for an
// identity that had one.
func MustExist() Option { return func(o *options) { o.mustExist = true } }

// SettingsKey has w wrap the data key of the settings, which is not replaced from
// period to period: what the business itself wants kept dies only with the tenant.
// Without it the epochs' wrapper does.
func SettingsKey(w seal.Wrapper) Option { return func(o *options) { o.settings = w } }

// OnVolume names the volume that the directory lies on: on another one, the database
// is a copy. Empty means that it is not known.
func OnVolume(name string) Option { return func(o *options) { o.volume = name } }
