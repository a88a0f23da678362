package command

import (
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
	"time"

	"github.com/spf13/cobra"
	"k8s.io/cli-runtime/pkg/genericiooptions"

	"github.com/relaykeep/relaykeep/cmd/kubectl-relay/internal/exit"
	"github.com/relaykeep/relaykeep/relay/phone"
)

// Bounds of one call of a relay's endpoint.
const (
	endpointTimeout = 60 * time.Second
	maxAnswer       = 64 << 20
)

// endpointFlags say how to reach a business's endpoint.
type endpointFlags struct {
	vaultAddress, vaultCA       string
	endpointAddress, endpointCA string
}

func (f *endpointFlags) add(cmd *cobra.Command) {
	flags := cmd.Flags()
	flags.StringVar(&f.vaultAddress, "vault-address", "", "https URL of the region's Vault as seen from here; default: the DataRegion's")
	flags.StringVar(&f.vaultCA, "vault-ca", "", "file with the certificates (PEM) that Vault's must chain to; default: the DataRegion's")
	flags.StringVar(&f.endpointAddress, "endpoint-address", "", "host:port to connect to instead of the endpoint's own, for example that of kubectl port-forward")
	flags.StringVar(&f.endpointCA, "endpoint-ca", "", "file with the certificates (PEM) that the endpoint's must chain to; default: Vault's authority, else the system's")
}

const howCalled = `
It calls the relay's own endpoint with the business's credentials, as any program of the
business may: kubectl relay credentials says what you need for that. Where the endpoint's
name does not lead to it from here, run kubectl port-forward and say --endpoint-address.`

func newEraseCustomer(streams genericiooptions.IOStreams) *cobra.Command {
	var f endpointFlags
	var yes bool
	cmd := &cobra.Command{
		Use:   "erase-customer NAME NUMBER",
		Short: "Erase everything that is kept of one person",
		Long: `Erase everything that a relay keeps of one person: the messages of both directions with
what hangs on them, sessions and devices, what is queued, and the entry on the carrier's
contact list. It cannot be undone. What the business's own programs keep, and what lies on
the person's own devices, is not the relay's to erase. Backups of the volume hold it, sealed,
until its key dies by the retention.
` + howCalled,
		Example: `  kubectl relay erase-customer acme +4930111111 -n acme`,
		Args:    relayAndNumber,
	}
	f.add(cmd)
	cmd.Flags().BoolVar(&yes, "yes", false, "do not ask")
	cluster := newCluster(cmd)
	cmd.RunE = func(cmd *cobra.Command, args []string) error {
		e, number, err := f.open(cmd.Context(), cluster, args)
		if err != nil {
			return err
		}
		if !yes && !confirmed(streams, args[0], "Everything that relay "+args[0]+" keeps of this person goes.") {
			return errors.New("nothing was erased: the name was not repeated")
		}
		if _, err := e.call(cmd.Context(), http.MethodDelete, number, nil); err != nil {
			return err
		}
		fmt.Fprintln(streams.Out, "Erased: the relay keeps nothing of this person.")
		return nil
	}
	return cmd
}

func newExportCustomer(streams genericiooptions.IOStreams) *cobra.Command {
	var f endpointFlags
	cmd := &cobra.Command{
		Use:   "export-customer NAME NUMBER",
		Short: "Show everything that is kept of one person",
		Long: `Show, as JSON, everything that a relay keeps of one person: their name and devices, and the
messages of both directions that are younger than the retention. It is the answer to a
person's request for access, as far as the relay is concerned.
` + howCalled,
		Example: `  kubectl relay export-customer acme +4930111111 -n acme > person.json`,
		Args:    relayAndNumber,
	}
	f.add(cmd)
	cluster := newCluster(cmd)
	cmd.RunE = func(cmd *cobra.Command, args []string) error {
		e, number, err := f.open(cmd.Context(), cluster, args)
		if err != nil {
			return err
		}
		person, err := e.export(cmd.Context(), number)
		if err != nil {
			return err
		}
		out := json.NewEncoder(streams.Out)
		out.SetIndent("", "  ")
		out.SetEscapeHTML(false)
		return out.Encode(person)
	}
	return cmd
}

func relayAndNumber(cmd *cobra.Command, args []string) error {
	if len(args) != 2 {
		return usage(cmd, "give one BusinessRelay and one telephone number, not %d arguments", len(args))
	}
	if _, err := phone.Parse(args[1]); err != nil {
		return usage(cmd, "the number: %v", err)
	}
	return nil
}

