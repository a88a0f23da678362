// Package nodeclients runs published clients of the Cloud API that are written for Node.js, as a
// business would: @kapso/whatsapp-cloud-api and @chat-adapter/whatsapp, in the versions and with the
// checksums that package-lock.json has. It must not know what answers them.
package nodeclients

import (
	"context"
	"crypto/sha256"
	_ "embed"
	"encoding/hex"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"os/exec"
	"path/filepath"

	"github.com/relaykeep/relaykeep/test/cache"
)

var (
	//go:embed package.json
	manifest []byte
	//go:embed package-lock.json
	lock []byte
	//go:embed drive.mjs
	program []byte
)

// Install returns a directory with the clients. It fetches them with npm unless an earlier call did,
// and runs nothing of them.
func Install(ctx context.Context) (string, error) {
	dir, err := place()
	if err != nil {
		return "", err
	}
	if _, err := os.Stat(dir); !errors.Is(err, fs.ErrNotExist) {
		return dir, err
	}
	temporary, err := os.MkdirTemp(filepath.Dir(dir), "node-*")
	if err != nil {
		return "", fmt.Errorf("making a directory: %w", err)
	}
	if err := fill(ctx, temporary); err != nil {
		return "", errors.Join(err, os.RemoveAll(temporary))
	}
	err = os.Rename(temporary, dir)
	if errors.Is(err, fs.ErrExist) { // another process was faster
		err = os.RemoveAll(temporary)
	}
	return dir, err
}

// fill installs the clients below a directory.
func fill(ctx context.Context, dir string) error {
	for name, content := range map[string][]byte{"package.json": manifest, "package-lock.json": lock, "drive.mjs": program} {
		if err := os.WriteFile(filepath.Join(dir, name), content, 0o600); err != nil {
			return err
		}
	}
	cmd := exec.CommandContext(ctx, "npm", "ci", "--ignore-scripts", "--no-audit", "--no-fund", "--silent")
	cmd.Dir = dir
	if out, err := cmd.CombinedOutput(); err != nil {
		return fmt.Errorf("npm ci, which needs npm and its registry: %w: %s", err, out)
	}
	return nil
}

// place is where the clients are kept: other versions, or another program, are at another place.
func place() (string, error) {
	dir, err := cache.Dir("clients")
	if err != nil {
		return "", err
	}
	sum := sha256.New()
	for _, content := range [][]byte{manifest, lock, program} {
		sum.Write(content)
	}
	return filepath.Join(dir, "node-"+hex.EncodeToString(sum.Sum(nil)[:6])), nil
}
