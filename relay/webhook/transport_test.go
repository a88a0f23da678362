package webhook_test

import (
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/tls"
	"crypto/x509"
	"encoding/pem"
	"math/big"
	"net"
	"net/http"
	"net/http/httptest"
	"sync/atomic"
	"testing"
	"time"

	"github.com/relaykeep/relaykeep/api/contract"
	"github.com/relaykeep/relaykeep/relay/webhook"
)

// connected is a receiver that counts connections, the HTTP version of the last request, and its client
// certificates.
type connected struct {
	*receiver
	connections, major, certificates atomic.Int64
}

// newConnected returns a receiver that speaks HTTP/2 or only HTTP/1.1.
func newConnected(t *testing.T, http2 bool, auth tls.ClientAuthType) *connected {
	t.Helper()
	c := &connected{receiver: &receiver{handshake: echo, post: ok}}
	c.Server = httptest.NewUnstartedServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		c.major.Store(int64(r.ProtoMajor))
		c.certificates.Store(int64(len(r.TLS.PeerCertificates)))
		c.ServeHTTP(w, r)
	}))
	c.EnableHTTP2 = http2
	c.TLS = &tls.Config{MinVersion: tls.VersionTLS12, ClientAuth: auth}
	c.Config.ConnState = func(_ net.Conn, s http.ConnState) {
		if s == http.StateNew {
			c.connections.Add(1)
		}
	}
	c.StartTLS()
	t.Cleanup(c.Close)
	return c
}

func TestConnection_IsKeptAndHTTP2WhereTheReceiverSpeaksIt(t *testing.T) {
	for name, want := range map[string]int64{"HTTP/1.1": 1, "HTTP/2": 2} {
		t.Run(name, func(t *testing.T) {
			c := newConnected(t, want == 2, tls.NoClientCert)
			f := deliver(t, c.as()).start(t)
			f.reason(t, contract.True, webhook.ReasonVerified)
			for i := range int64(12) {
				accepts := i%3 != 2
				if c.behave(echo, ok); !accepts { // an error does not end the connection
					c.behave(echo, answer(http.StatusServiceUnavailable))
				}
				if done := f.work(t.Context(), job(i+1)).Done; done != accepts {
					t.Errorf("delivery %d: done %v", i, done)
				}
			}
			if n := c.connections.Load(); c.major.Load() != want || n != 1 {
				t.Errorf("HTTP/%d over %d connections, want HTTP/%d over one", c.major.Load(), n, want)
			}
		})
	}
}

func TestClientCertificate_IsPresentedOverHTTP2AndReadForEachConnection(t *testing.T) {
	c := newConnected(t, true, tls.RequireAnyClientCert)
	to, read := c.as(), 0
	to.Certificate = func() (*tls.Certificate, error) {
		read++
		return &c.TLS.Certificates[0], nil
	}
	f := deliver(t, to).start(t)
	f.reason(t, contract.True, webhook.ReasonVerified)
	if !f.work(t.Context(), job(1)).Done || c.major.Load() != 2 || c.certificates.Load() != 1 || read != 1 {
		t.Errorf("HTTP/%d, %d client certificates, read %d times", c.major.Load(), c.certificates.Load(), read)
	}
	c.CloseClientConnections()
	for range 3 { // the first may still go to the connection that ended
		f.work(t.Context(), job(2))
	}
	if read < 2 {
		t.Error("a new connection has the certificate of the former one")
	}
}

// A business that names its own authority trusts no other beside it.
func TestCABundle_StandsInPlaceOfAllOthers(t *testing.T) {
	c := newConnected(t, true, tls.NoClientCert)
	to := c.as()
	to.CABundle = authority(t)
	deliver(t, to).start(t).reason(t, contract.False, webhook.ReasonUntrusted)
	to.CABundle += c.bundle()
	deliver(t, to).start(t).reason(t, contract.True, webhook.ReasonVerified)
}

// authority is another authority's certificate in PEM.
func authority(t *testing.T) string {
	t.Helper()
	key, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	if err != nil {
		t.Fatal(err)
	}
	about := &x509.Certificate{SerialNumber: big.NewInt(1), NotAfter: time.Now().Add(time.Hour), IsCA: true, BasicConstraintsValid: true}
	der, err := x509.CreateCertificate(rand.Reader, about, about, key.Public(), key)
	if err != nil {
		t.Fatal(err)
	}
	return string(pem.EncodeToMemory(&pem.Block{Type: "CERTIFICATE", Bytes: der}))
}
