package cloudapi_test

import (
	"context"
	"encoding/json"
	"net/http"
	"net/http/httptest"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/relaykeep/relaykeep/relay/cloudapi"
	"github.com/relaykeep/relaykeep/test/fuzz/mutation"
)

const letters = "/v23.0/" + numberID + "/dead_letters"

// deadLetters are a relay's.
type deadLetters struct {
	letters  []cloudapi.DeadLetter
	replayed []int64
	err      error
}

func (d *deadLetters) DeadLetters(_ context.Context, after cloudapi.DeadLetterPlace, limit int) ([]cloudapi.DeadLetter, error) {
	var page []cloudapi.DeadLetter
	for _, l := range d.letters {
		if l.Place.ID > after.ID && len(page) < limit {
			page = append(page, l)
		}
	}
	return page, d.err
}

func (d *deadLetters) Replay(_ context.Context, ids []int64) error {
	for _, id := range ids {
		if !slices.ContainsFunc(d.letters, func(l cloudapi.DeadLetter) bool { return l.Place.ID == id }) {
			return cloudapi.ErrUnknownLetter
		}
	}
	d.replayed = append(d.replayed, ids...)
	return d.err
}

func (d *deadLetters) ReplayAll(context.Context) (int, error) {
	for _, l := range d.letters {
		d.replayed = append(d.replayed, l.Place.ID)
	}
	return len(d.letters), d.err
}

func letter(id int64) cloudapi.DeadLetter {
	died := time.Date(2026, 3, 8, 12, 0, 0, 0, time.UTC)
	return cloudapi.DeadLetter{
		Place: cloudapi.DeadLetterPlace{Died: died, ID: id}, MessageID: wamid, Created: died.Add(-7 * 24 * time.Hour), Attempts: 170,
		Failure: "the webhook's receiver answered 503",
	}
}

func withLetters(t *testing.T, d *deadLetters) *cloudapi.API {
	t.Helper()
	o := options(t, &service{})
	o.DeadLetters = d
	return cloudapi.New(o)
}

func TestDeadLetters_AreListedInPages(t *testing.T) {
	d := &deadLetters{letters: []cloudapi.DeadLetter{letter(7), letter(8), letter(9)}}
	d.letters[1].Status, d.letters[2].MessageID, d.letters[2].Failure = "delivered", "", ""
	a := withLetters(t, d)
	first := call(a, http.MethodGet, letters+"?limit=2", "")
	golden(t, "dead-letters", first)
	var page struct {
		Data   []struct{ ID string }
		Paging *struct{ Cursors struct{ After string } }
	}
	if err := json.Unmarshal(first.Body.Bytes(), &page); err != nil || page.Paging == nil {
		t.Fatalf("%s: %v", first.Body, err)
	}
	second := call(a, http.MethodGet, letters+"?limit=2&after="+page.Paging.Cursors.After, "")
	page.Data, page.Paging = nil, nil
	if err := json.Unmarshal(second.Body.Bytes(), &page); err != nil || len(page.Data) != 1 || page.Data[0].ID != "9" || page.Paging != nil {
		t.Errorf("the second page is %s", second.Body)
	}
	for _, query := range []string{"limit=0", "limit=501", "after=x", "after=1", "after=_", "after=1_x", "after=-1_7", "after=99999999999999999999_1"} {
		if w := call(a, http.MethodGet, letters+"?"+query, ""); w.Code != http.StatusBadRequest || !strings.Contains(w.Body.String(), strings.Split(query, "=")[0]) {
			t.Errorf("%s: %d %s", query, w.Code, w.Body)
		}
	}
}

func TestDeadLetters_AreReplayedByIDOrAll(t *testing.T) {
	for body, want := range map[string]struct {
		status   int
		replayed []int64
	}{
		`{"ids":["7","8","7"]}`:            {http.StatusOK, []int64{7, 8}},
		`{"all":true}`:                     {http.StatusOK, []int64{7, 8, 9}},
		`{"all":true,"ids":["7"]}`:         {http.StatusBadRequest, nil},
		`{"ids":["7","10"]}`:               {http.StatusBadRequest, nil},
		`{"ids":["-7"]}`:                   {http.StatusBadRequest, nil},
		`{"ids":["99999999999999999999"]}`: {http.StatusBadRequest, nil},
		`{"ids":[]}`:                       {http.StatusBadRequest, nil},
		`{"all":false}`:                    {http.StatusBadRequest, nil},
		`{}`:                               {http.StatusBadRequest, nil},
		`{"ids":[` + strings.Repeat(`"7",`, 1000) + `"7"]}`: {http.StatusBadRequest, nil},
	} {
		d := &deadLetters{letters: []cloudapi.DeadLetter{letter(7), letter(8), letter(9)}}
		w := call(withLetters(t, d), http.MethodPost, letters, body)
		if w.Code != want.status || !slices.Equal(d.replayed, want.replayed) {
			t.Errorf("%.40s: %d %s, replayed %v", body, w.Code, w.Body, d.replayed)
		}
	}
}

func TestDeadLetters_OfARelayWithoutThemDoNotExist(t *testing.T) {
	if w := call(cloudapi.New(options(t, &service{})), http.MethodGet, letters, ""); w.Code != http.StatusBadRequest || !strings.Contains(w.Body.String(), `"error_subcode":33`) {
		t.Errorf("%d %s", w.Code, w.Body)
	}
}

func FuzzDeadLetters(tf *testing.F) {
	f := mutation.Of(tf)
	f.Add(`{"ids":["7","8"]}`, "limit=2&after=1772971200000_8")
	f.Add(`{"all":true}`, "after=_")
	f.Add(`ids=["7"]`, "ids=%5B7%5D")
	f.Fuzz(func(t *testing.T, body, query string) {
		d := &deadLetters{letters: []cloudapi.DeadLetter{letter(7), letter(8), letter(9)}}
		for _, method := range []string{http.MethodGet, http.MethodPost} {
			r := httptest.NewRequest(method, letters, strings.NewReader(body))
			r.URL.RawQuery = query
			r.Header.Set("Authorization", "Bearer "+token)
			w := httptest.NewRecorder()
			withLetters(t, d).ServeHTTP(w, r)
			if !json.Valid(w.Body.Bytes()) || w.Code != http.StatusOK && w.Code != http.StatusBadRequest {
				t.Errorf("%s: %d %s", method, w.Code, w.Body)
			}
			if w.Code != http.StatusOK && len(d.replayed) > 0 || len(d.replayed) > 3 {
				t.Errorf("%s: %d, and %v are replayed", method, w.Code, d.replayed)
			}
		}
	})
}
