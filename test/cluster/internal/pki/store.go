package pki

import (
	"bytes"
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/tls"
	"crypto/x509"
	"encoding/pem"
	"errors"
	"fmt"
	"net"
	"os"
	"path/filepath"
	"time"
)

// Plan says what the certificates are for.
type Plan struct {
	// Server is the URL that components reach the API server at.
	Server string
	// ServerNames and ServerAddresses are all that the API server is reached by.
	ServerNames     []string
	ServerAddresses []net.IP
	// Nodes are the nodes' addresses by name.
	Nodes map[string]net.IP
}

// Store is a directory of certificates, keys and kubeconfig files.
type Store struct {
	// Dir is absolute.
	Dir string
}

// Open returns the certificates in dir and first makes all of them when there are none for exactly this plan, or when they are
// about to expire. It reports whether it made them. A half-made set is never used: the set appears by renaming.
func Open(dir string, p Plan, now time.Time) (s *Store, made bool, err error) {
	plan := fmt.Append(nil, p)
	if current, err := os.ReadFile(filepath.Join(dir, "plan")); err == nil && bytes.Equal(current, plan) && fresh(dir, now) {
		return &Store{Dir: dir}, false, nil
	}
	work := dir + ".making"
	if err := errors.Join(os.RemoveAll(work), os.MkdirAll(work, 0o700)); err != nil {
		return nil, false, err
	}
	if err := generate(work, p, now); err != nil {
		return nil, false, fmt.Errorf("making the cluster's certificates: %w", err)
	}
	if err := os.WriteFile(filepath.Join(work, "plan"), plan, 0o600); err != nil {
		return nil, false, err
	}
	if err := errors.Join(os.RemoveAll(dir), os.Rename(work, dir)); err != nil {
		return nil, false, err
	}
	return &Store{Dir: dir}, true, nil
}

// fresh tells whether the certificates in dir are good for a while.
func fresh(dir string, now time.Time) bool {
	content, err := os.ReadFile(filepath.Join(dir, "ca.crt"))
	if err != nil {
		return false
	}
	block, _ := pem.Decode(content)
	if block == nil {
		return false
	}
	certificate, err := x509.ParseCertificate(block.Bytes)
	return err == nil && now.Add(renewal).Before(certificate.NotAfter)
}

// generate writes a whole set to dir.
func generate(dir string, p Plan, now time.Time) error {
	authorities := make(map[string]*authority)
	// The front proxy's authority must not be the clients': the API server refuses that, since it would make every client an
	// aggregated server.
	for _, name := range []string{"ca", "front-proxy-ca", "etcd-ca"} {
		a, err := newAuthority("relaykeep-cluster-"+name, now)
		if err != nil {
			return err
		}
		if err := write(dir, name, a.certificate.Raw, a.key); err != nil {
			return err
		}
		authorities[name] = a
	}
	key, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	if err != nil {
		return err
	}
	if err := writeKey(filepath.Join(dir, "service-account.key"), key); err != nil {
		return err
	}
	loopback := net.IPv4(127, 0, 0, 1)
	servers := []struct {
		authority, file string
		subject         subject
	}{
		{"etcd-ca", "etcd", subject{name: "etcd", names: []string{"localhost"}, addresses: []net.IP{loopback}}},
		{"etcd-ca", "etcd-client", subject{name: "kube-apiserver"}},
		{"front-proxy-ca", "front-proxy", subject{name: "front-proxy-client"}},
		{"ca", "kube-apiserver", subject{name: "kube-apiserver", names: p.ServerNames, addresses: p.ServerAddresses}},
		{"ca", "kubelet-client", subject{name: "kube-apiserver-kubelet-client", groups: []string{"relaykeep-cluster:kubelet-api"}}},
	}
	for _, s := range servers {
		if err := authorities[s.authority].issue(dir, s.file, s.subject, now); err != nil {
			return err
		}
	}
	return makeClients(dir, authorities["ca"], p, now)
}

// makeClients writes what the API server's clients need: a certificate and a kubeconfig file for each.
func makeClients(dir string, ca *authority, p Plan, now time.Time) error {
	clients := map[string]subject{
		"admin":                   {name: "kubernetes-admin", groups: []string{"system:masters"}},
		"kube-controller-manager": {name: "system:kube-controller-manager"},
		"kube-scheduler":          {name: "system:kube-scheduler"},
		"kube-proxy":              {name: "system:kube-proxy"},
		"kube-router":             {name: "relaykeep-cluster:kube-router"},
		"provisioner":             {name: "relaykeep-cluster:provisioner"},
	}
	for name, address := range p.Nodes {
		clients["kubelet-"+name] = subject{name: "system:node:" + name, groups: []string{"system:nodes"}}
		serving := subject{name: "kubelet-" + name, names: []string{name}, addresses: []net.IP{address}}
		if err := ca.issue(dir, "kubelet-serving-"+name, serving, now); err != nil {
			return err
		}
	}
	for file, s := range clients {
		if err := ca.issue(dir, file, s, now); err != nil {
			return err
		}
		config, err := kubeconfig(dir, file, s.name, p.Server)
		if err != nil {
			return err
		}
		if err := os.WriteFile(filepath.Join(dir, file+".kubeconfig"), config, 0o600); err != nil {
			return err
		}
	}
	return nil
}

// Path is where a file of the set is.
func (s *Store) Path(file string) string { return filepath.Join(s.Dir, file) }

// AdminTLS is how an administrator speaks to the API server.
func (s *Store) AdminTLS() (*tls.Config, error) { return s.clientTLS("ca", "admin") }

func (s *Store) clientTLS(authority, client string) (*tls.Config, error) {
	ca, err := os.ReadFile(s.Path(authority + ".crt"))
	if err != nil {
		return nil, err
	}
	roots := x509.NewCertPool()
	if !roots.AppendCertsFromPEM(ca) {
		return nil, fmt.Errorf("%s holds no certificate", s.Path(authority+".crt"))
	}
	certificate, err := tls.LoadX509KeyPair(s.Path(client+".crt"), s.Path(client+".key"))
	if err != nil {
		return nil, err
	}
	return &tls.Config{RootCAs: roots, Certificates: []tls.Certificate{certificate}, MinVersion: tls.VersionTLS13}, nil
}
