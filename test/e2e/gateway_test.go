//go:build e2e

package e2e

import (
	"bytes"
	"context"
	"crypto/tls"
	"crypto/x509"
	"encoding/json"
	"io"
	"mime/multipart"
	"net"
	"net/http"
	"net/textproto"
	"net/url"
	"strconv"
	"strings"
	"testing"
	"time"

	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"sigs.k8s.io/controller-runtime/pkg/client"

	"github.com/relaykeep/relaykeep/api/v1alpha1"
	"github.com/relaykeep/relaykeep/test/lab"
)

// throughGateway is a client that finds every host name at the lab's Gateway.
func throughGateway(t *testing.T, authorities ...string) *http.Client {
	t.Helper()
	pool := x509.NewCertPool()
	for _, pem := range authorities {
		if !pool.AppendCertsFromPEM([]byte(pem)) {
			t.Fatal("an authority is no certificate")
		}
	}
	at := net.JoinHostPort(environment.Address(), strconv.Itoa(lab.GatewayPort))
	return &http.Client{Timeout: 20 * time.Second, Transport: &http.Transport{
		TLSClientConfig: &tls.Config{RootCAs: pool, MinVersion: tls.VersionTLS12}, DisableKeepAlives: true,
		DialContext: func(ctx context.Context, network, _ string) (net.Conn, error) {
			return new(net.Dialer).DialContext(ctx, network, at)
		},
	}}
}

// gatewayCall is one request of a business's software, and its answer.
type gatewayCall struct {
	client      *http.Client
	base, token string
}

func (g gatewayCall) do(t *testing.T, method, path, contentType string, body io.Reader) (int, []byte) {
	t.Helper()
	req, err := http.NewRequestWithContext(within(t), method, g.base+path, body)
	check(t, err)
	if g.token != "" {
		req.Header.Set("Authorization", "Bearer "+g.token)
	}
	if contentType != "" {
		req.Header.Set("Content-Type", contentType)
	}
	res, err := g.client.Do(req)
	check(t, err)
	defer func() { _ = res.Body.Close() }()
	out, err := io.ReadAll(io.LimitReader(res.Body, 1<<20))
	check(t, err)
	return res.StatusCode, out
}

// wantStatus makes a request without a body.
func (g gatewayCall) wantStatus(t *testing.T, method, path string, want int) []byte {
	t.Helper()
	got, out := g.do(t, method, path, "", nil)
	if got != want {
		t.Errorf("%s %s is answered %d %s, want %d", method, path, got, out, want)
	}
	return out
}