// endpoint is a business's endpoint with what it takes to call it.
type endpoint struct {
	url, token string
	client     *http.Client
}

// open reads the credentials and returns the endpoint and the number.
func (f *endpointFlags) open(ctx context.Context, cluster *cluster, args []string) (*endpoint, phone.Number, error) {
	number, err := phone.Parse(args[1])
	if err != nil {
		return nil, number, err
	}
	k, namespace, err := cluster.connect()
	if err != nil {
		return nil, number, err
	}
	relay, region, err := readRelay(ctx, k, namespace, args[0])
	if err != nil {
		return nil, number, err
	}
	v, err := regionVault(region, f.vaultAddress, f.vaultCA)
	if err != nil {
		return nil, number, err
	}
	c, err := readCredentials(ctx, k, v, relay, region)
	if err != nil {
		return nil, number, err
	}
	e, err := f.endpoint(c)
	return e, number, err
}

func (f *endpointFlags) endpoint(c *credentials) (*endpoint, error) {
	if c.Endpoint == "" || c.PhoneNumberID == "" {
		return nil, errors.New("the relay has not reported its endpoint yet: see its conditions with kubectl get brelay -o yaml")
	}
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
			return nil, errors.New("--endpoint-ca holds no certificate in PEM")
		}
	}
	transport := &http.Transport{TLSClientConfig: trust, Proxy: http.ProxyFromEnvironment, TLSHandshakeTimeout: 10 * time.Second}
	if f.endpointAddress != "" {
		transport.Proxy = nil
		transport.DialContext = func(ctx context.Context, network, _ string) (net.Conn, error) {
			return new(net.Dialer).DialContext(ctx, network, f.endpointAddress)
		}
	}
	return &endpoint{
		url: c.Endpoint + "/v23.0/" + c.PhoneNumberID + "/customers/", token: c.AccessToken,
		client: &http.Client{Timeout: endpointTimeout, Transport: transport},
	}, nil
}

// call asks the endpoint about a person and returns its answer.
func (e *endpoint) call(ctx context.Context, method string, number phone.Number, query url.Values) ([]byte, error) {
	request, err := http.NewRequestWithContext(ctx, method, e.url+number.Digits()+"?"+query.Encode(), http.NoBody)
	if err != nil {
		return nil, errors.New("calling the relay: its endpoint is no URL")
	}
	request.Header.Set("Authorization", "Bearer "+e.token)
	response, err := e.client.Do(request)
	if err != nil {
		var failed *url.Error
		if errors.As(err, &failed) {
			err = failed.Err // the URL holds the number
		}
		return nil, fmt.Errorf("calling the relay: %w; where its name does not lead to it from here, use kubectl port-forward and --endpoint-address", err)
	}
	defer response.Body.Close()
	body, err := io.ReadAll(io.LimitReader(response.Body, maxAnswer))
	switch {
	case err != nil:
		return nil, fmt.Errorf("reading the relay's answer: %w", err)
	case response.StatusCode != http.StatusOK:
		return nil, refusedByRelay(response.StatusCode, body)
	}
	return body, nil
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
		return fmt.Errorf("%w by the relay (401): its credentials were rotated a moment ago, try again", exit.ErrRefused)
	case answer.Error.Code == 100 && answer.Error.Subcode == 33:
		return errors.New("the relay keeps nothing of this person")
	case answer.Error.Code == 131016:
		return errors.New("the relay cannot finish this now, probably because the carrier is away: run this again, it finishes")
	}
	return fmt.Errorf("the relay answered %d (code %d)", status, answer.Error.Code)
}

// export reads all pages about a person into one.
func (e *endpoint) export(ctx context.Context, number phone.Number) (map[string]any, error) {
	var person map[string]any
	messages := []any{}
	for after := ""; ; {
		query := url.Values{"limit": {"500"}}
		if after != "" {
			query.Set("after", after)
		}
		body, err := e.call(ctx, http.MethodGet, number, query)
		if err != nil {
			return nil, err
		}
		var page struct {
			Messages struct {
				Data   []any `json:"data"`
				Paging struct {
					Cursors struct {
						After string `json:"after"`
					} `json:"cursors"`
				} `json:"paging"`
			} `json:"messages"`
		}
		if err := errors.Join(json.Unmarshal(body, &page), json.Unmarshal(body, &person)); err != nil {
			return nil, errors.New("the relay's answer is no export")
		}
		messages = append(messages, page.Messages.Data...)
		next := page.Messages.Paging.Cursors.After
		if next == "" || next == after {
			person["messages"] = messages
			return person, nil
		}
		after = next
	}
}
