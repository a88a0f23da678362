package command

import (
	"bytes"
	"context"
	"crypto/tls"
	"crypto/x509"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net"
	"net/http"
	"net/url"
	"os"
	"strings"
	"time"

	"github.com/spf13/cobra"
	"sigs.k8s.io/controller-runtime/pkg/client"

	"github.com/relaykeep/relaykeep/api/v1alpha1"
	"github.com/relaykeep/relaykeep/cmd/kubectl-relay/internal/exit"
)

// Bounds of one call of a relay's endpoint.
const (
	endpointTimeout  = 60 * time.Second
	handshakeTimeout = 10 * time.Second
	maxAnswer        = 64 << 20 // bytes
)

// endpointFlags say how to reach a business's endpoint.
type endpointFlags struct {
	vaultAddress, vaultCA       string
	endpointAddress, endpointCA string
}

func (f *endpointFlags) add(cmd *cobra.Command) {
	flags := cmd.Flags()
	flags.StringVar(&f.vaultAddress, "vault-address", "", "https URL of the region's Vault, as this machine reaches it; default: the DataRegion's")
	flags.StringVar(&f.vaultCA, "vault-ca", "", "PEM file with Vault's CA certificates; default: the DataRegion's")
	flags.StringVar(&f.endpointAddress, "endpoint-address", "", "host:port to connect to instead of the relay's pod, for example the endpoint's own")
	flags.StringVar(&f.endpointCA, "endpoint-ca", "", "PEM file with the endpoint's CA certificates; default: Vault's CA, else the system's")
}

const howCalled = `
It calls the relay's endpoint with the business's credentials, as any program of the business
may; kubectl relay credentials shows what that takes. It connects to the relay's pod through
the API server, which takes the right to "get" the resource "pods" and to "create" the resource
"pods/portforward"; without it, to the endpoint by its name. The endpoint's certificate is
verified either way, except that the pod has none with spec.endpoint.terminateAtGateway.`

// endpoint is a business's endpoint with what it takes to call it. Its URL is the number's, with a slash.
type endpoint struct {
	url, token string
	client     *http.Client
	way        way
}

// onEndpoint returns what a command runs that calls the endpoint of the relay that its first argument names. The
// checks of its flags come first.
func (f *endpointFlags) onEndpoint(cluster *cluster, do func(*cobra.Command, []string, *endpoint) error, checks ...func(*cobra.Command) error) func(*cobra.Command, []string) error {
	return func(cmd *cobra.Command, args []string) error {
		if err := checked(cmd, checks); err != nil {
			return err
		}
		e, err := f.openRelay(cmd.Context(), cluster, args[0])
		if err != nil {
			return err
		}
		defer e.way.close()
		return do(cmd, args, e)
	}
}

// checked runs checks until one fails.
func checked(cmd *cobra.Command, checks []func(*cobra.Command) error) error {
	for _, check := range checks {
		if err := check(cmd); err != nil {
			return err
		}
	}
	return nil
}

// onCustomer is onEndpoint for a command whose second argument is a customer.
func (f *endpointFlags) onCustomer(cluster *cluster, do func(*cobra.Command, []string, *endpoint, person) error, checks ...func(*cobra.Command) error) func(*cobra.Command, []string) error {
	return f.onEndpoint(cluster, func(cmd *cobra.Command, args []string, e *endpoint) error {
		who, err := readPerson(args[1])
		if err != nil {
			return err
		}
		return do(cmd, args, e, who)
	}, checks...)
}

// openRelay reads the credentials of a relay and returns its endpoint.
func (f *endpointFlags) openRelay(ctx context.Context, cluster *cluster, name string) (*endpoint, error) {
	k, namespace, err := cluster.connect()
	if err != nil {
		return nil, err
	}
	return f.openIn(ctx, cluster, k, namespace, name)
}

// openIn is openRelay for a relay of a cluster that is connected.
func (f *endpointFlags) openIn(ctx context.Context, cluster *cluster, k client.Client, namespace, name string) (*endpoint, error) {
	relay, region, err := readRelay(ctx, k, namespace, name)
	if err != nil {
		return nil, err
	}
	if relay.Status.Endpoint.URL == "" || relay.Status.Endpoint.PhoneNumberID == "" {
		return nil, noEndpoint(relay)
	}
	v, err := regionVault(region, f.vaultAddress, f.vaultCA)
	if err != nil {
		return nil, err
	}
	c, err := readCredentials(ctx, k, v, relay, region)
	if err != nil {
		return nil, err
	}
	to, err := f.reach(ctx, cluster, k, relay)
	if err != nil {
		return nil, err
	}
	e, err := f.endpoint(c, to)
	if err != nil {
		to.close()
	}
	return e, err
}

// noEndpoint says that a relay has not said yet what its endpoint is.
func noEndpoint(relay *v1alpha1.BusinessRelay) error {
	return fmt.Errorf("the relay has not reported its endpoint yet: see kubectl relay check relay/%s -n %s", relay.Name, relay.Namespace)
}

