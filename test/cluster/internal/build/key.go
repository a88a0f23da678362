package build

import (
	"crypto/sha256"
	"encoding/hex"
	"fmt"
	"io"
	"os"
	"path/filepath"
	"strings"
)

// maxInput bounds a build file: the go.sum of all programs is below 100 kB.
const maxInput = 4 << 20

// Key names what the build of s from the module in dir, by the toolchain of that description, yields: the same key means the same
// program. It is <name>-<version>-<hash>.
func Key(s Spec, dir, toolchain string) (string, error) {
	files, err := inputs(dir, s)
	if err != nil {
		return "", err
	}
	h := sha256.New()
	fmt.Fprintf(h, "toolchain %q arguments %q links %q\n", toolchain, arguments([]Spec{s}, ""), s.Links)
	for _, name := range files {
		content, err := readLimited(filepath.Join(dir, name))
		if err != nil {
			return "", err
		}
		fmt.Fprintf(h, "file %q %x\n", name, sha256.Sum256(content))
	}
	return s.Name + "-" + s.Version + "-" + hex.EncodeToString(h.Sum(nil))[:12], nil
}

// inputs are the files of the module in dir that the build of s reads, in order.
func inputs(dir string, s Spec) ([]string, error) {
	files := []string{"go.mod", "go.sum"}
	if s.Package != "" {
		return files, nil
	}
	entries, err := os.ReadDir(filepath.Join(dir, s.Name))
	if err != nil {
		return nil, fmt.Errorf("reading the build files: %w", err)
	}
	for _, e := range entries {
		if strings.HasSuffix(e.Name(), ".go") {
			files = append(files, filepath.Join(s.Name, e.Name()))
		}
	}
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
