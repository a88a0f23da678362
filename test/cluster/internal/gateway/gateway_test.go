package gateway

import (
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/tls"
	"crypto/x509"
	"crypto/x509/pkix"
	"encoding/json"
	"encoding/pem"
	"fmt"
	"io"
	"math/big"
	"net"
	"net/http"
	"net/http/httptest"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
	"syscall"
	"testing"
	"time"
)

func TestNarrower_IsWhatTwoPatternsHaveInCommon(t *testing.T) {
	for _, tt := range []struct{ a, b, want string }{
		{"", "a.example", "a.example"},
		{"a.example", "", "a.example"},
		{"*.example", "a.example", "a.example"},
		{"a.b.example", "*.example", "a.b.example"},
		{"*.b.example", "*.example", "*.b.example"},
		{"*.example", "example", "-"},
		{"a.example", "b.example", "-"},
		{"*.example", "a.example.org", "-"},
	} {
		got, ok := narrower(tt.a, tt.b)
		if !ok {
			got = "-"
		}
		if got != tt.want {
			t.Errorf("%q and %q: %q, want %q", tt.a, tt.b, got, tt.want)
		}
	}
}

func TestPrecedence_IsTheGatewayAPIs(t *testing.T) {
	path := func(kind, value string) Match { return Match{Path: &Value{Type: kind, Value: value}} }
	old := time.Date(2026, 1, 1, 0, 0, 0, 0, time.UTC)
	at := func(name string, created time.Time) Meta { return Meta{Namespace: "b", Name: name, Created: created} }
	// In the order in which they must come.
	want := []entry{
		{host: "api.example.org", match: Match{Path: &Value{Type: pathExact, Value: "/a"}}},
		{host: "api.example.org", match: path(pathPrefix, "/long/path")},
		{host: "api.example.org", match: Match{Path: &Value{Type: pathPrefix, Value: "/long"}, Method: "GET"}},
		{host: "api.example.org", match: Match{Path: &Value{Type: pathPrefix, Value: "/long"}, Headers: []Value{{Name: "x"}, {Name: "y"}}}},
		{host: "api.example.org", match: Match{Path: &Value{Type: pathPrefix, Value: "/long"}, Headers: []Value{{Name: "x"}}}},
		{host: "api.example.org", match: Match{Path: &Value{Type: pathPrefix, Value: "/long"}, QueryParams: []Value{{Name: "q"}}}},
		{host: "api.example.org", match: path(pathPrefix, "/long"), route: at("z", old)},
		{host: "api.example.org", match: path(pathPrefix, "/long"), route: at("a", old.Add(time.Second))},
		{host: "api.example.org", match: path(pathPrefix, "/long"), route: at("b", old.Add(time.Second)), rule: 0},
		{host: "api.example.org", match: path(pathPrefix, "/long"), route: at("b", old.Add(time.Second)), rule: 1},
		{host: "api.example.org"},
		{host: "*.much.longer.example.org", match: path(pathExact, "/a")},
		{host: "*.example.org", match: path(pathExact, "/a")},
		{match: path(pathExact, "/a")},
	}
	got := slices.Clone(want)
	slices.Reverse(got)
	slices.SortStableFunc(got, precedes)
	for i := range want {
		if fmt.Sprintf("%+v", got[i]) != fmt.Sprintf("%+v", want[i]) {
			t.Errorf("place %d has %+v, want %+v", i, got[i], want[i])
		}
	}
}

// keyPair is a certificate for a host name, signed by itself.
func keyPair(t *testing.T, host string) (chain, key []byte) {
	t.Helper()
	k, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	if err != nil {
		t.Fatal(err)
	}
	of := &x509.Certificate{
		SerialNumber: big.NewInt(1), Subject: pkix.Name{CommonName: host}, DNSNames: []string{host},
		NotBefore: time.Now().Add(-time.Hour), NotAfter: time.Now().Add(time.Hour), IsCA: true, BasicConstraintsValid: true,
	}
	der, err := x509.CreateCertificate(rand.Reader, of, of, &k.PublicKey, k)
	if err != nil {
		t.Fatal(err)
	}
	raw, err := x509.MarshalPKCS8PrivateKey(k)
	if err != nil {
		t.Fatal(err)
	}
	return pem.EncodeToMemory(&pem.Block{Type: "CERTIFICATE", Bytes: der}), pem.EncodeToMemory(&pem.Block{Type: "PRIVATE KEY", Bytes: raw})
}

