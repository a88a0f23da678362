package converse

import (
	"archive/tar"
	"bytes"
	"compress/gzip"
	"context"
	"crypto/sha256"
	"encoding/hex"
	"errors"
	"fmt"
	"io"
	"os"
	"os/exec"
	"path/filepath"
	"strings"

	"github.com/relaykeep/relaykeep/test/cache"
)

// The package at npm, and the SHA-256 of its archive.
const (
	release  = "converse.js@14.0.0"
	archive  = "converse.js-14.0.0.tgz"
	checksum = "634f31fa0f7b0e47f1abc60d870ff6805c737577399920ebe92da4c7e5bcaff0"
)

// Install returns a directory with the files that a web server has to serve. It fetches
// them with npm unless an earlier call did. Nothing of the package runs on this machine
// but in the browser.
func Install(ctx context.Context) (string, error) {
	downloads, err := cache.Dir("clients")
	if err != nil {
		return "", err
	}
	raw, err := fetch(ctx, downloads)
	if err != nil {
		return "", err
	}
	dir := filepath.Join(downloads, "converse-"+checksum[:12])
	if _, err := os.Stat(dir); err == nil {
		return dir, nil
	}
	temporary, err := os.MkdirTemp(downloads, "converse-*")
	if err != nil {
		return "", fmt.Errorf("making a directory: %w", err)
	}
	if err := unpack(raw, temporary); err != nil {
		return "", errors.Join(fmt.Errorf("unpacking %s: %w", archive, err), os.RemoveAll(temporary))
	}
	return dir, os.Rename(temporary, dir)
}

// fetch returns the archive, whose checksum is right.
func fetch(ctx context.Context, dir string) ([]byte, error) {
	path := filepath.Join(dir, archive)
	if raw, err := os.ReadFile(path); err == nil && right(raw) {
		return raw, nil
	}
	cmd := exec.CommandContext(ctx, "npm", "pack", "--silent", "--ignore-scripts", release)
	cmd.Dir = dir
	if out, err := cmd.CombinedOutput(); err != nil {
		return nil, fmt.Errorf("npm pack %s, which needs npm and its registry: %w: %s", release, err, out)
	}
	raw, err := os.ReadFile(path)
	if err != nil {
		return nil, err
	}
	if !right(raw) {
		return nil, errors.Join(fmt.Errorf("%s has another checksum than the pinned one", archive), os.Remove(path))
	}
	return raw, nil
}

func right(raw []byte) bool {
	sum := sha256.Sum256(raw)
	return hex.EncodeToString(sum[:]) == checksum
}

// unpack writes the archive's files that browsers load, flat below dir.
func unpack(raw []byte, dir string) error {
	unzipped, err := gzip.NewReader(bytes.NewReader(raw))
	if err != nil {
		return err
	}
	files := tar.NewReader(unzipped)
	for {
		header, err := files.Next()
		if errors.Is(err, io.EOF) {
			return nil
		}
		if err != nil {
			return err
		}
		name, ok := strings.CutPrefix(header.Name, "package/dist/")
		if !ok || header.Typeflag != tar.TypeReg || strings.HasSuffix(name, ".map") || !filepath.IsLocal(name) {
			continue
		}
		path := filepath.Join(dir, name)
		content, err := io.ReadAll(files)
		if err == nil {
			err = os.MkdirAll(filepath.Dir(path), 0o750)
		}
		if err == nil {
			err = os.WriteFile(path, content, 0o600)
		}
		if err != nil {
			return err
		}
	}
}