// endpoint returns the endpoint that the credentials name, reached by a way.
func (f *endpointFlags) endpoint(c *credentials, to way) (*endpoint, error) {
	trust := &tls.Config{MinVersion: tls.VersionTLS12}
	ca := c.CACertificate
	if f.endpointCA != "" {
		pem, err := os.ReadFile(f.endpointCA)
		if err != nil {
			return nil, fmt.Errorf("reading --endpoint-ca: %w", err)
		}
		ca = string(pem)
	}
	if ca != "" {
		trust.RootCAs = x509.NewCertPool()
		if !trust.RootCAs.AppendCertsFromPEM([]byte(ca)) {
			return nil, errors.New("--endpoint-ca holds no PEM certificate")
		}
	}
	transport := &http.Transport{TLSClientConfig: trust, Proxy: http.ProxyFromEnvironment, TLSHandshakeTimeout: handshakeTimeout}
	if to.dial != nil {
		transport.Proxy = nil
		transport.DialContext = func(ctx context.Context, _, _ string) (net.Conn, error) { return to.dial(ctx) }
	}
	base := c.Endpoint
	if to.plain {
		base = "http://" + strings.TrimPrefix(base, "https://")
	}
	return &endpoint{
		url: base + "/v23.0/" + c.PhoneNumberID + "/", token: c.AccessToken, way: to,
		client: &http.Client{
			Timeout: endpointTimeout, Transport: transport,
			CheckRedirect: func(*http.Request, []*http.Request) error { return http.ErrUseLastResponse }, // the token is for the endpoint alone
		},
	}, nil
}

// call asks the endpoint about a person and returns its answer.
func (e *endpoint) call(ctx context.Context, method string, who person, query url.Values) ([]byte, error) {
	answer, err := e.ask(ctx, method, "customers/"+string(who), query, nil)
	switch {
	case refusedAs(err, noObject):
		return nil, errors.New("the relay stores nothing about this person")
	case refusedAs(err, badValue) && !strings.Contains(string(who), "."):
		return nil, errors.New("the relay takes no numbers, because its BusinessRelay has privacy.shareNumbers: false: give the person's user id, which is in the webhook of each of their messages")
	}
	return answer, err
}

// ask sends a request to an edge of the number and returns the answer. Body is JSON; nil for none. What the
// relay refuses is a refusal.
func (e *endpoint) ask(ctx context.Context, method, edge string, query url.Values, body []byte) ([]byte, error) {
	request, err := http.NewRequestWithContext(ctx, method, e.url+edge+"?"+query.Encode(), bytes.NewReader(body))
	if err != nil {
		return nil, errors.New("calling the relay: its endpoint is not a URL")
	}
	request.Header.Set("Authorization", "Bearer "+e.token)
	if body != nil {
		request.Header.Set("Content-Type", "application/json")
	}
	response, err := e.client.Do(request)
	if err != nil {
		var failed *url.Error
		if errors.As(err, &failed) {
			err = failed.Err // the URL says who the person is
		}
		return nil, e.way.failed(untrusted(err))
	}
	defer response.Body.Close()
	answer, err := io.ReadAll(io.LimitReader(response.Body, maxAnswer+1))
	switch {
	case err != nil:
		return nil, fmt.Errorf("reading the relay's answer: %w", err)
	case len(answer) > maxAnswer:
		return nil, fmt.Errorf("the relay's answer is larger than %d MiB", maxAnswer>>20)
	case response.StatusCode != http.StatusOK:
		return nil, refusedByRelay(response.StatusCode, answer)
	}
	return answer, nil
}

// untrusted adds what to do about a certificate that is not trusted.
func untrusted(err error) error {
	var unverified *tls.CertificateVerificationError
	if errors.As(err, &unverified) {
		return fmt.Errorf("%w: give the CA that signed the endpoint's certificate with --endpoint-ca", err)
	}
	return err
}

// refusal is an error that the endpoint answered.
type refusal struct{ status, code, subcode int }

// Error implements error.
func (r *refusal) Error() string {
	return fmt.Sprintf("the relay answered %d (code %d)", r.status, r.code)
}

// noObject says whether the relay has nothing of that name.
func noObject(r *refusal) bool { return r.code == 100 && r.subcode == 33 }

// badParameter says whether the relay did not take a parameter.
func badParameter(r *refusal) bool { return r.code == 100 && !noObject(r) }

// badValue says whether the relay does not accept a value.
func badValue(r *refusal) bool { return r.code == 131009 }

// refusedAs says whether an error is a refusal of a kind.
func refusedAs(err error, kind func(*refusal) bool) bool {
	var r *refusal
	return errors.As(err, &r) && kind(r)
}

// refusedByRelay words an error of the endpoint.
func refusedByRelay(status int, body []byte) error {
	var answer struct {
		Error struct {
			Code    int `json:"code"`
			Subcode int `json:"error_subcode"`
		} `json:"error"`
	}
	_ = json.Unmarshal(body, &answer) // what is no error of the API has no code
	switch {
	case status == http.StatusUnauthorized:
		return fmt.Errorf("%w by the relay (401): its credentials have just been rotated, try again", exit.ErrRefused)
	case answer.Error.Code == 131016:
		return errors.New("the relay cannot finish this now, probably because the carrier is unreachable or its volume is full: run the command again to finish")
	}
	return &refusal{status, answer.Error.Code, answer.Error.Subcode}
}
