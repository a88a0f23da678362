package command

import (
	"context"
	"encoding/json"
	"encoding/pem"
	"net/http/httptest"
	"net/url"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/relaykeep/relaykeep/api/v1alpha1"
	"github.com/relaykeep/relaykeep/cmd/kubectl-relay/internal/exit"
	"github.com/relaykeep/relaykeep/relay/access"
	"github.com/relaykeep/relaykeep/relay/cloudapi"
	"github.com/relaykeep/relaykeep/relay/phone"
)

// people is what a relay keeps of one person: three messages, in pages of two.
type people struct {
	cloudapi.Service
	number  phone.Number
	erased  bool
	err     error
	devices []cloudapi.ExportedDevice
	named   *access.Tokens

	letters  cloudapi.DeadLetters
	requests []cloudapi.ContactRequest
	hidden   bool // the business is told no numbers
}

// ada is the user id of the person.
const ada = "DE.4K7QX2MZ5T3VJ6WHYB2ADNCRE5"

func (p *people) Find(_ context.Context, user string) (phone.Number, error) {
	if user != ada || p.erased {
		return phone.Number{}, cloudapi.ErrUnknownCustomer
	}
	return p.number, nil
}

func (p *people) Erase(_ context.Context, n phone.Number) error {
	p.erased = p.erased || n == p.number
	return p.err
}

func (p *people) Export(_ context.Context, n phone.Number, after string, _ int) (*cloudapi.Export, error) {
	message := func(id string) cloudapi.ExportedMessage {
		return cloudapi.ExportedMessage{ID: id, Direction: "inbound", Content: json.RawMessage(`{"text":"hello"}`)}
	}
	switch {
	case n != p.number || p.erased:
		return nil, cloudapi.ErrUnknownCustomer
	case after == "":
		return &cloudapi.Export{Name: "Ada", UserID: ada, More: true, Devices: p.devices, Messages: []cloudapi.ExportedMessage{message("1"), message("2")}}, nil
	}
	return &cloudapi.Export{Name: "Ada", Messages: []cloudapi.ExportedMessage{message("3")}}, nil
}

func (p *people) ContactRequests(_ context.Context, after int64, limit int) ([]cloudapi.ContactRequest, error) {
	if p.requests == nil {
		return nil, p.err
	}
	all := p.requests[after:]
	return all[:min(limit, len(all))], p.err
}

func TestContactRequestsAreListedWhole(t *testing.T) {
	n, err := phone.Parse("+491701234567")
	check(t, err)
	p := &people{number: n}
	e, err := serveEndpoint(t, p).at(&credentials{Endpoint: "https://example.com:8443", PhoneNumberID: "123456789012345", AccessToken: "the token"})
	check(t, err)
	var out strings.Builder
	for _, want := range []string{"every customer", "+491701234567   -         declined          2026-11-28T18:00:00Z   3"} {
		open, err := e.contactRequests(t.Context())
		check(t, err)
		out.Reset()
		check(t, printContactRequests(&out, open))
		if !strings.Contains(out.String(), want) {
			t.Errorf("listed:\n%s", out.String())
		}
		for i := range 700 { // two pages
			p.requests = append(p.requests, cloudapi.ContactRequest{Number: n, Since: time.Date(2026, 11, 28, 18, 0, 0, 0, time.UTC), Waiting: 3, Declined: i == 699, Cursor: int64(i + 1)})
		}
	}
	if lines := strings.Count(out.String(), "+491701234567"); lines != 700 {
		t.Errorf("%d of 700 were listed", lines)
	}
}

// serveEndpoint serves a relay's endpoint of which only the people are not real, and
// returns flags that lead to it.
func serveEndpoint(t *testing.T, p *people) *endpointFlags {
	t.Helper()
	own, err := phone.Parse("+4930111111")
	check(t, err)
	server := httptest.NewTLSServer(cloudapi.New(cloudapi.Options{
		Service: p, Customers: p, DeadLetters: p.letters, Token: "the token", Tokens: p.named, Throughput: 80, HideNumbers: p.hidden,
		Number: cloudapi.Number{ID: "123456789012345", Phone: own},
	}))
	t.Cleanup(server.Close)
	ca := filepath.Join(t.TempDir(), "ca.pem")
	check(t, os.WriteFile(ca, pem.EncodeToMemory(&pem.Block{Type: "CERTIFICATE", Bytes: server.Certificate().Raw}), 0o600))
	u, err := url.Parse(server.URL)
	check(t, err)
	return &endpointFlags{endpointAddress: u.Host, endpointCA: ca}
}

// at returns the endpoint of serveEndpoint.
func (f *endpointFlags) at(c *credentials) (*endpoint, error) { return f.endpoint(c, f.given()) }