// TestGateway leads businesses' software to relays through a Gateway: at each relay's own name, where TLS ends in the
// relay, and then at the region's shared host.
func TestGateway(t *testing.T) {
	guest := *lab.Initrode
	guest.Number = guestNumber(t)
	check(t, environment.ServeGateway(within(t)))
	t.Cleanup(func() { check(t, environment.EndGateway(withoutTest())) })
	t.Cleanup(func() {
		check(t, environment.Equip(withoutTest(), guest.Region, nil, nil))
		_, err := environment.SetUpVault(withoutTest(), guest.Region)
		check(t, err)
		_, err = environment.WaitCondition(withoutTest(), lab.Acme.Relay(), v1alpha1.ConditionReady, metav1.ConditionTrue)
		check(t, err)
	})
	check(t, environment.Equip(within(t), guest.Region, &guest, func(s *v1alpha1.DataRegionSpec) {
		s.Endpoint = v1alpha1.RegionEndpoint{
			Domain:     lab.EndpointDomain,
			GatewayRef: &v1alpha1.GatewayReference{Namespace: lab.GatewayNamespace, Name: lab.GatewayName, SectionName: lab.ListenerTLS},
			Shared:     &v1alpha1.SharedHost{Host: lab.SharedHost, SectionName: lab.ListenerHTTPS},
		}
	}))
	_, err := environment.SetUpVault(within(t), guest.Region)
	check(t, err)
	t.Cleanup(func() { check(t, environment.Dismiss(withoutTest(), &guest)) })
	check(t, environment.Host(within(t), &guest))

	t.Run("TLS ends in the relay", func(t *testing.T) { testPassedThrough(t, &guest) })
	t.Cleanup(func() { patchEndpoint(t, lab.Acme, `null`) })
	for _, b := range []*lab.Business{lab.Acme, &guest} {
		// A route that ends TLS would need a listener of its own for the relay's own name: the region names one for TLS.
		patchEndpoint(t, b, `{"terminateAtGateway":true,"shared":true}`)
	}
	for _, b := range []*lab.Business{lab.Acme, &guest} {
		for _, kind := range []string{v1alpha1.ConditionReady, v1alpha1.ConditionSharedHost} {
			_, err := environment.WaitCondition(within(t), b.Relay(), kind, metav1.ConditionTrue)
			check(t, err)
		}
	}
	t.Run("two businesses at one host", func(t *testing.T) { testOneHost(t, lab.Acme, &guest) })
	t.Run("who stops asking is not there any more", func(t *testing.T) {
		patchEndpoint(t, &guest, `{"terminateAtGateway":true,"shared":null}`)
		known := known(t, &guest)
		g := gatewayCall{throughGateway(t, environment.Authority()), "https://" + lab.SharedHost, known.AccessToken}
		check(t, until(within(t), func(context.Context) (bool, error) {
			status, _ := g.do(t, http.MethodGet, "/v23.0/"+known.PhoneNumberID, "", nil)
			return status == http.StatusNotFound, nil
		}))
	})
}

// patchEndpoint changes how a business's relay is reached.
func patchEndpoint(t *testing.T, b *lab.Business, endpoint string) {
	t.Helper()
	ctx, cancel := context.WithTimeout(withoutTest(), patience)
	defer cancel()
	check(t, environment.Client().Patch(ctx, b.Relay(), client.RawPatch("application/merge-patch+json", []byte(`{"spec":{"endpoint":`+endpoint+`}}`))))
}

func known(t *testing.T, b *lab.Business) lab.Credentials {
	t.Helper()
	c, err := environment.Credentials(b)
	check(t, err)
	return c
}

// testPassedThrough asks a relay by its own name, and wants its own certificate.
func testPassedThrough(t *testing.T, b *lab.Business) {
	c := known(t, b)
	g := gatewayCall{throughGateway(t, c.CACertificate), "https://" + b.Tenant() + "." + b.Name + "." + lab.EndpointDomain, c.AccessToken}
	check(t, until(within(t), func(ctx context.Context) (bool, error) {
		req, err := http.NewRequestWithContext(ctx, http.MethodGet, g.base+"/v23.0/"+c.PhoneNumberID, nil)
		if err != nil {
			return false, err
		}
		res, err := g.client.Do(req) // HAProxy learns of the route within seconds
		if err != nil {
			return false, nil //nolint:nilerr // it is asked again
		}
		return true, res.Body.Close()
	}))
	contains(t, string(g.wantStatus(t, http.MethodGet, "/v23.0/"+c.PhoneNumberID, http.StatusOK)), c.PhoneNumberID)
	route := kubectl(t, "get", "tlsroutes.v1.gateway.networking.k8s.io", b.Tenant(), "-n", b.Name, "-o", "jsonpath={.status.parents[0].conditions[*].status}")
	if route != "True True" {
		t.Errorf("the gateway says of the TLSRoute: %s", route)
	}
}