// freePort is a port of this machine that nobody listens at.
func freePort(t *testing.T) int {
	t.Helper()
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	defer func() { _ = l.Close() }()
	return l.Addr().(*net.TCPAddr).Port
}

// scene is a gateway with two businesses behind one host name, and one that ends TLS itself.
type scene struct {
	port  int
	state State
	cas   *x509.CertPool
}

// addService makes a Service at the address of a server.
func (s *scene) addService(t *testing.T, namespace, name, url string) int {
	t.Helper()
	_, text, err := net.SplitHostPort(strings.TrimPrefix(strings.TrimPrefix(url, "https://"), "http://"))
	if err != nil {
		t.Fatal(err)
	}
	port, err := strconv.Atoi(text)
	if err != nil {
		t.Fatal(err)
	}
	service := Service{Metadata: Meta{Namespace: namespace, Name: name}}
	service.Spec.ClusterIP = "127.0.0.1"
	service.Spec.Ports = []struct{ Port int }{{port}}
	s.state.Services[service.Metadata.key()] = service
	return port
}

// naming answers with a name.
func naming(name string) http.Handler {
	return http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) { _, _ = io.WriteString(w, name) })
}

func (s *scene) route(t *testing.T, text string, args ...any) {
	t.Helper()
	var r Route
	if err := json.Unmarshal([]byte(fmt.Sprintf(text, args...)), &r); err != nil {
		t.Fatal(err)
	}
	s.state.Routes = append(s.state.Routes, r)
}

func newScene(t *testing.T) *scene {
	t.Helper()
	s := &scene{port: freePort(t), cas: x509.NewCertPool()}
	s.state = State{Gateways: map[Key]Gateway{}, Services: map[Key]Service{}, Secrets: map[Key]Secret{}}
	var g Gateway
	text := fmt.Sprintf(`{"metadata":{"namespace":"gw","name":"public"},"spec":{"listeners":[
		{"name":"https","hostname":"api.example.org","port":%[1]d,"protocol":"HTTPS","tls":{"certificateRefs":[{"name":"api"}]},"allowedRoutes":{"namespaces":{"from":"All"}}},
		{"name":"tls","hostname":"*.relays.example.org","port":%[1]d,"protocol":"TLS","tls":{"mode":"Passthrough"},"allowedRoutes":{"namespaces":{"from":"All"}}},
		{"name":"own","hostname":"own.example.org","port":%[1]d,"protocol":"HTTPS","tls":{"certificateRefs":[{"name":"api"}]}}]}}`, s.port)
	if err := json.Unmarshal([]byte(text), &g); err != nil {
		t.Fatal(err)
	}
	s.state.Gateways[g.Metadata.key()] = g
	chain, key := keyPair(t, "api.example.org")
	s.cas.AppendCertsFromPEM(chain)
	s.state.Secrets[Key{"gw", "api"}] = Secret{Data: map[string][]byte{"tls.crt": chain, "tls.key": key}}
	return s
}

func (s *scene) translate(t *testing.T, dir string) Translation {
	t.Helper()
	got, err := Translate(s.state, Key{"gw", "public"}, Options{Address: "127.0.0.1", Dir: dir})
	if err != nil {
		t.Fatal(err)
	}
	return got
}

