package apiserver

import (
	"context"
	"fmt"
	"os"

	"github.com/relaykeep/relaykeep/test/repository"
)

// AssetsVariable is the environment variable that names the folder with
// kube-apiserver, etcd and kubectl.
const AssetsVariable = "KUBEBUILDER_ASSETS"

// assets returns the folder with the programs.
func assets(ctx context.Context) (string, error) {
	if folder := os.Getenv(AssetsVariable); folder != "" {
		return folder, nil
	}
	folder, err := repository.Program(ctx, "envtest")
	if err != nil {
		return "", fmt.Errorf("no API server; set %s to a folder with kube-apiserver and etcd: %w", AssetsVariable, err)
	}
	return folder, nil
}
