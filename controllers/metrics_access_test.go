package controllers_test

import (
	"context"
	"crypto/tls"
	"io"
	"net/http"
	"strings"
	"testing"

	corev1 "k8s.io/api/core/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/client-go/rest"
	"sigs.k8s.io/controller-runtime/pkg/client"
	metrics "sigs.k8s.io/controller-runtime/pkg/metrics/server"

	authenticationv1 "k8s.io/api/authentication/v1"

	"github.com/relaykeep/relaykeep/controllers"
)

// serveMetrics serves metrics as the operator does, with its account's rights, and returns where.
func serveMetrics(t *testing.T) string {
	t.Helper()
	operator := as(chartNamespace, chartAccount)
	c, err := rest.HTTPClientFor(operator)
	if err != nil {
		t.Fatal(err)
	}
	s, err := metrics.NewServer(metrics.Options{BindAddress: "127.0.0.1:0", SecureServing: true, FilterProvider: controllers.MetricsFilter}, operator, c)
	if err != nil {
		t.Fatal(err)
	}
	ctx, stop := context.WithCancel(background())
	ended := make(chan error, 1)
	go func() { ended <- s.Start(ctx) }()
	t.Cleanup(func() {
		stop()
		if err := <-ended; err != nil {
			t.Error(err)
		}
	})
	var address string
	w := &world{t: t}
	if !w.within(func() bool {
		address = s.(interface{ GetBindAddr() string }).GetBindAddr()
		return address != ""
	}) {
		t.Fatal("the metrics are not served in time")
	}
	return address
}

// tokenOf makes a service account and returns a token of its for the API server.
func tokenOf(t *testing.T, namespace, name string) string {
	t.Helper()
	makeNamespaces(t, namespace)
	account := &corev1.ServiceAccount{ObjectMeta: metav1.ObjectMeta{Namespace: namespace, Name: name}}
	if err := server.Client.Create(t.Context(), account); client.IgnoreAlreadyExists(err) != nil {
		t.Fatal(err)
	}
	request := &authenticationv1.TokenRequest{}
	if err := server.Client.SubResource("token").Create(t.Context(), account, request); err != nil {
		t.Fatal(err)
	}
	return request.Status.Token
}

func TestMetrics_AreForThoseWhomTheAPIServerAllows(t *testing.T) {
	onServer(t)
	install(t, chart(t, "--set", "metrics.readers[0].namespace=monitoring,metrics.readers[0].name=prometheus"), roleKinds()...)
	reads, other := tokenOf(t, "monitoring", "prometheus"), tokenOf(t, "monitoring", "somebody")
	wantRights(t, as("monitoring", "prometheus"), "default", documented(t)[reader])
	wantRights(t, as(chartNamespace, chartAccount), "default", documented(t)[everywhere].with(documented(t)[relays]))
	address := serveMetrics(t)
	// The certificate is self-signed.
	browser := &http.Client{Transport: &http.Transport{TLSClientConfig: &tls.Config{InsecureSkipVerify: true}, DisableKeepAlives: true}}
	for name, c := range map[string]struct {
		url, token string
		status     int
	}{
		"a reader":                  {"https://" + address + "/metrics", reads, http.StatusOK},
		"an account without right":  {"https://" + address + "/metrics", other, http.StatusForbidden},
		"nobody":                    {"https://" + address + "/metrics", "", http.StatusUnauthorized},
		"an invented token":         {"https://" + address + "/metrics", reads + "x", http.StatusUnauthorized},
		"a reader, another path":    {"https://" + address + "/debug/pprof/", reads, http.StatusNotFound},
		"a reader of another place": {"https://" + address + "/metrics/", reads, http.StatusNotFound},
	} {
		t.Run(name, func(t *testing.T) {
			status, body, err := fetch(t, browser, c.url, c.token)
			if err != nil {
				t.Fatal(err)
			}
			if status != c.status {
				t.Errorf("the answer is %d, want %d: %.200s", status, c.status, body)
			}
			if shown := strings.Contains(body, "go_goroutines"); shown != (c.status == http.StatusOK) {
				t.Errorf("the metrics are shown: %v", shown)
			}
		})
	}
	// The server ends what is not encrypted, often before its answer can be read.
	if status, body, err := fetch(t, browser, "http://"+address+"/metrics", reads); err == nil && status != http.StatusBadRequest {
		t.Errorf("in clear the answer is %d: %.200s", status, body)
	}
}

// fetch gets what is at an address, with a bearer token unless that is empty.
func fetch(t *testing.T, c *http.Client, url, token string) (status int, body string, err error) {
	t.Helper()
	r, err := http.NewRequestWithContext(t.Context(), http.MethodGet, url, nil)
	if err != nil {
		t.Fatal(err)
	}
	if token != "" {
		r.Header.Set("Authorization", "Bearer "+token)
	}
	answer, err := c.Do(r)
	if err != nil {
		return 0, "", err
	}
	defer func() { _ = answer.Body.Close() }()
	text, err := io.ReadAll(answer.Body)
	return answer.StatusCode, string(text), err
}
