package media_test

import (
	"bytes"
	"encoding/pem"
	"errors"
	"io"
	"net"
	"net/http"
	"net/http/httptest"
	"net/netip"
	"net/url"
	"strings"
	"testing"

	"github.com/relaykeep/relaykeep/relay/media"
)

func loopback(a netip.Addr) bool { return a.IsLoopback() }

// serve runs a web server and returns its base URL.
func serve(t *testing.T, h http.HandlerFunc) string {
	t.Helper()
	s := httptest.NewServer(h)
	t.Cleanup(s.Close)
	return s.URL
}

func TestDownload_IsDownloaded(t *testing.T) {
	body := random(100_000)
	base := serve(t, func(w http.ResponseWriter, r *http.Request) {
		if r.URL.Path == "/moved" {
			http.Redirect(w, r, "/dir/photo.jpg", http.StatusFound)
			return
		}
		w.Header().Set("Content-Type", "image/JPEG; x=y")
		_, _ = w.Write(body)
	})
	c := media.NewPublic(loopback)
	defer c.Close()
	for _, path := range []string{"/dir/photo.jpg", "/moved"} {
		f, err := c.Get(t.Context(), base+path, int64(len(body)))
		check(t, err)
		got, err := io.ReadAll(f)
		check(t, err)
		check(t, f.Close())
		if !bytes.Equal(got, body) || f.Type != "image/jpeg" {
			t.Errorf("%s: got %d bytes of %q", path, len(got), f.Type)
		}
	}
}

// fetched begins to download a file.
func fetched(t *testing.T, c *media.Client, link string) error {
	t.Helper()
	f, err := c.Get(t.Context(), link, 100)
	if err == nil {
		err = f.Close()
	}
	return err
}

func TestPrivateLinks_NeverLeadToThisMachineOrToMetadata(t *testing.T) {
	here := serve(t, func(w http.ResponseWriter, _ *http.Request) { _, _ = w.Write([]byte("on this machine")) })
	c := media.NewPublic(nil, "127.0.0.1", "localhost", "169.254.169.254", "100.100.100.200")
	defer c.Close()
	for _, link := range []string{
		here, strings.Replace(here, "127.0.0.1", "LocalHost", 1), "http://169.254.169.254/latest/meta-data/", "http://100.100.100.200/",
	} {
		if err := fetched(t, c, link); !errors.Is(err, media.ErrAddress) {
			t.Errorf("%s: %v", link, err)
		}
	}
}

// insideAddress is an address of this machine in a private network.
func insideAddress(t *testing.T) string {
	t.Helper()
	addresses, err := net.InterfaceAddrs()
	check(t, err)
	for _, a := range addresses {
		if p, err := netip.ParsePrefix(a.String()); err == nil && p.Addr().Is4() && p.Addr().IsPrivate() {
			return p.Addr().String()
		}
	}
	t.Skip("this machine has no address in a private network")
	return ""
}

// TestPrivateLinks_OnlyNamedHostsMayBePrivate has a web server in a private network, which is also reached over the
// loopback address and by a redirect.
func TestPrivateLinks_OnlyNamedHostsMayBePrivate(t *testing.T) {
	inside := insideAddress(t)
	listener, err := net.Listen("tcp", net.JoinHostPort(inside, "0"))
	check(t, err)
	var away string
	s := httptest.NewUnstartedServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		if r.URL.Path == "/away" {
			http.Redirect(w, r, away, http.StatusFound)
			return
		}
		_, _ = w.Write([]byte("a file"))
	}))
	check(t, s.Listener.Close())
	s.Listener = listener
	s.Start()
	t.Cleanup(s.Close)
	away = serve(t, func(w http.ResponseWriter, _ *http.Request) { _, _ = w.Write([]byte("on this machine")) })

	get := func(c *media.Client, link string) error { return fetched(t, c, link) }
	named := media.NewPublic(nil, "files.acme.svc", inside, "127.0.0.1")
	defer named.Close()
	check(t, get(named, s.URL+"/file"))
	if err := get(named, s.URL+"/away"); !errors.Is(err, media.ErrAddress) {
		t.Errorf("a redirect to this machine: %v", err)
	}
	other := media.NewPublic(nil, "files.acme.svc")
	defer other.Close()
	if err := get(other, s.URL+"/file"); !errors.Is(err, media.ErrAddress) {
		t.Errorf("a private host that nobody named: %v", err)
	}
}

