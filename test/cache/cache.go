// Package cache finds where tests keep what they download. It must not know what that is.
package cache

import (
	"fmt"
	"os"
	"path/filepath"
)

// Dir returns a directory of that name below ${RELAYKEEP_CACHE:-${XDG_CACHE_HOME:-$HOME/.cache}/relaykeep},
// and makes it.
func Dir(name string) (string, error) {
	dir := os.Getenv("RELAYKEEP_CACHE")
	if dir == "" {
		user, err := os.UserCacheDir()
		if err != nil {
			return "", fmt.Errorf("finding the cache directory: %w (set RELAYKEEP_CACHE)", err)
		}
		dir = filepath.Join(user, "relaykeep")
	}
	dir = filepath.Join(dir, name)
	if err := os.MkdirAll(dir, 0o750); err != nil {
		return "", fmt.Errorf("making the cache directory: %w", err)
	}
	return dir, nil
}
