package cloudapi_test

import (
	"net/http"
	"net/http/httptest"
	"testing"
	"time"

	"github.com/relaykeep/relaykeep/relay/cloudapi"
)

func TestFormerToken_IsAcceptedUntilItsEndAndNoLonger(t *testing.T) {
	now := time.Now()
	o := options(t, &service{})
	o.Former = cloudapi.FormerToken{Token: "the one before", Until: now.Add(time.Hour)}
	o.Now = func() time.Time { return now }
	api := cloudapi.New(o)
	status := func(bearer string) int {
		r := httptest.NewRequest(http.MethodGet, "/v23.0/"+numberID, nil)
		r.Header.Set("Authorization", "Bearer "+bearer)
		w := httptest.NewRecorder()
		serve(api, w, r)
		return w.Code
	}
	for bearer, want := range map[string]int{token: 200, "the one before": 200, "another": 401, "": 401} {
		if got := status(bearer); got != want {
			t.Errorf("within the overlap: status %d, want %d", got, want)
		}
	}
	now = now.Add(time.Hour)
	for bearer, want := range map[string]int{token: 200, "the one before": 401} {
		if got := status(bearer); got != want {
			t.Errorf("after it: status %d, want %d", got, want)
		}
	}
}
