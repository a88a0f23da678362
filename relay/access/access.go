// Package access keeps a business's named access tokens: what each may do at the business's endpoint, and
// until when. It keeps hashes, never a token. It must not know about HTTP, or how its list is stored.
package access

import (
	"context"
	"crypto/rand"
	"crypto/sha256"
	"crypto/subtle"
	"encoding/base64"
	"encoding/json"
	"errors"
	"fmt"
	"regexp"
	"slices"
	"strings"
	"sync"
	"time"
)

// Errors of Tokens.
var (
	// ErrUnknown means that no token has that name.
	ErrUnknown = errors.New("no access token has this name")
	// ErrExists means that a token with that name exists.
	ErrExists = errors.New("an access token with this name exists: revoke it, or take another name")
	// ErrTooMany means that there are MaxTokens tokens.
	ErrTooMany = fmt.Errorf("there are %d access tokens, which is the most: revoke one", MaxTokens)
	// ErrName means that a name cannot be one.
	ErrName = fmt.Errorf("the name of an access token has 1 to %d lower-case letters, digits and hyphens, and begins and ends with a letter or digit", maxName)
	// ErrScope means that a token has no scope, or one that does not exist.
	ErrScope = errors.New("the scopes of an access token are one or more of send, read, media, templates, audit and admin")
	// ErrHash means that a hash is none, or another token's.
	ErrHash = errors.New("the hash of an access token is a SHA-256, and no other token's")
	// ErrDamaged means that the list of tokens cannot be read.
	ErrDamaged = errors.New("the list of access tokens is damaged")
	// ErrExpires means that a token would have ended already.
	ErrExpires = errors.New("an access token must expire in the future, or never")
)

// Limits.
const (
	MaxTokens = 64 // of a business, expired ones included
	maxName   = 63
)

// secretSize is how many random bytes a token has.
const secretSize = 32

// prefix begins every token, so that scanners for leaked secrets can find it.
const prefix = "rkt_"

// Scope is something that a token may do. No scope includes another.
type Scope string

// The scopes.
const (
	Send      Scope = "send"      // messages, reactions, read marks and the block list
	Read      Scope = "read"      // what the endpoint says about the business, its number, templates and blocked customers
	Media     Scope = "media"     // upload, describe and delete files
	Templates Scope = "templates" // create, change and delete templates
	Audit     Scope = "audit"     // read the relay's log
	Admin     Scope = "admin"     // export and erase customers, change settings of the number, deliver dead letters
)

// Scopes returns all scopes.
func Scopes() []Scope { return []Scope{Send, Read, Media, Templates, Audit, Admin} }

// Known returns those of the given scopes that exist, each once, in the order of Scopes.
func Known(given []Scope) []Scope {
	return slices.DeleteFunc(Scopes(), func(s Scope) bool { return !slices.Contains(given, s) })
}

// Token is a named access token, without what proves it.
type Token struct {
	Name    string    `json:"name"`
	Scopes  []Scope   `json:"scopes"` // in the order of Scopes
	Created time.Time `json:"created"`
	Expires time.Time `json:"expires,omitzero"` // zero for never
	// Used is the day (UTC) of the latest request with it; zero for none.
	Used time.Time `json:"used,omitzero"`
}

// Expired says whether the token has ended.
func (t Token) Expired(now time.Time) bool { return !t.Expires.IsZero() && !now.Before(t.Expires) }

// Allows says whether the token has a scope.
func (t Token) Allows(s Scope) bool { return slices.Contains(t.Scopes, s) }

// Storage keeps the list of tokens across restarts, sealed.
type Storage interface {
	// Load returns what Save wrote last; nil for nothing.
	Load(ctx context.Context) ([]byte, error)
	// Save replaces the list. Shorter says that it needs less room than the one before.
	Save(ctx context.Context, list []byte, shorter bool) error
}

// Tokens are the named access tokens of a business. It is safe for concurrent use.
type Tokens struct {
	storage Storage
	now     func() time.Time

	saving  sync.Mutex      // held while the list changes
	unsaved map[string]bool // names that were revoked, but are still in the storage
	mu      sync.RWMutex    // guards list, which is replaced and not changed
	list    []record
}

type record struct {
	Token
	Hash []byte `json:"hash"` // SHA-256
}

// New returns the tokens of a storage, none before Load.
func New(storage Storage, now func() time.Time) *Tokens {
	return &Tokens{storage: storage, now: now, unsaved: map[string]bool{}}
}

// Load reads the tokens. After an error none is accepted, and the next Create replaces what was stored.
func (t *Tokens) Load(ctx context.Context) error {
	data, err := t.storage.Load(ctx)
	if err != nil {
		return fmt.Errorf("reading the access tokens: %w", err)
	}
	var list []record
	if data != nil && json.Unmarshal(data, &list) != nil {
		return ErrDamaged
	}
	t.set(list)
	return nil
}

// NewSecret returns what proves a new token, and its SHA-256.
func NewSecret() (secret string, hash []byte) {
	random := make([]byte, secretSize)
	_, _ = rand.Read(random)
	secret = prefix + base64.RawURLEncoding.EncodeToString(random)
	sum := sha256.Sum256([]byte(secret))
	return secret, sum[:]
}

