package store

import "github.com/relaykeep/relaykeep/relay/seal"

// Option changes how Open behaves.
type Option func(*options)

type options struct {
	mustExist bool
	settings  seal.Wrapper // nil: the epochs'
	volume    string
	country   string
	server    *Server // nil: a directory
	memory    *Memory // nil: content is stored
	observer  *Observer
}

// MustExist makes Open fail with ErrStoreMissing when there is no store. It is for an identity
// that had one.
func MustExist() Option { return func(o *options) { o.mustExist = true } }

// SettingsKey makes w wrap the data key of the settings, which is not replaced each period:
// what the business itself wants kept dies only with the tenant. Without this option the
// epochs' wrapper wraps it.
func SettingsKey(w seal.Wrapper) Option { return func(o *options) { o.settings = w } }

// OnVolume names the volume that the directory is on: on another volume, the database is a
// copy. Empty means that the name is not known.
func OnVolume(name string) Option { return func(o *options) { o.volume = name } }

// ContentInMemory keeps content only in the way that m says. What an earlier process stored without this
// option stays readable until its epoch ends.
func ContentInMemory(m Memory) Option { return func(o *options) { o.memory = &m } }

// Country is the ISO 3166-1 alpha-2 code that user ids begin with when the customer's number does
// not tell a country.
func Country(code string) Option { return func(o *options) { o.country = code } }

// Observe has o told about the commits of changes. Without this option nobody is.
func Observe(o Observer) Option { return func(to *options) { to.observer = &o } }
