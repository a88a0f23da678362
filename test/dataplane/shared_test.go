package dataplane_test

import (
	"crypto/tls"
	"crypto/x509"
	"encoding/json"
	"encoding/pem"
	"fmt"
	"io"
	"net"
	"net/http"
	"net/http/httptest"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"syscall"
	"testing"

	"sigs.k8s.io/yaml"

	"github.com/relaykeep/relaykeep/api/contract"
	"github.com/relaykeep/relaykeep/relay/webhook/webhooktest"
	"github.com/relaykeep/relaykeep/test/await"
	"github.com/relaykeep/relaykeep/test/repository"
)

const sharedHost = "api.example.com" // the certificate of Go's test server has it

// operatorsRoute is the route of a relay at its shared host as the operator renders it, by its golden file, with the
// relay's ids. The port is the one that the relay listens at here.
func operatorsRoute(t *testing.T, b *business) map[string]any {
	t.Helper()
	path, err := repository.File("controllers", "internal", "desired", "testdata", "gateway-suspended.yaml")
	check(t, err)
	text, err := os.ReadFile(path)
	check(t, err)
	_, port, err := net.SplitHostPort(b.Endpoint())
	check(t, err)
	said := b.Report()
	for _, document := range strings.Split(string(text), "\n---\n") {
		if !strings.Contains(document, "name: acme-shared\n") {
			continue
		}
		document = strings.NewReplacer(
			"100000000000001", said.PhoneNumberID, "200000000000002", said.BusinessAccountID, "api.relays.example.org", sharedHost,
			"namespace: default", "namespace: "+b.Namespace, "port: 443", "port: "+port,
		).Replace(document)
		var route map[string]any
		check(t, yaml.Unmarshal([]byte(document), &route))
		route["metadata"].(map[string]any)["namespace"] = b.Namespace
		return route
	}
	t.Fatal("the golden file has no route at the shared host")
	return nil
}

// startGateway runs Debian's HAProxy with the objects, and returns a client that finds the shared host there.
func startGateway(t *testing.T, businesses ...*business) *http.Client {
	t.Helper()
	dir, err := os.MkdirTemp("", "gw") //nolint:usetesting // sockets have short paths
	check(t, err)
	t.Cleanup(func() { _ = os.RemoveAll(dir) })
	// The certificate of Go's test server, and a port that is free.
	donor := httptest.NewTLSServer(nil)
	pair, authority := donor.TLS.Certificates[0], donor.Certificate()
	at := donor.Listener.Addr().String()
	donor.Close()
	key, err := x509.MarshalPKCS8PrivateKey(pair.PrivateKey)
	check(t, err)
	_, port, err := net.SplitHostPort(at)
	check(t, err)
	var number int
	_, err = fmt.Sscan(port, &number)
	check(t, err)
	type object = map[string]any
	meta := func(namespace, name string) object { return object{"namespace": namespace, "name": name} }
	items := []any{
		object{"kind": "Secret", "metadata": meta("gateways", "api"), "data": object{
			"tls.crt": pem.EncodeToMemory(&pem.Block{Type: "CERTIFICATE", Bytes: pair.Certificate[0]}),
			"tls.key": pem.EncodeToMemory(&pem.Block{Type: "PRIVATE KEY", Bytes: key}),
		}},
		object{"kind": "Gateway", "metadata": meta("gateways", "public"), "spec": object{"listeners": []any{object{
			"name": "https", "port": number, "protocol": "HTTPS", "hostname": sharedHost,
			"tls": object{"certificateRefs": []any{object{"name": "api"}}}, "allowedRoutes": object{"namespaces": object{"from": "All"}},
		}}}},
	}
	for _, b := range businesses {
		route := operatorsRoute(t, b)
		rule := route["spec"].(object)["rules"].([]any)[0].(object)
		backend := rule["backendRefs"].([]any)[0].(object)
		items = append(items, route, object{
			"kind": "Service", "metadata": meta(b.Namespace, backend["name"].(string)),
			"spec": object{"clusterIP": "127.0.0.1", "ports": []any{object{"port": backend["port"]}}},
		})
	}
	list, err := json.Marshal(object{"items": items})
	check(t, err)
	objects, program := filepath.Join(dir, "objects.json"), filepath.Join(dir, "cluster")
	check(t, os.WriteFile(objects, list, 0o600))
	cluster, err := repository.File("test", "cluster")
	check(t, err)
	out, err := exec.CommandContext(t.Context(), "go", "build", "-C", cluster, "-buildvcs=false", "-ldflags=-s -w", "-o", program, ".").CombinedOutput()
	if err != nil {
		t.Fatalf("building the gateway: %v\n%s", err, out)
	}
	var said strings.Builder
	cmd := exec.Command(program, "gateway", "--state", dir, "gateways/public", "127.0.0.1", objects)
	cmd.Stdout, cmd.Stderr = &said, &said
	check(t, cmd.Start())
	t.Cleanup(func() {
		_ = cmd.Process.Signal(syscall.SIGTERM)
		_ = cmd.Wait()
		if t.Failed() {
			t.Logf("the gateway says:\n%s", said.String())
		}
	})
	await.Until(t, "the gateway listens", func() bool {
		c, err := net.Dial("tcp", at)
		return err == nil && c.Close() == nil
	})
	pool := x509.NewCertPool()
	pool.AddCert(authority)
	transport := &http.Transport{TLSClientConfig: &tls.Config{RootCAs: pool, ServerName: sharedHost}}
	t.Cleanup(transport.CloseIdleConnections)
	return &http.Client{Transport: toAddress{transport, at}}
}

