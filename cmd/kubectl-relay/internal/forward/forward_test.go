package forward_test

import (
	"bytes"
	"context"
	"crypto/rand"
	"errors"
	"io"
	"net"
	"net/http"
	"net/http/httptest"
	"net/http/httputil"
	"net/url"
	"strings"
	"sync/atomic"
	"testing"
	"time"

	corev1 "k8s.io/api/core/v1"
	apierrors "k8s.io/apimachinery/pkg/api/errors"
	"k8s.io/client-go/rest"
	"k8s.io/client-go/tools/clientcmd"

	"github.com/relaykeep/relaykeep/cmd/kubectl-relay/internal/forward"
	"github.com/relaykeep/relaykeep/test/services/apiserver"
	"github.com/relaykeep/relaykeep/test/services/kubelet"
)

// echo returns the address of a server that returns what it gets.
func echo(t *testing.T) string {
	t.Helper()
	l, err := net.Listen("tcp", "127.0.0.1:0")
	check(t, err)
	t.Cleanup(func() { _ = l.Close() })
	go func() {
		for {
			c, err := l.Accept()
			if err != nil {
				return
			}
			go func() {
				defer func() { _ = c.Close() }()
				_, _ = io.Copy(c, c)
			}()
		}
	}()
	return l.Addr().String()
}

func TestForward(t *testing.T) {
	server := apiserver.StartT(t, apiserver.Options{})
	kubelet.StartT(t, server.Kube, "node", kubelet.Ports{8443: echo(t)})
	check(t, kubelet.RunPod(t.Context(), server.Kube, "node", "default", "acme-relay-0", corev1.PodRunning))
	older, refused := withoutWebsockets(t, server.Config)
	for name, config := range map[string]*rest.Config{"over a websocket": server.Config, "over SPDY": older} {
		t.Run("carries bytes "+name, func(t *testing.T) { carries(t, config) })
		t.Run("says that nothing listens "+name, func(t *testing.T) { tellsOfAClosedPort(t, config) })
	}
	if refused.Load() == 0 {
		t.Error("no websocket was tried first")
	}
	t.Run("is refused as the API server words it", func(t *testing.T) {
		raw, err := server.UserKubeconfig("stranger")
		check(t, err)
		stranger, err := clientcmd.RESTConfigFromKubeConfig(raw)
		check(t, err)
		_, err = forward.Open(t.Context(), stranger, "default", "acme-relay-0")
		if !apierrors.IsForbidden(err) || !strings.Contains(err.Error(), `cannot create resource "pods/portforward"`) {
			t.Errorf("error %v", err)
		}
	})
	t.Run("knows a pod that is not there", func(t *testing.T) {
		if _, err := forward.Open(t.Context(), server.Config, "default", "nobody"); !apierrors.IsNotFound(err) {
			t.Errorf("error %v", err)
		}
	})
}

// carries sends more than a window holds, on two connections at once, and wants it back.
func carries(t *testing.T, config *rest.Config) {
	f, err := forward.Open(t.Context(), config, "default", "acme-relay-0")
	check(t, err)
	defer func() { check(t, f.Close()) }()
	const size = 1 << 20
	ends := make(chan error, 2)
	for range 2 {
		go func() {
			sent := make([]byte, size)
			_, _ = rand.Read(sent)
			c, err := f.Dial(8443)
			if err != nil {
				ends <- err
				return
			}
			defer func() { _ = c.Close() }()
			go func() { _, _ = c.Write(sent) }()
			got := make([]byte, size)
			if _, err = io.ReadFull(c, got); err == nil && !bytes.Equal(sent, got) {
				err = errors.New("it came back changed")
			}
			ends <- err
		}()
	}
	for range 2 {
		check(t, <-ends)
	}
}

func tellsOfAClosedPort(t *testing.T, config *rest.Config) {
	f, err := forward.Open(t.Context(), config, "default", "acme-relay-0")
	check(t, err)
	defer func() { _ = f.Close() }()
	c, err := f.Dial(81)
	if err == nil {
		_, err = c.Read(make([]byte, 1))
		_ = c.Close()
	}
	var closed *forward.RefusedError
	if !errors.As(err, &closed) || closed.Port != 81 || !strings.Contains(err.Error(), "nothing listens at port 81") {
		t.Errorf("error %v", err)
	}
}

// withoutWebsockets is a proxy before an API server that passes no websockets on, and counts those.
func withoutWebsockets(t *testing.T, config *rest.Config) (*rest.Config, *atomic.Int64) {
	t.Helper()
	behind := rest.CopyConfig(config)
	behind.NextProtos = []string{"http/1.1"}
	transport, err := rest.TransportFor(behind)
	check(t, err)
	to, err := url.Parse(config.Host)
	check(t, err)
	pass := &httputil.ReverseProxy{Transport: transport, Rewrite: func(r *httputil.ProxyRequest) { r.SetURL(to) }}
	var refused atomic.Int64
	server := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		if strings.EqualFold(r.Header.Get("Upgrade"), "websocket") {
			refused.Add(1)
			http.Error(w, "no websockets", http.StatusBadRequest)
			return
		}
		pass.ServeHTTP(w, r)
	}))
	t.Cleanup(server.Close)
	return &rest.Config{Host: server.URL}, &refused
}

func TestForward_GivesUpInTime(t *testing.T) {
	silent, err := net.Listen("tcp", "127.0.0.1:0") // takes connections and says nothing
	check(t, err)
	defer func() { _ = silent.Close() }()
	ctx, cancel := context.WithTimeout(t.Context(), 50*time.Millisecond)
	defer cancel()
	_, err = forward.Open(ctx, &rest.Config{Host: "http://" + silent.Addr().String()}, "default", "acme-relay-0")
	if !errors.Is(err, context.DeadlineExceeded) {
		t.Errorf("error %v", err)
	}
}

func check(t *testing.T, err error) {
	t.Helper()
	if err != nil {
		t.Fatal(err)
	}
}
