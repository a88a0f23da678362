package cloudapi

import (
	"encoding/json"
	"strings"
	"testing"
)

func TestErrorAboutABody_RepeatsNoNumber(t *testing.T) {
	var into struct {
		Minutes int8 `json:"minutes"`
	}
	err := errBody(json.Unmarshal([]byte(`{"minutes":1234}`), &into))
	if !strings.HasSuffix(err.Details, "Param minutes must be of another type than number.") {
		t.Errorf("the error is %+v", err)
	}
}
