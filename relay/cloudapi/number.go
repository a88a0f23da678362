package cloudapi

import (
	"net/http"
	"strings"
)

// defaultFields are the fields of a number that are shown when the request names none.
const defaultFields = "verified_name,display_phone_number,quality_rating"

// maxFields bounds the list of fields that a request names.
const maxFields = 32

// number serves GET /{phone-number-id}?fields=…, which clients call to check that their token
// works.
func (a *API) number(_ http.ResponseWriter, r *http.Request, _ string) (any, error) {
	fields := r.URL.Query().Get("fields")
	if fields == "" {
		fields = defaultFields
	}
	names := strings.SplitN(fields, ",", maxFields+1)
	if len(names) > maxFields {
		return nil, errInvalidParameter("Too many fields.")
	}
	shown := map[string]any{"id": a.Number.ID}
	for _, name := range names {
		value, ok := a.field(strings.TrimSpace(name))
		if !ok {
			return nil, errInvalidParameter("Tried accessing a nonexisting field.")
		}
		shown[strings.TrimSpace(name)] = value
	}
	return shown, nil
}

// field returns one field of the number.
func (a *API) field(name string) (any, bool) {
	switch name {
	case "id":
		return a.Number.ID, true
	case "display_phone_number":
		return a.Number.Phone.E164(), true
	case "verified_name":
		return a.Number.Name, true
	case "quality_rating":
		return a.Quality(), true
	case "status":
		return "CONNECTED", true
	case "code_verification_status":
		return "VERIFIED", true
	case "platform_type":
		return "CLOUD_API", true
	case "account_mode":
		return "LIVE", true
	case "throughput":
		return map[string]string{"level": "STANDARD"}, true
	}
	return nil, false
}
