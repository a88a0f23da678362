package pki

import (
	"crypto/tls"
	"crypto/x509"
	"encoding/json"
	"encoding/pem"
	"io"
	"net"
	"net/http"
	"net/http/httptest"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"time"
)

func plan() Plan {
	return Plan{
		Server:      "https://10.0.0.1:6443",
		ServerNames: []string{"localhost", "kubernetes.default.svc"}, ServerAddresses: []net.IP{net.IPv4(127, 0, 0, 1), net.IPv4(10, 96, 0, 1)},
		Nodes: map[string]net.IP{"first": net.IPv4(10, 0, 0, 1), "second": net.IPv4(10, 0, 0, 2)},
	}
}

func open(t *testing.T, dir string, p Plan, now time.Time) (*Store, bool) {
	t.Helper()
	s, made, err := Open(dir, p, now)
	if err != nil {
		t.Fatal(err)
	}
	return s, made
}

func certificate(t *testing.T, s *Store, file string) *x509.Certificate {
	t.Helper()
	content, err := os.ReadFile(s.Path(file + ".crt"))
	if err != nil {
		t.Fatal(err)
	}
	block, _ := pem.Decode(content)
	c, err := x509.ParseCertificate(block.Bytes)
	if err != nil {
		t.Fatal(err)
	}
	return c
}

func TestOpenMakesASetOnce(t *testing.T) {
	dir := filepath.Join(t.TempDir(), "pki")
	now := time.Now()
	s, made := open(t, dir, plan(), now)
	if !made {
		t.Error("the first call did not make it")
	}
	first := certificate(t, s, "admin")
	if _, made := open(t, dir, plan(), now.Add(24*time.Hour)); made {
		t.Error("made again a day later")
	}
	if again := certificate(t, s, "admin"); !again.Equal(first) {
		t.Error("the certificate is another one")
	}
}

func TestOpenMakesASetAnew(t *testing.T) {
	now := time.Now()
	moved := plan()
	moved.Nodes = map[string]net.IP{"first": net.IPv4(10, 0, 0, 9)}
	for what, c := range map[string]struct {
		plan Plan
		now  time.Time
		harm func(dir string) error
	}{
		"for another plan":      {moved, now, nil},
		"before it expires":     {plan(), now.Add(lifetime - renewal + time.Hour), nil},
		"when it is damaged":    {plan(), now, func(dir string) error { return os.WriteFile(filepath.Join(dir, "ca.crt"), nil, 0o600) }},
		"when it was cut short": {plan(), now, func(dir string) error { return os.Rename(dir, dir+".making") }},
	} {
		dir := filepath.Join(t.TempDir(), "pki")
		open(t, dir, plan(), now)
		if c.harm != nil {
			if err := c.harm(dir); err != nil {
				t.Fatal(err)
			}
		}
		if _, made := open(t, dir, c.plan, c.now); !made {
			t.Errorf("%s: not made again", what)
		}
		if _, made := open(t, dir, c.plan, c.now); made {
			t.Errorf("%s: made once more", what)
		}
	}
}

func TestServersNameWhereTheyAreReached(t *testing.T) {
	s, _ := open(t, filepath.Join(t.TempDir(), "pki"), plan(), time.Now())
	for file, hosts := range map[string][]string{
		"kube-apiserver":         {"localhost", "kubernetes.default.svc", "127.0.0.1", "10.96.0.1"},
		"kubelet-serving-first":  {"first", "10.0.0.1"},
		"kubelet-serving-second": {"second", "10.0.0.2"},
		"etcd":                   {"localhost", "127.0.0.1"},
	} {
		c := certificate(t, s, file)
		for _, host := range hosts {
			if err := c.VerifyHostname(host); err != nil {
				t.Errorf("%s: %v", file, err)
			}
		}
		if c.VerifyHostname("other.test") == nil {
			t.Errorf("%s names other.test", file)
		}
	}
}

func TestClientsAreWhoTheyShouldBe(t *testing.T) {
	s, _ := open(t, filepath.Join(t.TempDir(), "pki"), plan(), time.Now())
	for file, want := range map[string]struct{ name, group string }{
		"admin":                   {"kubernetes-admin", "system:masters"},
		"kubelet-second":          {"system:node:second", "system:nodes"},
		"kube-controller-manager": {"system:kube-controller-manager", ""},
		"kube-scheduler":          {"system:kube-scheduler", ""},
	} {
		c := certificate(t, s, file)
		if c.Subject.CommonName != want.name || strings.Join(c.Subject.Organization, ",") != want.group {
			t.Errorf("%s is %s of %v", file, c.Subject.CommonName, c.Subject.Organization)
		}
		if slices.Contains(c.ExtKeyUsage, x509.ExtKeyUsageServerAuth) {
			t.Errorf("%s may be a server", file)
		}
	}
}