// toAddress sends every request to an address, whatever host it is for.
type toAddress struct {
	*http.Transport

	address string
}

func (a toAddress) RoundTrip(r *http.Request) (*http.Response, error) {
	r = r.Clone(r.Context())
	r.Host = r.URL.Host
	r.URL.Host = a.address
	return a.Transport.RoundTrip(r)
}

// atShared calls the shared host.
func atShared(t *testing.T, client *http.Client, method, address, token, contentType string, body io.Reader) (int, string) {
	t.Helper()
	r, err := http.NewRequestWithContext(t.Context(), method, address, body)
	check(t, err)
	if token != "" {
		r.Header.Set("Authorization", "Bearer "+token)
	}
	if contentType != "" {
		r.Header.Set("Content-Type", contentType)
	}
	res, err := client.Do(r)
	check(t, err)
	defer func() { _ = res.Body.Close() }()
	raw, err := io.ReadAll(res.Body)
	check(t, err)
	return res.StatusCode, string(raw)
}

// TestSharedHost_LeadsTwoBusinessesToTheirRelays has two businesses use one base URL, through HAProxy with the routes that
// the operator renders.
func TestSharedHost_LeadsTwoBusinessesToTheirRelays(t *testing.T) {
	t.Parallel()
	all := []*business{newBusiness(t), newBusiness(t)}
	for _, b := range all {
		b.Config.Endpoint.TLS, b.Config.Endpoint.SharedHost = contract.TLSAtGateway, sharedHost
		b.StartReady()
	}
	client := startGateway(t, all...)
	const base = "https://" + sharedHost
	for i, b := range all {
		other, accountID := all[1-i], b.Report().BusinessAccountID
		for _, tt := range []struct {
			path, token string
			want        int
		}{
			{"/v23.0/" + b.NumberID, b.Token, http.StatusOK},
			{"/" + b.NumberID + "?fields=id", b.Token, http.StatusOK},
			{"/v13.0/" + accountID + "/phone_numbers", b.Token, http.StatusOK},
			{"/v30.0/" + accountID + "/message_templates", b.Token, http.StatusOK},
			{"/v23.0/" + b.NumberID, other.Token, http.StatusUnauthorized},
			{"/v23.0/" + b.NumberID + "0", b.Token, http.StatusNotFound},
			{"/me", b.Token, http.StatusNotFound},
			{"/v23.0/debug_token?input_token=x", b.Token, http.StatusNotFound},
			{"/", b.Token, http.StatusNotFound},
		} {
			if status, answer := atShared(t, client, http.MethodGet, base+tt.path, tt.token, "", nil); status != tt.want {
				t.Errorf("%s is answered %d %s, want %d", tt.path, status, answer, tt.want)
			}
		}
		testSharedFile(t, client, b)
	}
}

// testSharedFile sends a file that was uploaded at the shared host, and fetches it there by the address in its description.
func testSharedFile(t *testing.T, client *http.Client, b *business) {
	t.Helper()
	const base = "https://" + sharedHost + "/v23.0/"
	form := "--x\r\nContent-Disposition: form-data; name=\"messaging_product\"\r\n\r\nwhatsapp\r\n" +
		"--x\r\nContent-Disposition: form-data; name=\"file\"; filename=\"a.txt\"\r\nContent-Type: text/plain\r\n\r\nan offer\r\n--x--\r\n"
	status, answer := atShared(t, client, http.MethodPost, base+b.NumberID+"/media", b.Token, "multipart/form-data; boundary=x", strings.NewReader(form))
	var file struct{ ID, URL string }
	if err := json.Unmarshal([]byte(answer), &file); err != nil || status != http.StatusOK || !strings.HasPrefix(file.ID, b.NumberID+"/") {
		t.Fatalf("the upload is answered %d %s", status, answer)
	}
	status, answer = atShared(t, client, http.MethodGet, base+file.ID, b.Token, "", nil)
	if err := json.Unmarshal([]byte(answer), &file); err != nil || status != http.StatusOK || !strings.HasPrefix(file.URL, "https://"+sharedHost+"/"+b.NumberID+"/") {
		t.Fatalf("the description is %d %s", status, answer)
	}
	if status, answer = atShared(t, client, http.MethodGet, file.URL, "", "", nil); status != http.StatusOK || answer != "an offer" {
		t.Errorf("the file is %d %s", status, answer)
	}
	p := newPerson(t)
	message := fmt.Sprintf(`{"messaging_product":"whatsapp","to":%q,"type":"document","document":{"id":%q}}`, p.Number.E164(), file.ID)
	if status, answer = atShared(t, client, http.MethodPost, base+b.NumberID+"/messages", b.Token, "application/json", strings.NewReader(message)); status != http.StatusOK {
		t.Errorf("sending it is answered %d %s", status, answer)
	}
	seesFile(p)
	_, err := p.SendFile(t.Context(), b.Phone(), "note.pdf", strings.NewReader("%PDF-1.4 a wish"), int64(len("%PDF-1.4 a wish")))
	check(t, err)
	in := b.WaitUpdate("a customer's file", func(u webhooktest.Update) bool { return u.File.ID != "" })
	if status, answer = atShared(t, client, http.MethodGet, base+in.File.ID, b.Token, "", nil); status != http.StatusOK || !strings.HasPrefix(in.File.ID, b.NumberID+"/") {
		t.Errorf("a customer's file with the id %s is answered %d %s", in.File.ID, status, answer)
	}
	if status, answer = atShared(t, client, http.MethodDelete, base+file.ID, b.Token, "", nil); status != http.StatusOK {
		t.Errorf("removing it is answered %d %s", status, answer)
	}
}
