package cloudapi_test

import (
	"context"
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"

	"github.com/relaykeep/relaykeep/relay/cloudapi"
	logproof "github.com/relaykeep/relaykeep/relay/proof"
)

const logEdge = "/v23.0/" + numberID + "/log/"

// logged is a log with one tile.
type logged struct{ err error }

func (l logged) Header(context.Context) (logproof.Header, error) {
	return logproof.Header{Log: "relaykeep.dev/log/1", Key: "key", Signed: "signed", Witnessed: "witnessed"}, l.err
}

func (l logged) Checkpoint(context.Context) ([]byte, error) { return []byte("a checkpoint\n"), l.err }

func (l logged) Tile(_ context.Context, path string) ([]byte, error) {
	if path != "tile/entries/x001/067.p/8" {
		return nil, cloudapi.ErrNoLogFile
	}
	return []byte("entries"), l.err
}

func TestLog_IsServedAsTiles(t *testing.T) {
	o := options(t, &service{})
	o.Ledger = logged{}
	a := cloudapi.New(o)
	for path, want := range map[string]string{
		"checkpoint":                "200 text/plain; charset=utf-8 a checkpoint\n",
		"tile/entries/x001/067.p/8": "200 application/octet-stream entries",
		"header":                    `200 application/json; charset=UTF-8 {"log":"relaykeep.dev/log/1","key":"key","checkpoint":"signed","witnessed":"witnessed"}`,
	} {
		w := call(a, http.MethodGet, logEdge+path, "")
		if got := strings.Join([]string{"200", w.Header().Get("Content-Type"), w.Body.String()}, " "); w.Code != http.StatusOK || got != want {
			t.Errorf("%s: %d %s, want %s", path, w.Code, got, want)
		}
	}
	// Without the version, as clients of tiles may ask.
	if w := call(a, http.MethodGet, "/"+numberID+"/log/tile/entries/x001/067.p/8", ""); w.Code != http.StatusOK {
		t.Errorf("without a version: %d", w.Code)
	}
	for _, path := range []string{"tile/0/000", "tile/0/x001/x002/x003/x004/005", "..", "x"} {
		if w := call(a, http.MethodGet, logEdge+path, ""); w.Code != http.StatusNotFound {
			t.Errorf("%s: %d", path, w.Code)
		}
	}
	o.Ledger = logged{cloudapi.ErrUnavailable}
	if w := call(cloudapi.New(o), http.MethodGet, logEdge+"checkpoint", ""); w.Code != http.StatusServiceUnavailable && w.Code != http.StatusInternalServerError {
		t.Errorf("a store that is away: %d", w.Code)
	}
	if w := call(cloudapi.New(options(t, &service{})), http.MethodGet, logEdge+"checkpoint", ""); w.Code != http.StatusBadRequest {
		t.Errorf("of a relay without a log: %d", w.Code)
	}
}

// noted has what requests are counted as.
func noted(t *testing.T, s *service) (*cloudapi.API, *[]string) {
	t.Helper()
	var all []string
	o := options(t, s)
	o.Ledger, o.DeadLetters = logged{}, &deadLetters{}
	o.Note = func(_ context.Context, who string, kind logproof.Kind, result string) {
		all = append(all, who+" "+string(kind)+" "+result)
	}
	return cloudapi.New(o), &all
}

func TestNote_TellsWhatWasAskedAndByWhom(t *testing.T) {
	for _, c := range []struct{ method, path, body, want string }{
		{http.MethodPost, messages, `{"messaging_product":"whatsapp","to":"16505551234","text":{"body":"hello"}}`, "owner send ok"},
		{http.MethodPost, messages, `{}`, "owner send invalid"},
		{http.MethodGet, "/v23.0/" + numberID + "/block_users", "", "owner block-read ok"},
		{http.MethodGet, letters, "", "owner history-read ok"},
		{http.MethodPost, letters, `{"all":true}`, "owner replay ok"},
		{http.MethodGet, logEdge + "checkpoint", "", "owner log-read ok"},
		{http.MethodGet, "/v23.0/" + numberID, "", ""},
		{http.MethodGet, "/v23.0/me", "", ""},
	} {
		a, all := noted(t, &service{})
		call(a, c.method, c.path, c.body)
		if got := strings.Join(*all, ", "); got != c.want {
			t.Errorf("%s %s is noted as %q, want %q", c.method, c.path, got, c.want)
		}
	}
	a, all := noted(t, &service{})
	w := httptest.NewRecorder()
	serve(a, w, httptest.NewRequest(http.MethodGet, "/v23.0/"+numberID+"/customers/16505551234", nil))
	if got := strings.Join(*all, ", "); got != "nobody refused denied" {
		t.Errorf("without a token it is noted as %q", got)
	}
}