func TestAuthoritiesDoNotVouchForEachOthersClients(t *testing.T) {
	s, _ := open(t, filepath.Join(t.TempDir(), "pki"), plan(), time.Now())
	authorities := map[string]string{"ca": "admin", "etcd-ca": "etcd-client", "front-proxy-ca": "front-proxy"}
	for authority := range authorities {
		roots := x509.NewCertPool()
		roots.AddCert(certificate(t, s, authority))
		for other, client := range authorities {
			_, err := certificate(t, s, client).Verify(x509.VerifyOptions{Roots: roots, KeyUsages: []x509.ExtKeyUsage{x509.ExtKeyUsageClientAuth}})
			if (err == nil) != (authority == other) {
				t.Errorf("%s for a client of %s: %v", authority, other, err)
			}
		}
	}
}

func TestCertificates_AdministratorAndServerTrustEachOther(t *testing.T) {
	s, _ := open(t, filepath.Join(t.TempDir(), "pki"), plan(), time.Now())
	pair, err := tls.LoadX509KeyPair(s.Path("kube-apiserver.crt"), s.Path("kube-apiserver.key"))
	if err != nil {
		t.Fatal(err)
	}
	admin, err := s.AdminTLS()
	if err != nil {
		t.Fatal(err)
	}
	server := httptest.NewUnstartedServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		_, _ = io.WriteString(w, r.TLS.PeerCertificates[0].Subject.CommonName)
	}))
	server.TLS = &tls.Config{Certificates: []tls.Certificate{pair}, ClientAuth: tls.RequireAndVerifyClientCert, ClientCAs: admin.RootCAs}
	server.StartTLS()
	defer server.Close()
	client := &http.Client{Transport: &http.Transport{TLSClientConfig: admin}}
	response, err := client.Get(server.URL)
	if err != nil {
		t.Fatal(err)
	}
	defer response.Body.Close()
	if body, err := io.ReadAll(response.Body); err != nil || string(body) != "kubernetes-admin" {
		t.Errorf("the server sees %q, %v", body, err)
	}
}

func TestKeysAreReadableByTheOwnerOnly(t *testing.T) {
	s, _ := open(t, filepath.Join(t.TempDir(), "pki"), plan(), time.Now())
	entries, err := os.ReadDir(s.Dir)
	if err != nil {
		t.Fatal(err)
	}
	for _, e := range entries {
		if info, err := e.Info(); err != nil || info.Mode().Perm() != 0o600 {
			t.Errorf("%s: %v, %v", e.Name(), info.Mode(), err)
		}
	}
}

func TestKubeconfig_HoldsAllThatItsHolderNeeds(t *testing.T) {
	s, _ := open(t, filepath.Join(t.TempDir(), "pki"), plan(), time.Now())
	content, err := os.ReadFile(s.Path("kubelet-first.kubeconfig"))
	if err != nil {
		t.Fatal(err)
	}
	var config struct {
		Clusters []struct {
			Cluster struct {
				Server    string
				Authority []byte `json:"certificate-authority-data"`
			}
		}
		Users []struct {
			User struct {
				Certificate []byte `json:"client-certificate-data"`
				Key         []byte `json:"client-key-data"`
			}
		}
		Current  string `json:"current-context"`
		Contexts []struct{ Name string }
	}
	if err := json.Unmarshal(content, &config); err != nil {
		t.Fatal(err)
	}
	if got := config.Clusters[0].Cluster.Server; got != plan().Server {
		t.Errorf("the server is %q", got)
	}
	if config.Current != config.Contexts[0].Name {
		t.Errorf("the current context %q is not there", config.Current)
	}
	if _, err := tls.X509KeyPair(config.Users[0].User.Certificate, config.Users[0].User.Key); err != nil {
		t.Error(err)
	}
	if !x509.NewCertPool().AppendCertsFromPEM(config.Clusters[0].Cluster.Authority) {
		t.Error("no authority is in it")
	}
}
