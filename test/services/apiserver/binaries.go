package apiserver

import (
	"context"
	"errors"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"runtime"
	"strings"
)

// AssetsVariable is the environment variable that names the folder with
// kube-apiserver, etcd and kubectl.
const AssetsVariable = "KUBEBUILDER_ASSETS"

// assets returns the folder with the programs.
func assets(ctx context.Context) (string, error) {
	if folder := os.Getenv(AssetsVariable); folder != "" {
		return folder, nil
	}
	folder, err := Binary(ctx, "envtest")
	if err != nil {
		return "", fmt.Errorf("no API server; set %s to a folder with kube-apiserver and etcd: %w", AssetsVariable, err)
	}
	return folder, nil
}

// Binary returns the path of one of the test cluster's programs, and builds it first
// if it is not cached.
func Binary(ctx context.Context, name string) (string, error) {
	cluster, err := File("test", "cluster")
	if err != nil {
		return "", err
	}
	cmd := exec.CommandContext(ctx, "go", "-C", cluster, "run", ".", "binary", name)
	cmd.Stderr = os.Stderr
	out, err := cmd.Output()
	if err != nil {
		return "", fmt.Errorf("no %s: run 'go -C test/cluster run . binary %s' to see why: %w", name, name, err)
	}
	lines := strings.Split(strings.TrimSpace(string(out)), "\n")
	return lines[len(lines)-1], nil
}

// File returns the path of a file or folder of this repository.
func File(elements ...string) (string, error) {
	root, err := repository()
	if err != nil {
		return "", err
	}
	return filepath.Join(append([]string{root}, elements...)...), nil
}

// repository is the folder of the main module, found from this file's own path.
func repository() (string, error) {
	_, file, _, ok := runtime.Caller(0)
	if !ok {
		return "", errors.New("finding the repository: no caller information in this binary")
	}
	for dir := filepath.Dir(file); dir != filepath.Dir(dir); dir = filepath.Dir(dir) {
		if _, err := os.Stat(filepath.Join(dir, "go.mod")); err == nil {
			return dir, nil
		}
	}
	return "", errors.New("finding the repository: no go.mod above " + file)
}