// testOneHost has two businesses use one base URL.
func testOneHost(t *testing.T, one, other *lab.Business) {
	const base = "https://" + lab.SharedHost
	anyone := throughGateway(t, environment.Authority())
	for _, b := range []*lab.Business{one, other} {
		var relay v1alpha1.BusinessRelay
		check(t, environment.Client().Get(within(t), client.ObjectKeyFromObject(b.Relay()), &relay))
		if relay.Status.Endpoint.SharedURL != base {
			t.Errorf("the status says %q", relay.Status.Endpoint.SharedURL)
		}
		rest := other
		if b == other {
			rest = one
		}
		mine, theirs := known(t, b), known(t, rest)
		g := gatewayCall{anyone, base, mine.AccessToken}
		for _, version := range []string{"", "/v13.0", "/v25.0"} {
			contains(t, string(g.wantStatus(t, http.MethodGet, version+"/"+mine.PhoneNumberID+"?fields=id", http.StatusOK)), mine.PhoneNumberID)
		}
		contains(t, string(g.wantStatus(t, http.MethodGet, "/v23.0/"+mine.BusinessAccountID+"/phone_numbers", http.StatusOK)), mine.PhoneNumberID)
		g.wantStatus(t, http.MethodGet, "/v23.0/"+mine.BusinessAccountID+"/message_templates", http.StatusOK)
		g.wantStatus(t, http.MethodGet, "/v23.0/"+theirs.PhoneNumberID, http.StatusUnauthorized)
		for _, path := range []string{"/me", "/v23.0/me", "/v23.0/debug_token?input_token=x", "/", "/v23.0/999999999999999", "/v23.0/" + mine.PhoneNumberID + "9"} {
			g.wantStatus(t, http.MethodGet, path, http.StatusNotFound)
		}
		testFileAtOneHost(t, g, mine)
	}
	refused := `{"apiVersion":"gateway.networking.k8s.io/v1","kind":"HTTPRoute","metadata":{"name":"thief","namespace":"` + one.Name + `"},
		"spec":{"hostnames":["` + lab.SharedHost + `"],"rules":[{"matches":[{"path":{"type":"Exact","value":"/v23.0/` + known(t, other).PhoneNumberID + `/messages"}}]}]}}`
	if _, err := environment.Apply(within(t), refused); err == nil || !strings.Contains(err.Error(), "relaykeep-shared-host") {
		t.Errorf("a route at the shared host is refused by the policy: %v", err)
	}
}

// testFileAtOneHost follows a file from its upload to its end.
func testFileAtOneHost(t *testing.T, g gatewayCall, c lab.Credentials) {
	t.Helper()
	var body bytes.Buffer
	form := multipart.NewWriter(&body)
	check(t, form.WriteField("messaging_product", "whatsapp"))
	part, err := form.CreatePart(textproto.MIMEHeader{"Content-Disposition": {`form-data; name="file"; filename="a.txt"`}, "Content-Type": {"text/plain"}})
	check(t, err)
	_, err = io.WriteString(part, "an offer for "+c.PhoneNumberID)
	check(t, err)
	check(t, form.Close())
	status, out := g.do(t, http.MethodPost, "/v23.0/"+c.PhoneNumberID+"/media", form.FormDataContentType(), &body)
	var file struct{ ID, URL string }
	if err := json.Unmarshal(out, &file); err != nil || status != http.StatusOK || !strings.HasPrefix(file.ID, c.PhoneNumberID+"/") {
		t.Fatalf("the upload is answered %d %s", status, out)
	}
	check(t, json.Unmarshal(g.wantStatus(t, http.MethodGet, "/v23.0/"+file.ID, http.StatusOK), &file))
	at, err := url.Parse(file.URL)
	check(t, err)
	if at.Host != lab.SharedHost {
		t.Errorf("the file is at %s", at.Host)
	}
	unsigned := g
	unsigned.token = "" // some clients send none to a file's address
	if got := string(unsigned.wantStatus(t, http.MethodGet, at.RequestURI(), http.StatusOK)); got != "an offer for "+c.PhoneNumberID {
		t.Errorf("the file says %q", got)
	}
	_, plain, _ := strings.Cut(file.ID, "/")
	g.wantStatus(t, http.MethodGet, "/v23.0/"+plain, http.StatusNotFound) // no gateway knows whose that is
	g.wantStatus(t, http.MethodDelete, "/v23.0/"+file.ID, http.StatusOK)
}