// start runs HAProxy with the translation until the test ends.
func (s *scene) start(t *testing.T) {
	t.Helper()
	if err := Installed(); err != nil {
		t.Fatal(err)
	}
	dir, err := os.MkdirTemp("", "gw") //nolint:usetesting // sockets have short paths
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = os.RemoveAll(dir) })
	translated := s.translate(t, dir)
	for name, content := range translated.Files {
		if err := os.WriteFile(filepath.Join(dir, name), content, 0o600); err != nil {
			t.Fatal(err)
		}
	}
	config := filepath.Join(dir, "haproxy.cfg")
	if err := os.WriteFile(config, []byte(translated.Config), 0o600); err != nil {
		t.Fatal(err)
	}
	var said strings.Builder
	proxy := exec.Command("haproxy", "-db", "-f", config)
	proxy.Stderr = &said
	if err := proxy.Start(); err != nil {
		t.Fatal(err)
	}
	ended := make(chan error, 1)
	go func() { ended <- proxy.Wait() }()
	t.Cleanup(func() {
		_ = proxy.Process.Signal(syscall.SIGTERM)
		t.Log("haproxy ended:", <-ended)
	})
	for deadline := time.Now().Add(20 * time.Second); ; {
		select {
		case err := <-ended:
			ended <- err
			t.Fatalf("haproxy ended: %v\n%s\n%s", err, said.String(), translated.Config)
		default:
		}
		c, err := net.Dial("tcp", net.JoinHostPort("127.0.0.1", strconv.Itoa(s.port)))
		if err == nil {
			_ = c.Close()
			return
		}
		if time.Now().After(deadline) {
			t.Fatalf("haproxy does not listen: %v", err)
		}
	}
}

// get asks for a path at a host name.
func (s *scene) get(t *testing.T, host, path string) string {
	t.Helper()
	client := &http.Client{Timeout: 10 * time.Second, Transport: &http.Transport{
		DialTLSContext: nil, TLSClientConfig: &tls.Config{RootCAs: s.cas, ServerName: host}, DisableKeepAlives: true,
	}}
	req, err := http.NewRequestWithContext(t.Context(), http.MethodGet, fmt.Sprintf("https://127.0.0.1:%d%s", s.port, path), nil)
	if err != nil {
		t.Fatal(err)
	}
	req.Host = host + ":8443"
	res, err := client.Do(req)
	if err != nil {
		t.Fatalf("asking %s for %s: %v", host, path, err)
	}
	defer func() { _ = res.Body.Close() }()
	if res.StatusCode == http.StatusNotFound {
		return "404"
	}
	body, err := io.ReadAll(res.Body)
	if err != nil {
		t.Fatal(err)
	}
	return string(body)
}

const httpRoute = `{"kind":"HTTPRoute","metadata":{"namespace":%[1]q,"name":%[2]q,"generation":3,"creationTimestamp":%[3]q},
	"spec":{"parentRefs":[{"name":"public","namespace":"gw","sectionName":%[4]q}],"hostnames":["api.example.org"],"rules":[{
	"matches":[{"path":{"type":%[5]q,"value":%[6]q}}],"backendRefs":[{"name":"web","port":%[7]d}]}]}}`

