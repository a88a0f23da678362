// Package apiserver runs a real Kubernetes API server with its etcd for tests. It must
// not know what is tested, nor this project's kinds: a test names the folders of the
// kinds that it wants installed.
package apiserver

import (
	"context"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"time"

	"k8s.io/client-go/kubernetes"
	"k8s.io/client-go/rest"
	"sigs.k8s.io/controller-runtime/pkg/envtest"

	"github.com/relaykeep/relaykeep/test/repository"
)

// startTimeout is how long the API server and its etcd may each take to answer: on a
// loaded machine the default of twenty seconds is not enough.
const startTimeout = 2 * time.Minute

// Options say how to set up an API server. The zero value is a server with
// Kubernetes' own kinds only.
type Options struct {
	// CRDs are folders of this repository with kinds to install, each relative to the
	// repository's root.
	CRDs []string
	// StaticPolicies is a folder of this repository, relative to its root, with admission policies that the server reads
	// from files; empty for none.
	StaticPolicies string
}

// Server is a running API server. It has no controllers: what a controller would do
// stays undone unless the test does it.
type Server struct {
	// Config connects as a cluster admin, without a limit of requests.
	Config *rest.Config
	// Kube is a cluster admin's client.
	Kube kubernetes.Interface
	env  *envtest.Environment
	dir  string // with the server's configuration and certificates
}

// Start runs an API server until Stop. Without AssetsVariable the programs are taken
// from the test cluster's cache, and built first if they are not there, which takes
// minutes. The context bounds the build; the servers have a time limit of their own.
func Start(ctx context.Context, o Options) (*Server, error) {
	assets, err := assets(ctx)
	if err != nil {
		return nil, err
	}
	env := &envtest.Environment{
		BinaryAssetsDirectory:    assets,
		ErrorIfCRDPathMissing:    true,
		ControlPlaneStartTimeout: startTimeout,
	}
	for _, folder := range o.CRDs {
		path, err := repository.File(folder)
		if err != nil {
			return nil, err
		}
		env.CRDDirectoryPaths = append(env.CRDDirectoryPaths, path)
	}
	env.ControlPlane.Etcd = &envtest.Etcd{}
	env.ControlPlane.Etcd.Configure().Set("unsafe-no-fsync", "true")                           // no test outlives a power cut
	env.ControlPlane.GetAPIServer().Configure().Set("service-cluster-ip-range", "10.0.0.0/16") // envtest's has 254 addresses
	s := &Server{env: env}
	if s.dir, err = os.MkdirTemp("", "relaykeep-apiserver-"); err != nil {
		return nil, fmt.Errorf("configuring the API server: %w", err)
	}
	env.ControlPlane.GetAPIServer().CertDir = s.dir // one of its own would be made anew by a restart
	if err := s.readPolicies(o.StaticPolicies); err != nil {
		return nil, errors.Join(err, s.removeConfiguration())
	}
	cfg, err := env.Start()
	if err != nil {
		return nil, fmt.Errorf("starting the API server: %w", errors.Join(err, s.Stop()))
	}
	// Tests compare what the server holds; the client must not slow them down.
	cfg.QPS, cfg.Burst = -1, -1
	cfg.WarningHandler = rest.NoWarnings{}
	s.Config = cfg
	if s.Kube, err = kubernetes.NewForConfig(cfg); err != nil {
		return nil, fmt.Errorf("making a client: %w", errors.Join(err, s.Stop()))
	}
	return s, nil
}

// Stop ends the API server and its etcd.
func (s *Server) Stop() error { return errors.Join(s.env.Stop(), s.removeConfiguration()) }

// admissionConfiguration has an API server read admission policies from the files of a folder.
const admissionConfiguration = `apiVersion: apiserver.config.k8s.io/v1
kind: AdmissionConfiguration
plugins:
  - name: ValidatingAdmissionPolicy
    configuration:
      apiVersion: apiserver.config.k8s.io/v1
      kind: ValidatingAdmissionPolicyConfiguration
      staticManifestsDir: %q
`

// readPolicies has the server, which does not run yet, read admission policies from a folder.
func (s *Server) readPolicies(folder string) error {
	if folder == "" {
		return nil
	}
	path, err := repository.File(folder)
	if err != nil {
		return err
	}
	file := filepath.Join(s.dir, "admission.yaml")
	if err := os.WriteFile(file, fmt.Appendf(nil, admissionConfiguration, path), 0o600); err != nil {
		return fmt.Errorf("configuring the API server: %w", err)
	}
	s.env.ControlPlane.GetAPIServer().Configure().Set("admission-control-config-file", file)
	return nil
}

func (s *Server) removeConfiguration() error { return os.RemoveAll(s.dir) }

// Kubeconfig returns a cluster admin's kubeconfig file.
func (s *Server) Kubeconfig() []byte { return s.env.KubeConfig }

// UserKubeconfig returns the kubeconfig file of a user who has no rights yet.
func (s *Server) UserKubeconfig(name string) ([]byte, error) {
	user, err := s.env.AddUser(envtest.User{Name: name}, nil)
	if err != nil {
		return nil, fmt.Errorf("adding user %s: %w", name, err)
	}
	return user.KubeConfig()
}

// SigningKeyFile returns the path of the private key that signs service account
// tokens, for a controller manager to use.
func (s *Server) SigningKeyFile() string {
	return filepath.Join(s.env.ControlPlane.APIServer.CertDir, "sa-signer.key")
}
