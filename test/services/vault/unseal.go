package vault

import (
	"context"
	"crypto/sha256"
	"encoding/hex"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
	"path/filepath"
	"time"

	"github.com/hashicorp/vault/api"
)

// keys are what initialising a server yields. They are kept beside it: this is no
// way to run a Vault that guards anything.
type keys struct {
	Root   string `json:"root"`
	Unseal string `json:"unseal"`
}

// Client returns a client of the server with the given token; "" is anonymous.
func (s *Server) Client(token string) (*api.Client, error) {
	cfg := api.DefaultConfig()
	cfg.Address, cfg.Timeout, cfg.MaxRetries = s.Address(), 30*time.Second, 0
	if err := cfg.ConfigureTLS(&api.TLSConfig{CACertBytes: s.CAPEM}); err != nil {
		return nil, fmt.Errorf("making a Vault client: %w", err)
	}
	c, err := api.NewClient(cfg)
	if err != nil {
		return nil, fmt.Errorf("making a Vault client: %w", err)
	}
	c.ClearNamespace()
	c.SetToken(token)
	return c, nil
}

// Root returns a client that may do everything.
func (s *Server) Root() (*api.Client, error) {
	k, err := s.readKeys()
	if err != nil {
		return nil, err
	}
	return s.Client(k.Root)
}

func (s *Server) readKeys() (keys, error) {
	var k keys
	text, err := os.ReadFile(s.keysFile())
	if err != nil {
		return k, fmt.Errorf("reading the server's keys: %w", err)
	}
	return k, json.Unmarshal(text, &k)
}

// Wait returns once the server answers, is initialised and unsealed, and knows the
// Kubernetes auth plugin; it does what is missing of that. When ctx ends or the
// process did, the error quotes the end of its log.
func (s *Server) Wait(ctx context.Context) error {
	tick := time.NewTicker(50 * time.Millisecond)
	defer tick.Stop()
	for {
		err := s.makeReady(ctx)
		if err == nil {
			return nil
		}
		select {
		case <-tick.C:
		case <-s.exited:
			return fmt.Errorf("vault ended: %s", s.lastWords())
		case <-ctx.Done():
			return fmt.Errorf("waiting for vault (%w): %s", err, s.lastWords())
		}
	}
}

func (s *Server) makeReady(ctx context.Context) error {
	anonymous, err := s.Client("")
	if err != nil {
		return err
	}
	health, err := anonymous.Sys().HealthWithContext(ctx)
	if err != nil {
		return err
	}
	if !health.Initialized {
		if err := s.initialize(ctx, anonymous); err != nil {
			return err
		}
	}
	if err := s.Unseal(ctx); err != nil {
		return err
	}
	return s.registerPlugin(ctx)
}

func (s *Server) initialize(ctx context.Context, c *api.Client) error {
	answer, err := c.Sys().InitWithContext(ctx, &api.InitRequest{SecretShares: 1, SecretThreshold: 1})
	if err != nil {
		return fmt.Errorf("initialising vault: %w", err)
	}
	text, err := json.Marshal(keys{Root: answer.RootToken, Unseal: answer.KeysB64[0]})
	if err != nil {
		return fmt.Errorf("keeping the server's keys: %w", err)
	}
	if err := os.WriteFile(s.keysFile(), text, 0o600); err != nil {
		return fmt.Errorf("keeping the server's keys: %w", err)
	}
	return nil
}

// Unseal unseals the server; an unsealed one is left alone. It returns when the
// server serves.
func (s *Server) Unseal(ctx context.Context) error {
	k, err := s.readKeys()
	if errors.Is(err, fs.ErrNotExist) {
		return errors.New("vault's storage is initialised, but its unseal key is gone: remove its directory to start over")
	}
	if err != nil {
		return err
	}
	c, err := s.Client(k.Root)
	if err != nil {
		return err
	}
	status, err := c.Sys().SealStatusWithContext(ctx)
	if err != nil {
		return fmt.Errorf("asking for the seal: %w", err)
	}
	if status.Sealed {
		if _, err := c.Sys().UnsealWithContext(ctx, k.Unseal); err != nil {
			return fmt.Errorf("unsealing vault: %w", err)
		}
	}
	// Unsealed is not yet active: the mounts are still being set up.
	if _, err := c.Auth().Token().LookupSelfWithContext(ctx); err != nil {
		return fmt.Errorf("waiting for vault to be active: %w", err)
	}
	return nil
}

// Seal seals the server, as an operator of Vault would in an emergency.
func (s *Server) Seal(ctx context.Context) error {
	c, err := s.Root()
	if err != nil {
		return err
	}
	if err := c.Sys().SealWithContext(ctx); err != nil {
		return fmt.Errorf("sealing vault: %w", err)
	}
	return nil
}

// registerPlugin tells the server of the Kubernetes auth plugin, which is a program
// of its own in this build of Vault.
func (s *Server) registerPlugin(ctx context.Context) error {
	c, err := s.Root()
	if err != nil {
		return err
	}
	sum, err := fileSum(filepath.Join(s.binaries.Plugins, s.binaries.Auth))
	if err != nil {
		return err
	}
	err = c.Sys().RegisterPluginWithContext(ctx, &api.RegisterPluginInput{
		Name: "kubernetes", Type: api.PluginTypeCredential, Command: s.binaries.Auth, SHA256: sum,
	})
	if err != nil {
		return fmt.Errorf("registering the Kubernetes auth plugin: %w", err)
	}
	return nil
}

func fileSum(name string) (string, error) {
	f, err := os.Open(name)
	if err != nil {
		return "", fmt.Errorf("reading the Kubernetes auth plugin: %w", err)
	}
	defer f.Close()
	sum := sha256.New()
	if _, err := io.Copy(sum, f); err != nil {
		return "", fmt.Errorf("reading the Kubernetes auth plugin: %w", err)
	}
	return hex.EncodeToString(sum.Sum(nil)), nil
}
