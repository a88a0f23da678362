package build

import (
	"crypto/sha256"
	"encoding/hex"
	"fmt"
	"io"
	"os"
	"path/filepath"
	"slices"
	"strings"
)

// maxInput bounds a build file: the largest go.sum is below 200 kB.
const maxInput = 4 << 20

// Key names what the build of s from the files in dir, by the toolchain of that description, yields: the same key means the same
// program. It is <name>-<version>-<hash>.
func Key(s Spec, dir, toolchain string) (string, error) {
	files, err := inputs(dir)
	if err != nil {
		return "", err
	}
	h := sha256.New()
	fmt.Fprintf(h, "toolchain %q arguments %q links %q\n", toolchain, s.arguments(""), s.Links)
	for _, name := range files {
		content, err := readLimited(filepath.Join(dir, name))
		if err != nil {
			return "", err
		}
		fmt.Fprintf(h, "file %q %x\n", name, sha256.Sum256(content))
	}
	return s.Name + "-" + s.Version + "-" + hex.EncodeToString(h.Sum(nil))[:12], nil
}

// inputs are the names of the files in dir that a build reads, in order.
func inputs(dir string) ([]string, error) {
	entries, err := os.ReadDir(dir)
	if err != nil {
		return nil, fmt.Errorf("reading the build files: %w", err)
	}
	var files []string
	for _, e := range entries {
		name := e.Name()
		if name == "go.mod" || name == "go.sum" || strings.HasSuffix(name, ".go") {
			files = append(files, name)
		}
	}
	if !slices.Contains(files, "go.mod") {
		return nil, fmt.Errorf("no go.mod in %s", dir)
	}
	slices.Sort(files)
	return files, nil
}

func readLimited(path string) ([]byte, error) {
	f, err := os.Open(path)
	if err != nil {
		return nil, err
	}
	defer f.Close()
	content, err := io.ReadAll(io.LimitReader(f, maxInput+1))
	if err != nil {
		return nil, fmt.Errorf("reading %s: %w", path, err)
	}
	if len(content) > maxInput {
		return nil, fmt.Errorf("%s is larger than %d bytes", path, maxInput)
	}
	return content, nil
}
