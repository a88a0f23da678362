package main

import (
	"context"
	"errors"
	"fmt"
	"path/filepath"

	corev1 "k8s.io/api/core/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"

	"github.com/relaykeep/relaykeep/api/contract"
	"github.com/relaykeep/relaykeep/relay/vault/setup"
	"github.com/relaykeep/relaykeep/test/rig"
	"github.com/relaykeep/relaykeep/test/services/prosody"
)

// The one business. Its endpoint's name leads to this machine: curl resolves every name
// below localhost to it (RFC 6761, section 6.3).
const (
	namespace = "acme"
	account   = "acme-relay" // the relay's service account
	domain    = "localhost"
	host      = account + "." + namespace + "." + domain
	business  = "+4930111111"
	customer  = "+491701234567"
)

// surroundings are the servers that a relay needs, and the folder with all files.
type surroundings struct {
	*rig.House
	prosody *prosody.Server
	uid     string // of the relay's service account
}

// startSurroundings starts the servers. If it fails, it stops what had started.
func startSurroundings(ctx context.Context) (*surroundings, error) {
	house, err := rig.Open(ctx)
	if err != nil {
		return nil, err
	}
	s := &surroundings{House: house}
	if err := s.start(ctx); err != nil {
		return nil, errors.Join(err, s.stop())
	}
	return s, nil
}

func (s *surroundings) start(ctx context.Context) (err error) {
	o := s.Setup
	o.EndpointDomain = domain
	if err := setup.Apply(ctx, s.Root, o, nil); err != nil {
		return err
	}
	if err := s.addAccount(ctx); err != nil {
		return err
	}
	s.prosody, err = prosody.Start(ctx, filepath.Join(s.Dir, "prosody"), prosody.Options{Registration: true})
	return err
}

// addAccount makes the relay's service account.
func (s *surroundings) addAccount(ctx context.Context) error {
	core := s.Kube.Kube.CoreV1()
	_, err := core.Namespaces().Create(ctx, &corev1.Namespace{ObjectMeta: metav1.ObjectMeta{Name: namespace}}, metav1.CreateOptions{})
	if err != nil {
		return fmt.Errorf("making the business's namespace: %w", err)
	}
	if err := s.Kube.AddServiceAccount(ctx, namespace, account); err != nil {
		return fmt.Errorf("making the relay's account: %w", err)
	}
	a, err := core.ServiceAccounts(namespace).Get(ctx, account, metav1.GetOptions{})
	if err != nil {
		return fmt.Errorf("reading the relay's account: %w", err)
	}
	s.uid = string(a.UID)
	return nil
}

// stop stops the servers that started, and removes everything.
func (s *surroundings) stop() error {
	if s.prosody != nil {
		s.prosody.Stop()
	}
	return s.Close()
}

// token returns a token for the relay's login at Vault, valid for an hour.
func (s *surroundings) token(ctx context.Context) (string, error) {
	return s.Kube.Token(ctx, namespace, account, contract.AudienceRelay(rig.Region))
}
