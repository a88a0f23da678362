package vault

import (
	"context"
	"fmt"
	"os"
	"path/filepath"

	"github.com/relaykeep/relaykeep/test/repository"
)

// Binaries are where Vault and its plugins are.
type Binaries struct {
	Vault   string // the program
	Plugins string // directory of the plugins
	Auth    string // the file name of the Kubernetes auth plugin in it
}

// FindBinaries finds the programs through RELAYKEEP_VAULT and
// RELAYKEEP_VAULT_PLUGINS, which the Makefile sets, else by asking test/cluster,
// which builds them when they are not cached: that takes minutes, once.
func FindBinaries(ctx context.Context) (Binaries, error) {
	b := Binaries{Vault: os.Getenv("RELAYKEEP_VAULT"), Plugins: os.Getenv("RELAYKEEP_VAULT_PLUGINS")}
	var err error
	if b.Vault == "" {
		if b.Vault, err = repository.Program(ctx, "vault"); err != nil {
			return b, err
		}
	}
	if b.Plugins == "" {
		plugin, err := repository.Program(ctx, "vault-plugin-auth-kubernetes")
		if err != nil {
			return b, err
		}
		b.Plugins = filepath.Dir(plugin)
	}
	for _, name := range []string{"kubernetes-auth", "vault-plugin-auth-kubernetes"} {
		if _, err := os.Stat(filepath.Join(b.Plugins, name)); err == nil {
			b.Auth = name
			return b, nil
		}
	}
	return b, fmt.Errorf("finding Vault's Kubernetes auth plugin: none in the directory %s", b.Plugins)
}
