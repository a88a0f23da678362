package cloudapi

import (
	"net/http"
)

// profileFields are the fields of the profile that are shown when the request names none.
const profileFields = "about,address,description,email,websites,vertical"

// profile serves GET /{phone-number-id}/whatsapp_business_profile. Fields without a value are
// left out, as the hosted API does.
func (a *API) profile(_ http.ResponseWriter, r *http.Request, _ string) (any, error) {
	fields, err := wanted(r, profileFields)
	if err != nil {
		return nil, err
	}
	shown := map[string]any{"messaging_product": product}
	for _, f := range fields {
		value, ok := a.Number.Profile.field(f.name)
		switch {
		case !ok || f.nested != nil:
			return nil, errNoField()
		case value != nil:
			shown[f.name] = value
		}
	}
	return listed{Data: []any{shown}}, nil
}

// field returns one field of the profile, or nil if it has no value.
func (p Profile) field(name string) (value any, ok bool) {
	text := ""
	switch name {
	case "about":
		text = p.About
	case "address":
		text = p.Address
	case "description":
		text = p.Description
	case "email":
		text = p.Email
	case "vertical":
		text = p.Vertical
	case "websites":
		if len(p.Websites) == 0 {
			return nil, true
		}
		return p.Websites, true
	case "messaging_product", "profile_picture_url": // the first is always shown; the picture has no address
	default:
		return nil, false
	}
	if text == "" {
		return nil, true
	}
	return text, true
}