func TestHAProxy_RoutesAsTheObjectsSay(t *testing.T) {
	s := newScene(t)
	ports := map[string]int{}
	for _, name := range []string{"acme", "globex"} {
		server := httptest.NewServer(naming(name))
		t.Cleanup(server.Close)
		ports[name] = s.addService(t, name, "web", server.URL)
	}
	chain, key := keyPair(t, "own.relays.example.org")
	pair, err := tls.X509KeyPair(chain, key)
	if err != nil {
		t.Fatal(err)
	}
	own := httptest.NewUnstartedServer(naming("own"))
	own.TLS = &tls.Config{Certificates: []tls.Certificate{pair}}
	own.StartTLS()
	t.Cleanup(own.Close)
	s.cas.AppendCertsFromPEM(chain)
	s.route(t, `{"kind":"TLSRoute","metadata":{"namespace":"own","name":"own"},"spec":{"parentRefs":[{"name":"public","namespace":"gw"}],
		"hostnames":["own.relays.example.org"],"rules":[{"backendRefs":[{"name":"web","port":%d}]}]}}`, s.addService(t, "own", "web", own.URL))
	const older, newer = "2026-01-01T00:00:00Z", "2026-01-02T00:00:00Z"
	s.route(t, httpRoute, "acme", "acme", older, "https", "PathPrefix", "/v23.0/123", ports["acme"])
	s.route(t, httpRoute, "globex", "thief", newer, "https", "PathPrefix", "/v23.0/123", ports["globex"])
	s.route(t, httpRoute, "globex", "globex", newer, "https", "PathPrefix", "/v23.0/1234", ports["globex"])
	s.route(t, httpRoute, "globex", "exact", newer, "https", "Exact", "/v23.0/123/settings", ports["globex"])
	s.start(t)
	for _, tt := range []struct{ host, path, want string }{
		{"api.example.org", "/v23.0/123/messages", "acme"},
		{"api.example.org", "/v23.0/123", "acme"},
		{"api.example.org", "/v23.0/123?phone_number_id=1", "acme"},
		{"api.example.org", "/v23.0/1234/messages", "globex"},
		{"api.example.org", "/v23.0/12345", "404"},
		{"api.example.org", "/v23.0/123/settings", "globex"},
		{"api.example.org", "/v23.0/123/settings/x", "acme"},
		{"api.example.org", "/me", "404"},
		{"api.example.org", "/", "404"},
		{"own.relays.example.org", "/anything", "own"},
	} {
		if got := s.get(t, tt.host, tt.path); got != tt.want {
			t.Errorf("%s%s leads to %s, want %s", tt.host, tt.path, got, tt.want)
		}
	}
}

func TestTranslate_SaysWhyARouteIsNotServed(t *testing.T) {
	for name, tt := range map[string]struct {
		namespace, section, kind string
		port                     int
		accepted, resolved       string
	}{
		"it is":                             {"acme", "https", "PathPrefix", 443, "Accepted", "ResolvedRefs"},
		"by a regular expression":           {"acme", "https", "RegularExpression", 443, "UnsupportedValue", "ResolvedRefs"},
		"no such listener":                  {"acme", "other", "PathPrefix", 443, "NoMatchingParent", "ResolvedRefs"},
		"a listener for TLSRoutes":          {"acme", "tls", "PathPrefix", 443, "NoMatchingParent", "ResolvedRefs"},
		"a listener for its own":            {"acme", "own", "PathPrefix", 443, "NotAllowedByListeners", "ResolvedRefs"},
		"a listener of another host":        {"gw", "own", "PathPrefix", 443, "NoMatchingListenerHostname", "ResolvedRefs"},
		"a Service that is not there":       {"acme", "https", "PathPrefix", 444, "Accepted", "BackendNotFound"},
		"what would break a proxy's config": {"acme", "https", "Exact", 443, "UnsupportedValue", "ResolvedRefs"},
	} {
		t.Run(name, func(t *testing.T) {
			s := newScene(t)
			s.addService(t, "acme", "web", "http://127.0.0.1:443")
			s.addService(t, "gw", "web", "http://127.0.0.1:443")
			path := "/a"
			if tt.kind == pathExact {
				path = "/a\n  use_backend other"
			}
			s.route(t, httpRoute, tt.namespace, "r", "2026-01-01T00:00:00Z", tt.section, tt.kind, path, tt.port)
			got := s.translate(t, "/run/x").Verdicts
			if len(got) != 1 || got[0].Accepted.Reason != tt.accepted || got[0].Resolved.Reason != tt.resolved {
				t.Errorf("%+v", got)
			}
			if got[0].Accepted.True != (tt.accepted == "Accepted") || got[0].Resolved.True != (tt.resolved == "ResolvedRefs") {
				t.Errorf("%+v", got)
			}
		})
	}
}

