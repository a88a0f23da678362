package main

import (
	"context"
	"crypto/sha256"
	"encoding/hex"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"maps"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"
)

// sumsFile has a line for every other file, as sha256sum writes and checks it.
const sumsFile = "SHA256SUMS"

// writeSums writes the checksums of a folder's files into it, and returns them by name.
func writeSums(dir string) (map[string]string, error) {
	entries, err := os.ReadDir(dir)
	if err != nil {
		return nil, fmt.Errorf("summing up: %w", err)
	}
	sums := map[string]string{}
	for _, e := range entries {
		if sums[e.Name()], err = sumOf(filepath.Join(dir, e.Name())); err != nil {
			return nil, err
		}
	}
	var text strings.Builder
	for _, name := range slices.Sorted(maps.Keys(sums)) {
		fmt.Fprintf(&text, "%s  %s\n", sums[name], name)
	}
	if err := os.WriteFile(filepath.Join(dir, sumsFile), []byte(text.String()), 0o644); err != nil {
		return nil, fmt.Errorf("writing the checksums: %w", err)
	}
	return sums, nil
}

func sumOf(path string) (string, error) {
	f, err := os.Open(path)
	if err != nil {
		return "", fmt.Errorf("summing up: %w", err)
	}
	defer f.Close()
	sum := sha256.New()
	if _, err := io.Copy(sum, f); err != nil {
		return "", fmt.Errorf("summing up: %w", err)
	}
	return hex.EncodeToString(sum.Sum(nil)), nil
}

// differences returns the names whose sums are not the same in both, sorted.
func differences(a, b map[string]string) []string {
	names := map[string]bool{}
	for name, sum := range a {
		names[name] = b[name] != sum
	}
	for name, sum := range b {
		names[name] = a[name] != sum
	}
	maps.DeleteFunc(names, func(_ string, differs bool) bool { return !differs })
	return slices.Sorted(maps.Keys(names))
}

// copySource copies what git has or would take of a source tree, with what is changed in
// it, into an empty folder.
func copySource(ctx context.Context, from, to string) error {
	cmd := exec.CommandContext(ctx, "git", "ls-files", "-z", "--cached", "--others", "--exclude-standard")
	cmd.Dir, cmd.Stderr = from, os.Stderr
	out, err := cmd.Output()
	if err != nil {
		return fmt.Errorf("listing the source: %w", err)
	}
	for name := range strings.SplitSeq(strings.TrimSuffix(string(out), "\x00"), "\x00") {
		if err := copyFile(filepath.Join(from, name), filepath.Join(to, name)); err != nil {
			return fmt.Errorf("copying the source: %w", err)
		}
	}
	return nil
}

// copyFile copies a file with its mode. One that git has and the tree has not is left out.
func copyFile(from, to string) error {
	info, err := os.Lstat(from)
	if errors.Is(err, fs.ErrNotExist) {
		return nil
	}
	if err != nil {
		return err
	}
	if !info.Mode().IsRegular() {
		return fmt.Errorf("%s is no regular file", from)
	}
	data, err := os.ReadFile(from)
	if err != nil {
		return err
	}
	if err := os.MkdirAll(filepath.Dir(to), 0o755); err != nil {
		return err
	}
	return os.WriteFile(to, data, info.Mode().Perm())
}
