package vault

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"net/http"
	"strings"
	"sync"
	"time"

	"github.com/hashicorp/vault/api"

	"github.com/relaykeep/relaykeep/api/contract"
)

// Bounds of one call to Vault.
const (
	callTimeout      = 10 * time.Second
	maxResponseBytes = 1 << 20
	maxListBytes     = 8 << 20 // of a list: some 100,000 names
)

// Config says which Vault to use, with which role, and for which tenant.
type Config struct {
	Vault     contract.Vault
	Namespace string // of the tenant
	Tenant    string // the service account's name, "<BusinessRelay>-relay"
	Role      string // the region's, such as contract.RoleRelay returns
	// TokenPath is the file of the projected service account token. It is read again for
	// each login.
	TokenPath string
	// Token, when not nil, is asked for the service account token instead.
	Token func(context.Context) (string, error)
	// Now is the local clock, for the token's age and for back-off; nil means
	// time.Now.
	Now      func() time.Time
	Log      *slog.Logger // nil: no log
	Observer Observer     // nil: no metrics
}

// ForTenant returns the configuration for a relay's own file.
func ForTenant(c contract.Config, role, tokenPath string) Config {
	return Config{Vault: c.Vault, Namespace: c.Namespace, Tenant: c.Name, Role: role, TokenPath: tokenPath}
}

// Observer records measurements. No argument holds anything personal or has more values than a
// metric's label may have.
type Observer interface {
	// VaultCall reports one call to Vault: operation is a fixed word such as "login"
	// or "datakey", outcome one of "ok", "sealed", "unavailable", "denied", "erased",
	// "notfound", "foreign" and "canceled".
	VaultCall(operation, outcome string, took time.Duration)
}

// Client is one tenant's client of its Vault. It is safe for concurrent use. It logs in when
// first needed and again after two thirds of its token's lifetime; after a refused call it
// logs in once more. It never gives up: after a failure it returns that failure until a
// delay has passed, then retries.
type Client struct {
	cfg  Config
	http *http.Client
	api  *api.Client // without a token
	now  func() time.Time
	log  *slog.Logger

	login chan struct{} // holds one element while no login runs

	mu      sync.Mutex // guards the following fields
	token   token
	failure failure // of the login
	trouble error   // of the latest call; nil if Vault answered it well
}

// New makes a client. It does not connect, and reads nothing from the environment.
func New(cfg Config) (*Client, error) {
	if !pathPart(cfg.Namespace) || !pathPart(cfg.Tenant) {
		return nil, errors.New("configuring the Vault client: namespace or tenant is not a valid path")
	}
	if strings.ContainsAny(cfg.Namespace+cfg.Tenant, "/") || strings.Contains(cfg.Namespace, ".") {
		return nil, errors.New("configuring the Vault client: namespace and tenant must be names")
	}
	return newClient(cfg)
}

// newClient makes a client of the tenant that cfg names, or of none.
func newClient(cfg Config) (*Client, error) {
	for what, s := range map[string]string{
		"role": cfg.Role, "auth path": cfg.Vault.AuthPath,
		"KV mount": cfg.Vault.KVMount, "transit mount": cfg.Vault.TransitMount, "PKI mount": cfg.Vault.PKIMount,
	} {
		if !pathPart(s) {
			return nil, fmt.Errorf("configuring the Vault client: the %s is not a valid path", what)
		}
	}
	transport, err := newHTTP(cfg.Vault.CABundle)
	if err != nil {
		return nil, err
	}
	anonymous, err := newAPI(cfg.Vault, transport)
	if err != nil {
		return nil, err
	}
	c := &Client{cfg: cfg, http: transport, api: anonymous, now: cfg.Now, log: cfg.Log, login: make(chan struct{}, 1)}
	c.login <- struct{}{}
	if c.now == nil {
		c.now = time.Now
	}
	if c.log == nil {
		c.log = slog.New(slog.DiscardHandler)
	}
	return c, nil
}

// pathPart says whether s can be part of a path without escaping from its place.
func pathPart(s string) bool {
	for part := range strings.SplitSeq(s, "/") {
		if part == "" || part == "." || part == ".." || strings.ContainsAny(part, "?#%\\ \t\r\n") {
			return false
		}
	}
	return true
}

// pathDepth returns how many folders deep a name is.
func pathDepth(name string) int { return strings.Count(name, "/") }

// Paths of the tenant.

func (c *Client) kvPath(name string) string {
	return c.cfg.Vault.KVMount + "/data/" + c.cfg.Namespace + "/" + c.cfg.Tenant + "/" + name
}

func (c *Client) kvMetadataPath(name string) string {
	return c.cfg.Vault.KVMount + "/metadata/" + c.cfg.Namespace + "/" + c.cfg.Tenant + "/" + name
}

func (c *Client) wrappingKey() string { return c.cfg.Namespace + "." + c.cfg.Tenant }
