// Package testenv starts a real API server for a package's tests, with this
// project's kinds and admission policies installed. It must not know what is
// tested, and it never skips: without its binaries a test fails and says what to
// run.
package testenv

import (
	"context"
	"errors"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"runtime"
	"strings"
	"time"

	apiruntime "k8s.io/apimachinery/pkg/runtime"
	clientgoscheme "k8s.io/client-go/kubernetes/scheme"
	"k8s.io/client-go/rest"
	"sigs.k8s.io/controller-runtime/pkg/client"
	"sigs.k8s.io/controller-runtime/pkg/envtest"

	"github.com/relaykeep/relaykeep/api/v1alpha1"
)

// AssetsVariable is the environment variable that names the folder with
// kube-apiserver and etcd. Without it they are taken from the test cluster's cache
// and built if need be, which takes minutes the first time.
const AssetsVariable = "KUBEBUILDER_ASSETS"

// Server is a running API server.
type Server struct {
	// Config connects as a cluster admin.
	Config *rest.Config
	// Client is a cluster admin's, without a cache.
	Client client.Client
	env    *envtest.Environment
}

// Start starts an API server and installs the kinds of config/crd/bases.
func Start(ctx context.Context) (*Server, error) {
	root, err := repository()
	if err != nil {
		return nil, err
	}
	env := &envtest.Environment{
		CRDDirectoryPaths:     []string{filepath.Join(root, "config", "crd", "bases")},
		ErrorIfCRDPathMissing: true,

		ControlPlaneStartTimeout: 2 * time.Minute,
	}
	if os.Getenv(AssetsVariable) == "" {
		if err := useCache(ctx, env, root); err != nil {
			return nil, err
		}
	}
	cfg, err := env.Start()
	if err != nil {
		return nil, fmt.Errorf("starting the API server: %w", errors.Join(err, env.Stop()))
	}
	// Tests compare what the server holds; the client must not slow them down.
	cfg.QPS, cfg.Burst = -1, -1
	cfg.WarningHandler = rest.NoWarnings{}
	c, err := client.New(cfg, client.Options{Scheme: Scheme()})
	if err != nil {
		return nil, fmt.Errorf("making a client: %w", errors.Join(err, env.Stop()))
	}
	return &Server{Config: cfg, Client: c, env: env}, nil
}

// Stop ends the API server.
func (s *Server) Stop() error { return s.env.Stop() }

// Scheme returns a scheme with Kubernetes' kinds and ours.
func Scheme() *apiruntime.Scheme {
	s := apiruntime.NewScheme()
	for _, add := range []func(*apiruntime.Scheme) error{clientgoscheme.AddToScheme, v1alpha1.AddToScheme} {
		if err := add(s); err != nil {
			panic(err) // two kinds of one name: a mistake in this source
		}
	}
	return s
}

// File returns the path of a file of this repository.
func File(elements ...string) (string, error) {
	root, err := repository()
	if err != nil {
		return "", err
	}
	return filepath.Join(append([]string{root}, elements...)...), nil
}

// useCache points env at the binaries of the test cluster.
func useCache(ctx context.Context, env *envtest.Environment, root string) error {
	kubernetes, err := binary(ctx, root, "kubernetes")
	if err != nil {
		return err
	}
	etcd, err := binary(ctx, root, "etcd")
	if err != nil {
		return err
	}
	env.ControlPlane.GetAPIServer().Path = filepath.Join(filepath.Dir(kubernetes), "kube-apiserver")
	env.ControlPlane.Etcd = &envtest.Etcd{Path: etcd}
	env.ControlPlane.Etcd.Configure().Set("unsafe-no-fsync", "true")
	env.ControlPlane.KubectlPath = filepath.Join(filepath.Dir(kubernetes), "kubectl")
	return nil
}

// binary asks the test cluster's cache for a program.
func binary(ctx context.Context, root, name string) (string, error) {
	//nolint:gosec // the folder is this repository's, the name a constant of this file
	cmd := exec.CommandContext(ctx, "go", "-C", filepath.Join(root, "test", "cluster"), "run", ".", "binary", name)
	cmd.Stderr = os.Stderr
	out, err := cmd.Output()
	if err != nil {
		return "", fmt.Errorf("no %s: set %s to a folder with kube-apiserver and etcd, or run 'go -C test/cluster run . binaries': %w",
			name, AssetsVariable, err)
	}
	lines := strings.Split(strings.TrimSpace(string(out)), "\n")
	return lines[len(lines)-1], nil
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
