package cloudapi

import "net/http"

// defaultFields are the fields of a number that are shown when the request names none.
const defaultFields = "verified_name,display_phone_number,quality_rating"

// number serves GET /{phone-number-id}?fields=…, which clients call to check that their token
// works.
func (a *API) number(_ http.ResponseWriter, r *http.Request, _ string) (any, error) {
	list := r.URL.Query().Get("fields")
	if list == "" {
		list = defaultFields
	}
	fields, err := splitFields(list)
	if err != nil {
		return nil, err
	}
	shown := map[string]any{"id": a.Number.ID}
	for _, f := range fields {
		value, ok := a.field(f.name)
		if ok && f.nested != nil {
			value, ok = nestedFields(value, f.nested)
		}
		if !ok {
			return nil, errNoField()
		}
		shown[f.name] = value
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
