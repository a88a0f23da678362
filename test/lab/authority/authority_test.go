package authority

import (
	"crypto/tls"
	"crypto/x509"
	"io"
	"net"
	"net/http"
	"net/http/httptest"
	"os"
	"testing"
)

// get fetches from a server with the pair, trusting the authority only.
func get(t *testing.T, a *Authority, pair Pair, host string) error {
	t.Helper()
	cert, err := tls.LoadX509KeyPair(pair.Cert, pair.Key)
	if err != nil {
		t.Fatal(err)
	}
	s := httptest.NewUnstartedServer(http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) { _, _ = io.WriteString(w, "ok") }))
	s.TLS = &tls.Config{Certificates: []tls.Certificate{cert}}
	s.Config.ErrorLog = nil
	s.StartTLS()
	defer s.Close()
	pool := x509.NewCertPool()
	if !pool.AppendCertsFromPEM([]byte(a.PEM())) {
		t.Fatal("the authority's PEM holds no certificate")
	}
	conn, err := tls.Dial("tcp", s.Listener.Addr().(*net.TCPAddr).String(), &tls.Config{RootCAs: pool, ServerName: host})
	if err != nil {
		return err
	}
	return conn.Close()
}

func TestServerIsTrustedUnderItsHostsOnly(t *testing.T) {
	a, err := Open(t.TempDir())
	if err != nil {
		t.Fatal(err)
	}
	pair, err := a.Server("vault-eu", "10.99.0.1", "eu.relay.test")
	if err != nil {
		t.Fatal(err)
	}
	for _, host := range []string{"10.99.0.1", "eu.relay.test"} {
		if err := get(t, a, pair, host); err != nil {
			t.Errorf("%s: %v", host, err)
		}
	}
	for _, host := range []string{"10.99.0.2", "na.relay.test", "www.eu.relay.test"} {
		if err := get(t, a, pair, host); err == nil {
			t.Errorf("%s is trusted", host)
		}
	}
}

func TestSecondOpenAndSecondServerKeepWhatIsThere(t *testing.T) {
	dir := t.TempDir()
	var seen []string
	for range 2 {
		a, err := Open(dir)
		if err != nil {
			t.Fatal(err)
		}
		pair, err := a.Server("prosody", "eu.relay.test")
		if err != nil {
			t.Fatal(err)
		}
		cert, err := os.ReadFile(pair.Cert)
		if err != nil {
			t.Fatal(err)
		}
		seen = append(seen, a.PEM(), string(cert))
	}
	if seen[0] != seen[2] || seen[1] != seen[3] {
		t.Error("opening twice changed the certificates")
	}
}

func TestCertificate_IsMadeAgainForOtherHostsOrAnotherAuthority(t *testing.T) {
	dir := t.TempDir()
	a, err := Open(dir)
	if err != nil {
		t.Fatal(err)
	}
	if _, err := a.Server("vault", "10.99.0.1"); err != nil {
		t.Fatal(err)
	}
	pair, err := a.Server("vault", "10.99.0.9")
	if err != nil {
		t.Fatal(err)
	}
	if err := get(t, a, pair, "10.99.0.9"); err != nil {
		t.Error(err)
	}
	for _, name := range []string{a.pair("ca").Cert, a.pair("ca").Key} {
		if err := os.Remove(name); err != nil {
			t.Fatal(err)
		}
	}
	b, err := Open(dir)
	if err != nil {
		t.Fatal(err)
	}
	if pair, err = b.Server("vault", "10.99.0.9"); err != nil {
		t.Fatal(err)
	}
	if err := get(t, b, pair, "10.99.0.9"); err != nil {
		t.Error(err)
	}
	if err := get(t, a, pair, "10.99.0.9"); err == nil {
		t.Error("the old authority vouches for the new one's certificate")
	}
}

func TestKeysAreForTheirOwnerOnly(t *testing.T) {
	a, err := Open(t.TempDir())
	if err != nil {
		t.Fatal(err)
	}
	for _, name := range []string{a.pair("ca").Key} {
		info, err := os.Stat(name)
		if err != nil {
			t.Fatal(err)
		}
		if info.Mode().Perm() != 0o600 {
			t.Errorf("%s has mode %v", name, info.Mode())
		}
	}
}

func TestTornAuthorityIsAnError(t *testing.T) {
	dir := t.TempDir()
	a, err := Open(dir)
	if err != nil {
		t.Fatal(err)
	}
	if err := os.WriteFile(a.File(), []byte("torn"), 0o644); err != nil {
		t.Fatal(err)
	}
	if _, err := Open(dir); err == nil {
		t.Error("a torn authority was replaced in silence: every caBundle that names it would fail")
	}
}
