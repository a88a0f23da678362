package cloudapi_test

import (
	"net/http"
	"strings"
	"testing"

	"github.com/relaykeep/relaykeep/relay/cloudapi"
)

// shop returns a handler of a number that has another beside it.
func shop(t *testing.T) http.Handler {
	t.Helper()
	return whole(t, func(o *cloudapi.Options) {
		o.Number.AccountName = "shop"
		o.Others = func() []cloudapi.OtherNumber {
			return []cloudapi.OtherNumber{
				{ID: "106540352242923", Phone: mustNumber(t, "+15550783882"), Name: "Shop Two", Quality: "YELLOW", Connected: true},
				{ID: "106540352242924", Phone: mustNumber(t, "+15550783883")},
			}
		}
	})
}

func TestBusinessAccount_ListsTheNumbersOfItsRelays(t *testing.T) {
	for name, path := range map[string]string{
		"shop-account":       accountID + "?fields=id,name,owner_business_info",
		"shop-me":            "me",
		"shop-numbers":       accountID + "/phone_numbers",
		"shop-numbers-pages": accountID + "/phone_numbers?limit=1&after=MQ&fields=id,status,quality_rating",
		// What another relay alone knows is left out of its number.
		"shop-numbers-fields": accountID + "/phone_numbers?fields=id,webhook_configuration,health_status{can_send_message},last_onboarded_time",
	} {
		t.Run(name, func(t *testing.T) { golden(t, name, call(shop(t), http.MethodGet, "/v27.0/"+path, "")) })
	}
}

// TestBusinessAccount_ARelayServesNoOtherNumber asks everything of another relay's number.
func TestBusinessAccount_ARelayServesNoOtherNumber(t *testing.T) {
	h := shop(t)
	for _, edge := range []string{"", "/messages", "/messages_encrypted", "/settings", "/media", "/block_users", "/customers", "/whatsapp_business_profile", "/access_tokens"} {
		for _, method := range []string{http.MethodGet, http.MethodPost, http.MethodDelete} {
			w := call(h, method, "/v27.0/106540352242923"+edge, `{}`)
			if w.Code != http.StatusBadRequest && w.Code != http.StatusNotFound || !strings.Contains(w.Body.String(), `"code":100`) {
				t.Errorf("%s of %q: %d %s", method, edge, w.Code, w.Body)
			}
		}
	}
}
