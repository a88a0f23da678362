// Package testenv starts an API server for a package's tests, with this project's
// kinds installed: a real one, or one in memory for steps that need nothing of a real
// one. It must not know what is tested, and it never skips: without its binaries a
// test fails and says what to run.
package testenv

import (
	"context"
	"errors"
	"fmt"

	apiruntime "k8s.io/apimachinery/pkg/runtime"
	clientgoscheme "k8s.io/client-go/kubernetes/scheme"
	"k8s.io/client-go/rest"
	"sigs.k8s.io/controller-runtime/pkg/client"

	"github.com/relaykeep/relaykeep/api/v1alpha1"
	"github.com/relaykeep/relaykeep/test/services/apiserver"
)

// Server is a running API server.
type Server struct {
	// Config connects as a cluster admin; nil when the server is in memory.
	Config *rest.Config
	// Client is a cluster admin's, without a cache.
	Client client.WithWatch
	server *apiserver.Server
}

// Start starts an API server and installs the kinds of config/crd/bases.
func Start(ctx context.Context) (*Server, error) { return StartStatic(ctx, "") }

// StartStatic is Start with an API server that reads admission policies from the files of a folder of this repository.
func StartStatic(ctx context.Context, policies string) (*Server, error) {
	server, err := apiserver.Start(ctx, apiserver.Options{CRDs: []string{"config/crd/bases"}, StaticPolicies: policies})
	if err != nil {
		return nil, err
	}
	c, err := client.NewWithWatch(server.Config, client.Options{Scheme: Scheme()})
	if err != nil {
		return nil, fmt.Errorf("making a client: %w", errors.Join(err, server.Stop()))
	}
	return &Server{Config: server.Config, Client: c, server: server}, nil
}

// Kubeconfig returns a cluster admin's kubeconfig file, for a program that is not one of these tests.
func (s *Server) Kubeconfig() []byte { return s.server.Kubeconfig() }

// Restart stops the API server, calls down while it is away, and starts it again at its address.
func (s *Server) Restart(down func()) error { return s.server.Restart(down) }

// Stop ends the API server.
func (s *Server) Stop() error {
	if s.server == nil {
		return nil
	}
	return s.server.Stop()
}

// Scheme returns a scheme with Kubernetes' kinds and ours.
func Scheme() *apiruntime.Scheme { return schemeOf(clientgoscheme.AddToScheme, v1alpha1.AddToScheme) }

func schemeOf(kinds ...func(*apiruntime.Scheme) error) *apiruntime.Scheme {
	s := apiruntime.NewScheme()
	for _, add := range kinds {
		if err := add(s); err != nil {
			panic(err) // two kinds of one name: a mistake in this source
		}
	}
	return s
}
