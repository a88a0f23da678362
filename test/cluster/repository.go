package main

import (
	"bufio"
	"errors"
	"os"
	"path/filepath"
	"strings"
)

// product is the module whose repository holds the build files and, by default, the cluster's state.
const product = "module github.com/relaykeep/relaykeep"

// repository returns the root of the repository that the working directory is in.
func repository() (string, error) {
	dir, err := os.Getwd()
	if err != nil {
		return "", err
	}
	for {
		if first, err := firstLine(filepath.Join(dir, "go.mod")); err == nil && first == product {
			return dir, nil
		}
		parent := filepath.Dir(dir)
		if parent == dir {
			return "", errors.New("not inside a clone of Relaykeep: run it from there")
		}
		dir = parent
	}
}

func firstLine(path string) (string, error) {
	f, err := os.Open(path)
	if err != nil {
		return "", err
	}
	defer f.Close()
	line, err := bufio.NewReaderSize(f, 4096).ReadSlice('\n')
	return strings.TrimSpace(string(line)), err
}
