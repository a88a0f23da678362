package vault_test

import (
	"net/http"
	"strings"
	"testing"
	"time"

	"github.com/relaykeep/relaykeep/relay/receipt"
)

// Where nobody removes receipts, what happened lately must still be seen.
func TestReceiptNames_OfManyMonthsAreTheLatest(t *testing.T) {
	first := time.Date(2026, 1, 1, 0, 0, 0, 0, time.UTC)
	var months []string
	for n := range 40 {
		months = append(months, first.AddDate(0, n, 0).Format("2006-01")+"/")
	}
	f := newFixture(t)
	f.answers(func(w http.ResponseWriter, r *http.Request, _ int) {
		keys := []string{"01T000000Z-00000000"}
		if strings.HasSuffix(r.URL.Path, "/janitor") {
			keys = months
		}
		reply(w, http.StatusOK, map[string]any{"data": map[string]any{"keys": keys}})
	})
	names, err := f.client.ReceiptNames(t.Context(), receipt.Janitor, time.Time{})
	if err != nil || len(names) != 24 || names[23].Month+"/" != months[39] {
		t.Errorf("%d names, %v: %v", len(names), err, names)
	}
}