// FuzzTranslate holds that no route writes more into HAProxy's configuration than tests for it and a server: what is in a
// route's fields never becomes a directive of its own.
func FuzzTranslate(f *testing.F) {
	f.Add("api.example.org", "/v23.0/123", "GET", "x", "y")
	f.Add("*.example.org", "/a' }\n  use_backend other", "POST", "x) -m found } #", "'\n")
	f.Fuzz(func(t *testing.T, host, path, method, name, value string) {
		s := newScene(t)
		s.addService(t, "acme", "web", "http://127.0.0.1:443")
		r := Route{Kind: kindHTTPRoute, Metadata: Meta{Namespace: "acme", Name: "r"}}
		r.Spec.ParentRefs = []Reference{{Namespace: "gw", Name: "public"}}
		r.Spec.Hostnames = []string{host}
		r.Spec.Rules = []Rule{{
			Matches:     []Match{{Path: &Value{Type: pathExact, Value: path}, Method: method, Headers: []Value{{Name: name, Value: value}}}},
			BackendRefs: []Reference{{Name: "web", Port: 443}},
		}}
		before := strings.Count(s.translate(t, "/run/x").Config, "\n")
		s.state.Routes = []Route{r}
		got := s.translate(t, "/run/x").Config
		// A backend of three lines; and at the one listener that may have it, an ACL and its use.
		if lines := strings.Count(got, "\n") - before; lines != 0 && lines != 3 && lines != 5 {
			t.Errorf("the route adds %d lines:\n%s", lines, got)
		}
	})
}

func TestTranslate_RefusesAGatewayThatItCannotServe(t *testing.T) {
	for name, tt := range map[string]struct{ edit, says string }{
		"protocol":    {`"protocol":"HTTP"`, "is not for this gateway"},
		"certificate": {`"protocol":"HTTPS","tls":{"certificateRefs":[{"name":"none"}]}`, "there is no Secret gw/none"},
		"elsewhere":   {`"protocol":"HTTPS","tls":{"certificateRefs":[{"name":"api","namespace":"x"}]}`, "there is no Secret x/api"},
	} {
		t.Run(name, func(t *testing.T) {
			s := newScene(t)
			var g Gateway
			if err := json.Unmarshal([]byte(`{"metadata":{"namespace":"gw","name":"public"},"spec":{"listeners":[{"name":"a","port":1,`+tt.edit+`}]}}`), &g); err != nil {
				t.Fatal(err)
			}
			s.state.Gateways[g.Metadata.key()] = g
			if _, err := Translate(s.state, Key{"gw", "public"}, Options{}); err == nil || !strings.Contains(err.Error(), tt.says) {
				t.Errorf("%v, want %s", err, tt.says)
			}
		})
	}
	if _, err := Translate(State{}, Key{"gw", "none"}, Options{}); err == nil {
		t.Error("a Gateway that is not there is served")
	}
}

func TestRead_KnowsItsKindsAndLeavesOthersOut(t *testing.T) {
	s, err := Read([]byte(`{"items":[
		{"kind":"Gateway","metadata":{"namespace":"gw","name":"public"}},
		{"kind":"HTTPRoute","metadata":{"namespace":"a","name":"r","creationTimestamp":"2026-01-01T00:00:00Z"}},
		{"kind":"Service","metadata":{"namespace":"a","name":"s"},"spec":{"clusterIP":"10.0.0.1","ports":[{"port":443}]}},
		{"kind":"Secret","metadata":{"namespace":"gw","name":"c"},"data":{"tls.crt":"QQ=="}},
		{"kind":"Pod","metadata":{"namespace":"a","name":"p"}}]}`))
	if err != nil || len(s.Gateways) != 1 || len(s.Routes) != 1 || len(s.Services) != 1 || string(s.Secrets[Key{"gw", "c"}].Data["tls.crt"]) != "A" {
		t.Errorf("%+v, %v", s, err)
	}
	if _, err := Read([]byte(`{"items":[{"kind":"Gateway","metadata":7}]}`)); err == nil {
		t.Error("an object that is none is read")
	}
}