// Many web servers say of every file that it is bytes.
func TestDownload_TypeIsGuessedWhereTheServerSaysNone(t *testing.T) {
	body := append([]byte("OggS\x00\x02"), random(10_000)...)
	base := serve(t, func(w http.ResponseWriter, r *http.Request) {
		w.Header()["Content-Type"] = nil // or Go's server guesses
		if said := r.URL.Query().Get("said"); said != "" {
			w.Header().Set("Content-Type", said)
		}
		_, _ = w.Write(body)
	})
	c := media.NewPublic(loopback)
	defer c.Close()
	for link, want := range map[string]string{
		"/note": "audio/ogg", "/note?said=application/octet-stream": "audio/ogg", "/offer.pdf?said=binary/octet-stream": "application/pdf",
		"/offer.pdf?said=text/html": "text/html",
	} {
		f, err := c.Get(t.Context(), base+link, int64(len(body)))
		check(t, err)
		check(t, f.GuessType())
		got, err := io.ReadAll(f)
		check(t, err)
		check(t, f.Close())
		if !bytes.Equal(got, body) || f.Type != want {
			t.Errorf("%s: got %d bytes of %q, want %q", link, len(got), f.Type, want)
		}
	}
	f, err := c.Get(t.Context(), base+"/note", 100)
	if err == nil {
		err = f.GuessType()
		_ = f.Close()
	}
	if !errors.Is(err, media.ErrTooLarge) {
		t.Errorf("a file over its limit: %v", err)
	}
}

func TestDownloadsAreLimited(t *testing.T) {
	base := serve(t, func(w http.ResponseWriter, r *http.Request) {
		if r.URL.Path == "/unsaid" {
			w.(http.Flusher).Flush() // chunked: no length
		} else {
			w.Header().Set("Content-Length", "5000")
		}
		_, _ = w.Write(make([]byte, 5000))
	})
	c := media.NewPublic(loopback)
	defer c.Close()
	if _, err := c.Get(t.Context(), base+"/said", 4999); !errors.Is(err, media.ErrTooLarge) {
		t.Errorf("a length above the limit is %v", err)
	}
	f, err := c.Get(t.Context(), base+"/unsaid", 4999)
	check(t, err)
	defer f.Close()
	if _, err := io.Copy(io.Discard, f); !errors.Is(err, media.ErrTooLarge) {
		t.Errorf("more than the limit is %v", err)
	}
}

func TestAnswersAreSorted(t *testing.T) {
	base := serve(t, func(w http.ResponseWriter, r *http.Request) {
		switch r.URL.Path {
		case "/loop":
			http.Redirect(w, r, "/loop", http.StatusFound)
		case "/file":
			http.Redirect(w, r, "file:///etc/passwd", http.StatusFound)
		case "/gone":
			w.WriteHeader(http.StatusGone)
		default:
			w.WriteHeader(http.StatusBadGateway)
		}
	})
	c := media.NewPublic(loopback)
	defer c.Close()
	for _, tt := range []struct {
		link string
		want error
	}{
		{base + "/loop", media.ErrURL},
		{base + "/file", media.ErrURL},
		{base + "/gone", media.ErrGone},
		{"ftp://example.test/x", media.ErrURL},
		{"https://user:secret@example.test/x", media.ErrURL},
		{"https:///x", media.ErrURL},
		{"https://%zz/", media.ErrURL},
		{"", media.ErrURL},
	} {
		_, err := c.Get(t.Context(), tt.link, 1)
		if !errors.Is(err, tt.want) || strings.Contains(err.Error(), "secret") {
			t.Errorf("%s: %v, want %v", tt.link, err, tt.want)
		}
	}
	if _, err := c.Get(t.Context(), base+"/busy", 1); err == nil || errors.Is(err, media.ErrGone) || strings.Contains(err.Error(), base) {
		t.Errorf("a server's trouble is %v", err)
	}
}

func TestDownload_LeadsToPublicAddressesOnly(t *testing.T) {
	inside := serve(t, func(http.ResponseWriter, *http.Request) { t.Error("the server inside was asked") })
	c := media.NewPublic(nil)
	defer c.Close()
	_, port, err := net.SplitHostPort(strings.TrimPrefix(inside, "http://"))
	check(t, err)
	for _, host := range []string{
		"127.0.0.1", "localhost", "0.0.0.0", "[::1]", "[::ffff:127.0.0.1]", "[::]", "2130706433", "127.1",
		"10.0.0.1", "172.16.0.1", "192.168.0.1", "169.254.169.254", "100.64.0.1", "[fd00::1]", "[fe80::1]",
		"[64:ff9b::a00:1]", "[2002:a00:1::]", "[fd00:ec2::254]", "168.63.129.16", "224.0.0.1", "255.255.255.255",
	} {
		_, err := c.Get(t.Context(), "http://"+host+":"+port+"/latest/meta-data", 1)
		if !errors.Is(err, media.ErrAddress) && !errors.Is(err, media.ErrGone) {
			t.Errorf("%s: %v", host, err)
		}
	}
}

