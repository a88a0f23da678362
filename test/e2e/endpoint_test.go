//go:build e2e

package e2e

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net/http"
	"strings"
	"syscall"
	"testing"

	"github.com/relaykeep/relaykeep/test/lab"
)

// asked is what a program of acme's asks of the endpoint.
type asked struct{ numberID, token, body string }

// answered is as much of the answer as clients of the Cloud API look at.
type answered struct {
	Messages []struct{ ID string }
	Error    *struct {
		Message, Type string
		Code          int
		Trace         string `json:"fbtrace_id"`
	}
}

func (a asked) post(t *testing.T, endpoint string, client *http.Client) (status int, out answered) {
	t.Helper()
	check(t, lab.Poll(within(t), func(ctx context.Context) error {
		req, err := http.NewRequestWithContext(ctx, http.MethodPost, endpoint+"/v23.0/"+a.numberID+"/messages", strings.NewReader(a.body))
		if err != nil {
			return lab.Final(err)
		}
		req.Header.Set("Authorization", "Bearer "+a.token)
		req.Header.Set("Content-Type", "application/json")
		res, err := client.Do(req)
		if errors.Is(err, syscall.ECONNREFUSED) { // nodes lead a Service to its pod some time after that is ready
			return err
		}
		if err != nil {
			return lab.Final(err)
		}
		defer func() { _ = res.Body.Close() }()
		data, err := io.ReadAll(io.LimitReader(res.Body, 1<<20))
		if err != nil {
			return lab.Final(err)
		}
		if err := json.Unmarshal(data, &out); err != nil {
			return lab.Final(fmt.Errorf("the answer is no JSON: %w", err))
		}
		status = res.StatusCode
		return nil
	}))
	return status, out
}

func TestEndpoint_RefusesWithTheCloudAPIsErrorObject(t *testing.T) {
	known, err := environment.Credentials(lab.Acme)
	check(t, err)
	other, err := environment.Credentials(lab.Globex)
	check(t, err)
	client, err := environment.EndpointClient(within(t), lab.Acme)
	check(t, err)
	body := `{"messaging_product":"whatsapp","to":"` + environment.Customer().Digits() + `","type":"text","text":{"body":"Your order is on its way"}}`
	rightful := asked{known.PhoneNumberID, known.AccessToken, body}
	for _, refused := range []struct {
		what string
		asked
		status, code int
	}{
		{"a token that nobody has", asked{known.PhoneNumberID, "EAAunknown", body}, http.StatusUnauthorized, 190},
		{"another business's token", asked{known.PhoneNumberID, other.AccessToken, body}, http.StatusUnauthorized, 190},
		{"a body that is no JSON", asked{known.PhoneNumberID, known.AccessToken, "to=491713920042"}, http.StatusBadRequest, 100},
		{"another business's number", asked{other.PhoneNumberID, known.AccessToken, body}, http.StatusBadRequest, 100},
		{"a number that is nobody's", asked{"999999999999999", known.AccessToken, body}, http.StatusBadRequest, 100},
	} {
		t.Run(refused.what, func(t *testing.T) {
			status, got := refused.post(t, known.Endpoint, client)
			if status != refused.status || got.Error == nil || got.Error.Code != refused.code {
				t.Fatalf("the answer is %d %+v, want %d with code %d", status, got, refused.status, refused.code)
			}
			if got.Error.Message == "" || got.Error.Type == "" || got.Error.Trace == "" {
				t.Errorf("the error object is incomplete: %+v", got.Error)
			}
		})
	}
	t.Run("the rightful owner's same request succeeds", func(t *testing.T) {
		status, got := rightful.post(t, known.Endpoint, client)
		if status != http.StatusOK || len(got.Messages) != 1 || got.Messages[0].ID == "" {
			t.Errorf("the answer is %d %+v", status, got)
		}
	})
}