// Create makes a token and returns what proves it, which is not kept. Expires is zero for never. The errors
// are ErrName, ErrScope, ErrExpires, ErrExists, ErrTooMany and those of the storage.
func (t *Tokens) Create(ctx context.Context, name string, scopes []Scope, expires time.Time) (secret string, made Token, err error) {
	secret, hash := NewSecret()
	if made, err = t.Add(ctx, hash, name, scopes, expires); err != nil {
		return "", Token{}, err
	}
	return secret, made, nil
}

// Add keeps a token whose secret somebody else made with NewSecret, to have it accepted by several relays. Beside
// the errors of Create there is ErrHash, also if another token has that hash: to revoke one would not end the other.
func (t *Tokens) Add(ctx context.Context, hash []byte, name string, scopes []Scope, expires time.Time) (made Token, err error) {
	now := t.now().UTC().Truncate(time.Second)
	made = Token{Name: name, Scopes: Known(scopes), Created: now, Expires: expires.UTC()}
	unknown := func(s Scope) bool { return !slices.Contains(Scopes(), s) }
	switch {
	case CheckName(name) != nil:
		return Token{}, ErrName
	case len(scopes) == 0 || slices.ContainsFunc(scopes, unknown):
		return Token{}, ErrScope
	case made.Expired(now):
		return Token{}, ErrExpires
	case len(hash) != sha256.Size:
		return Token{}, ErrHash
	}
	t.saving.Lock()
	defer t.saving.Unlock()
	list := t.tokens()
	switch {
	case slices.ContainsFunc(list, named(name)):
		return Token{}, ErrExists
	case len(list) >= MaxTokens:
		return Token{}, ErrTooMany
	case slices.ContainsFunc(list, func(r record) bool { return subtle.ConstantTimeCompare(r.Hash, hash) == 1 }):
		return Token{}, ErrHash
	}
	list = append(slices.Clone(list), record{made, slices.Clone(hash)})
	if err := t.save(ctx, list, false); err != nil {
		return Token{}, err
	}
	t.set(list)
	return made, nil
}

// Revoke ends a token, from this moment on. The errors are ErrUnknown and those of the storage. After one of
// those the token would be back after a restart: call it again.
func (t *Tokens) Revoke(ctx context.Context, name string) error {
	t.saving.Lock()
	defer t.saving.Unlock()
	list := t.tokens()
	if !slices.ContainsFunc(list, named(name)) && !t.unsaved[name] {
		return ErrUnknown
	}
	list = slices.DeleteFunc(slices.Clone(list), named(name))
	t.set(list)
	t.unsaved[name] = true
	return t.save(ctx, list, true)
}

// Clear ends all tokens.
func (t *Tokens) Clear(ctx context.Context) error {
	t.saving.Lock()
	defer t.saving.Unlock()
	t.set(nil)
	return t.save(ctx, nil, true)
}

// List returns all tokens, expired ones included, sorted by name.
func (t *Tokens) List() []Token {
	list := []Token{}
	for _, r := range t.tokens() {
		list = append(list, r.Token)
	}
	slices.SortFunc(list, func(a, b Token) int { return strings.Compare(a.Name, b.Name) })
	return list
}

// Find returns the token that secret proves, which may be expired. The time that it takes says nothing about
// other tokens.
func (t *Tokens) Find(secret string) (found Token, ok bool) {
	sum := sha256.Sum256([]byte(secret))
	for _, r := range t.tokens() {
		if subtle.ConstantTimeCompare(sum[:], r.Hash) == 1 {
			found, ok = r.Token, true
		}
	}
	return found, ok
}

// Use notes that a token was used today. It writes once a day; what could not be written is not tried again
// that day.
func (t *Tokens) Use(ctx context.Context, used Token) error {
	today := t.now().UTC().Truncate(24 * time.Hour)
	if used.Used.Equal(today) {
		return nil
	}
	t.saving.Lock()
	defer t.saving.Unlock()
	list := slices.Clone(t.tokens())
	i := slices.IndexFunc(list, named(used.Name))
	if i < 0 || list[i].Used.Equal(today) {
		return nil
	}
	list[i].Used = today
	t.set(list)
	return t.save(ctx, list, false)
}

// save writes the list. The caller holds saving.
func (t *Tokens) save(ctx context.Context, list []record, shorter bool) error {
	data, err := json.Marshal(list)
	if err == nil {
		err = t.storage.Save(ctx, data, shorter)
	}
	if err != nil {
		return fmt.Errorf("storing the access tokens: %w", err)
	}
	clear(t.unsaved)
	return nil
}

func (t *Tokens) tokens() []record {
	t.mu.RLock()
	defer t.mu.RUnlock()
	return t.list
}

func (t *Tokens) set(list []record) {
	t.mu.Lock()
	defer t.mu.Unlock()
	t.list = list
}

func named(name string) func(record) bool {
	return func(r record) bool { return r.Name == name }
}

// CheckName returns ErrName for what cannot be a token's name.
func CheckName(name string) error {
	if !nameForm().MatchString(name) {
		return ErrName
	}
	return nil
}

func nameForm() *regexp.Regexp { return regexp.MustCompile(`^[a-z0-9]([a-z0-9-]{0,61}[a-z0-9])?$`) }