func TestRedirect_LeadsToPublicAddressesOnly(t *testing.T) {
	inside := serve(t, func(http.ResponseWriter, *http.Request) { t.Error("the server inside was asked") })
	out := serve(t, func(w http.ResponseWriter, r *http.Request) {
		http.Redirect(w, r, strings.Replace(inside, "127.0.0.1", "127.0.0.2", 1), http.StatusFound)
	})
	c := media.NewPublic(func(a netip.Addr) bool { return a == netip.MustParseAddr("127.0.0.1") })
	defer c.Close()
	if _, err := c.Get(t.Context(), out, 1); !errors.Is(err, media.ErrAddress) {
		t.Errorf("error %v", err)
	}
}

// carrierServer is a carrier's web server, its authority, and its address.
func carrierServer(t *testing.T, h http.HandlerFunc) (c media.Carrier, port string) {
	t.Helper()
	s := httptest.NewTLSServer(h) // its certificate is for example.com and 127.0.0.1
	t.Cleanup(s.Close)
	u, err := url.Parse(s.URL)
	check(t, err)
	return media.Carrier{
		Domain: "example.com", Address: "127.0.0.1:5222",
		CABundle: pem.EncodeToMemory(&pem.Block{Type: "CERTIFICATE", Bytes: s.Certificate().Raw}),
	}, u.Port()
}

func TestUpload_GoesToTheCarriersOwnAddress(t *testing.T) {
	body := random(70_000)
	var got []byte
	where, port := carrierServer(t, func(w http.ResponseWriter, r *http.Request) {
		got, _ = io.ReadAll(r.Body)
		if r.Header.Get("Authorization") != "slot" || r.ContentLength != int64(len(body)) {
			t.Errorf("header %v, length %d", r.Header, r.ContentLength)
		}
		w.WriteHeader(http.StatusCreated)
	})
	c, err := media.NewCarrier(where)
	check(t, err)
	defer c.Close()
	check(t, c.Put(t.Context(), "https://example.com:"+port+"/slot", http.Header{"Authorization": {"slot"}}, bytes.NewReader(body), int64(len(body))))
	if !bytes.Equal(got, body) {
		t.Errorf("%d bytes arrived", len(got))
	}
	if err := c.Put(t.Context(), "http://example.com:"+port+"/slot", nil, bytes.NewReader(body), 1); !errors.Is(err, media.ErrURL) {
		t.Errorf("an upload in the clear is %v", err)
	}
	if _, err := c.Get(t.Context(), "https://169.254.169.254/latest", 1); !errors.Is(err, media.ErrAddress) {
		t.Errorf("the metadata address is %v", err)
	}
}

func TestCarrier_UntrustedGetsNothing(t *testing.T) {
	where, port := carrierServer(t, func(http.ResponseWriter, *http.Request) { t.Error("the server was asked") })
	other := media.Carrier{Domain: where.Domain, Address: where.Address}
	c, err := media.NewCarrier(other)
	check(t, err)
	defer c.Close()
	if _, err := c.Get(t.Context(), "https://example.com:"+port+"/", 1); err == nil || errors.Is(err, media.ErrGone) {
		t.Errorf("error %v", err)
	}
	if _, err := media.NewCarrier(media.Carrier{CABundle: []byte("none")}); err == nil {
		t.Error("a CA bundle without certificate is taken")
	}
}

func TestRedirect_LeavesTheHostOnlyWhereAllowed(t *testing.T) {
	where, port := carrierServer(t, func(w http.ResponseWriter, r *http.Request) {
		switch r.URL.Path {
		case "/here":
			http.Redirect(w, r, "/file", http.StatusFound)
		case "/elsewhere": // the same server under another name
			_, port, _ := net.SplitHostPort(r.Host)
			http.Redirect(w, r, "https://127.0.0.1:"+port+"/file", http.StatusFound)
		}
	})
	for _, oneHost := range []bool{false, true} {
		where.OneHost = oneHost
		c, err := media.NewCarrier(where)
		check(t, err)
		defer c.Close()
		for path, refused := range map[string]bool{"/here": false, "/elsewhere": oneHost} {
			f, err := c.Get(t.Context(), "https://example.com:"+port+path, 1)
			if errors.Is(err, media.ErrURL) != refused || err != nil && !refused {
				t.Errorf("one host %v, %s: %v", oneHost, path, err)
			}
			if err == nil {
				check(t, f.Close())
			}
		}
	}
}

func TestHost_Owner(t *testing.T) {
	c := media.Carrier{Domain: "eu.relay.test"}
	for host, want := range map[string]bool{
		"eu.relay.test": true, "upload.EU.relay.test.": true, "relay.test": false, "xeu.relay.test": false, "eu.relay.test.evil.test": false,
	} {
		if c.Owns(host) != want {
			t.Errorf("%s: %v", host, !want)
		}
	}
}
