package vault

import (
	"context"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"runtime"
	"strings"
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
		if b.Vault, err = cached(ctx, "vault"); err != nil {
			return b, err
		}
	}
	if b.Plugins == "" {
		plugin, err := cached(ctx, "vault-plugin-auth-kubernetes")
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

// cached asks test/cluster for a program's path, its last line of output.
func cached(ctx context.Context, name string) (string, error) {
	_, here, _, _ := runtime.Caller(0)
	cluster := filepath.Join(filepath.Dir(here), "..", "..", "cluster")
	cmd := exec.CommandContext(ctx, "go", "-C", cluster, "run", ".", "binary", name)
	out, err := cmd.Output()
	if err != nil {
		return "", fmt.Errorf("building %s (run `go -C test/cluster run . binary %s` to see why): %w", name, name, err)
	}
	lines := strings.Split(strings.TrimSpace(string(out)), "\n")
	return lines[len(lines)-1], nil
}