func TestPersonIsExportedWholeAndErased(t *testing.T) {
	n, err := phone.Parse("+491701234567")
	check(t, err)
	p := &people{number: n}
	e, err := serveEndpoint(t, p).at(&credentials{Endpoint: "https://example.com:8443", PhoneNumberID: "123456789012345", AccessToken: "the token"})
	check(t, err)
	kept, err := e.export(t.Context(), person(n.Digits()))
	check(t, err)
	if messages, _ := kept["messages"].([]any); len(messages) != 3 || kept["wa_id"] != "491701234567" || kept["name"] != "Ada" {
		t.Errorf("exported %v", kept)
	}
	_, err = e.call(t.Context(), "DELETE", person(n.Digits()), nil)
	check(t, err)
	if !p.erased {
		t.Error("the person is not erased")
	}
	if _, err := e.export(t.Context(), person(n.Digits())); err == nil || !strings.Contains(err.Error(), "stores nothing about this person") {
		t.Errorf("after the erasure: %v", err)
	}
	p.err = cloudapi.ErrUnavailable
	if _, err := e.call(t.Context(), "DELETE", person(n.Digits()), nil); err == nil || !strings.Contains(err.Error(), "run the command again") {
		t.Errorf("while the carrier is away: %v", err)
	}
	e.token = "rotated away"
	_, err = e.call(t.Context(), "DELETE", person(n.Digits()), nil)
	if exit.Code(err) != exit.Refused {
		t.Errorf("with another token: exit %d, %v", exit.Code(err), err)
	}
	if strings.Contains(err.Error(), n.Digits()) {
		t.Errorf("the error names the person: %v", err)
	}
}

func TestEndpointThatCannotBeReachedIsSaidWithoutTheNumber(t *testing.T) {
	n, err := phone.Parse("+491701234567")
	check(t, err)
	f := &endpointFlags{endpointAddress: "127.0.0.1:1"}
	e, err := f.at(&credentials{Endpoint: "https://example.com:8443", PhoneNumberID: "1", AccessToken: "t"})
	check(t, err)
	_, err = e.call(t.Context(), "GET", person(n.Digits()), nil)
	if err == nil || !strings.Contains(err.Error(), "--endpoint-address") || strings.Contains(err.Error(), n.Digits()) {
		t.Errorf("error %v", err)
	}
}

func TestEndpointThatTheRelayHasNotReportedIsNotCalled(t *testing.T) {
	relay, region := acme()
	relay.Status = v1alpha1.BusinessRelayStatus{}
	_, err := new(endpointFlags).openIn(t.Context(), nil, inMemory(t, relay, region), "acme", "acme")
	if err == nil || !strings.Contains(err.Error(), "not reported its endpoint yet: see kubectl relay check relay/acme -n acme") {
		t.Errorf("error %v", err)
	}
}

// A customer without a number, or whose number the business is not told, is named by user id.
func TestPersonWithoutANumberIsExportedAndErasedByUserID(t *testing.T) {
	n, err := phone.ParseName("romeo.montague")
	check(t, err)
	p := &people{number: n, hidden: true, requests: []cloudapi.ContactRequest{{Number: n, UserID: ada, Since: time.Date(2026, 11, 28, 18, 0, 0, 0, time.UTC), Cursor: 1}}}
	e, err := serveEndpoint(t, p).at(&credentials{Endpoint: "https://example.com:8443", PhoneNumberID: "123456789012345", AccessToken: "the token"})
	check(t, err)
	who, err := readPerson(ada)
	check(t, err)
	kept, err := e.export(t.Context(), who)
	check(t, err)
	if kept["user_id"] != ada || kept["wa_id"] != nil || kept["name"] != "Ada" {
		t.Errorf("exported %v", kept)
	}
	open, err := e.contactRequests(t.Context())
	check(t, err)
	var out strings.Builder
	check(t, printContactRequests(&out, open))
	if want := "-        " + ada + "   pending "; !strings.Contains(out.String(), want) {
		t.Errorf("listed:\n%s\nwant %q", out.String(), want)
	}
	if _, err := e.call(t.Context(), "DELETE", "491701234567", nil); err == nil || !strings.Contains(err.Error(), "user id") || p.erased {
		t.Errorf("by a number: %v", err)
	}
	_, err = e.call(t.Context(), "DELETE", who, nil)
	check(t, err)
	if !p.erased || who.words() != "customer "+ada {
		t.Errorf("erased: %v; %s", p.erased, who.words())
	}
	if _, err := e.export(t.Context(), who); err == nil || !strings.Contains(err.Error(), "stores nothing about this person") {
		t.Errorf("after the erasure: %v", err)
	}
}

func TestPersonIsANumberOrAUserID(t *testing.T) {
	for arg, want := range map[string]person{"+491701234567": "491701234567", ada: ada, "US.1": "US.1"} {
		if got, err := readPerson(arg); err != nil || got != want {
			t.Errorf("%s: %q, %v", arg, got, err)
		}
	}
	for _, arg := range []string{"", "491701234567", "de.1", "DE.", "DE.1/../..", "DE.ä", "DE." + strings.Repeat("1", 129), "romeo.montague"} {
		if got, err := readPerson(arg); err == nil {
			t.Errorf("%q is taken as %q", arg, got)
		}
	}
	// Nothing that a relay answers controls the terminal.
	if got := shownUser("DE.1\x1b[2J") + shownNumber("\x1b"); got != "--" {
		t.Errorf("shown as %q", got)
	}
}
