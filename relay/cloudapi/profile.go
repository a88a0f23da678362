package cloudapi

import (
	"cmp"
	"fmt"
	"net/http"
	"slices"
	"strings"
)

// Limits of a profile ("Business profiles").
const (
	maxAbout       = 139
	maxAddress     = 256
	maxDescription = 512
	maxEmail       = 128
	maxWebsites    = 2
	maxWebsite     = 256
)

// verticals are the lines of business that a profile may name.
const verticals = "UNDEFINED OTHER AUTO BEAUTY APPAREL EDU ENTERTAIN EVENT_PLAN FINANCE GROCERY GOVT HOTEL HEALTH NONPROFIT PROF_SERVICES RETAIL " +
	"TRAVEL RESTAURANT ALCOHOL ONLINE_GAMBLING PHYSICAL_GAMBLING OTC_DRUGS MATRIMONY_SERVICE"

// profileFields are the fields of the profile that are shown when the request names none.
const profileFields = "about,address,description,email,websites,vertical"

// profile serves GET /{phone-number-id}/whatsapp_business_profile. Fields without a value are
// left out, as the hosted API does.
func (a *API) profile(_ http.ResponseWriter, r *http.Request, _ string) (any, error) {
	fields, err := wanted(r, profileFields)
	if err != nil {
		return nil, err
	}
	kept, err := a.Service.Profile(r.Context())
	if err != nil {
		return nil, fromService(err)
	}
	all := a.Number.Profile.over(kept)
	shown := map[string]any{"messaging_product": product}
	for _, f := range fields {
		value, ok := all.field(f.name)
		switch {
		case !ok || f.nested != nil || f.params != nil:
			return nil, errNoField()
		case value != nil:
			shown[f.name] = value
		}
	}
	return listed{Data: []any{shown}}, nil
}

// over returns a profile whose gaps another one fills.
func (p Profile) over(other Profile) Profile {
	p.About, p.Address, p.Description = cmp.Or(p.About, other.About), cmp.Or(p.Address, other.Address), cmp.Or(p.Description, other.Description)
	p.Email, p.Vertical = cmp.Or(p.Email, other.Email), cmp.Or(p.Vertical, other.Vertical)
	if len(p.Websites) == 0 {
		p.Websites = other.Websites
	}
	return p
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

// profileRequest has the parameters of a POST to the profile. What is nil stays as it is.
type profileRequest struct {
	Product     string    `json:"messaging_product"`
	About       *string   `json:"about"`
	Address     *string   `json:"address"`
	Description *string   `json:"description"`
	Email       *string   `json:"email"`
	Vertical    *string   `json:"vertical"`
	Websites    *[]string `json:"websites"`
	Picture     *string   `json:"profile_picture_handle"`
}

// editProfile serves POST /{phone-number-id}/whatsapp_business_profile. What the BusinessRelay
// says stays: a client may only repeat it.
func (a *API) editProfile(w http.ResponseWriter, r *http.Request, _ string) (any, error) {
	var q profileRequest
	if err := readParams(w, r, &q); err != nil {
		return nil, err
	}
	if err := cmp.Or(checkProduct(q.Product), q.check()); err != nil {
		return nil, err
	}
	a.editing.Lock()
	defer a.editing.Unlock()
	p, err := a.Service.Profile(r.Context())
	if err != nil {
		return nil, fromService(err)
	}
	if err := q.apply(&p, a.Number.Profile); err != nil {
		return nil, err
	}
	if err := a.Service.PutProfile(r.Context(), p); err != nil {
		return nil, fromService(err)
	}
	return success{true}, nil
}

// check checks each field that the request names.
func (q profileRequest) check() error {
	if q.Picture != nil {
		return errDenied("The picture is set in the BusinessRelay (spec.profile.picture).")
	}
	if q.About != nil && *q.About == "" {
		return errInvalidParameter(fmt.Sprintf("Param about must have 1 to %d characters.", maxAbout))
	}
	for _, f := range []struct {
		name  string
		value *string
		most  int
	}{{"about", q.About, maxAbout}, {"address", q.Address, maxAddress}, {"description", q.Description, maxDescription}, {"email", q.Email, maxEmail}} {
		if f.value == nil {
			continue
		}
		if err := atMost(f.name, *f.value, f.most); err != nil {
			return err
		}
	}
	switch {
	case q.Email != nil && *q.Email != "" && !strings.Contains(strings.Trim(*q.Email, "@"), "@"):
		return errInvalidValue("email must be an e-mail address.")
	case q.Vertical != nil && *q.Vertical != "" && !slices.Contains(strings.Fields(verticals), *q.Vertical):
		return errInvalidValue("vertical must be one of " + strings.Join(strings.Fields(verticals), ", ") + ".")
	case q.Websites == nil:
		return nil
	case len(*q.Websites) > maxWebsites:
		return errInvalidParameter(fmt.Sprintf("Param websites must have at most %d addresses.", maxWebsites))
	}
	for _, site := range *q.Websites {
		if !followable(site, maxWebsite) {
			return errInvalidValue(fmt.Sprintf("websites must be http or https addresses of at most %d bytes.", maxWebsite))
		}
	}
	return nil
}

// apply changes a profile, unless the BusinessRelay says otherwise.
func (q profileRequest) apply(p *Profile, fixed Profile) error {
	for _, f := range []struct {
		name  string
		said  *string
		kept  *string
		fixed string
	}{
		{"about", q.About, &p.About, fixed.About},
		{"address", q.Address, &p.Address, fixed.Address},
		{"description", q.Description, &p.Description, fixed.Description},
		{"email", q.Email, &p.Email, fixed.Email},
		{"vertical", q.Vertical, &p.Vertical, fixed.Vertical},
	} {
		switch {
		case f.said == nil, *f.said == f.fixed && f.fixed != "":
		case f.fixed != "":
			return errProfile(f.name)
		default:
			*f.kept = *f.said
		}
	}
	switch {
	case q.Websites == nil, len(fixed.Websites) > 0 && slices.Equal(*q.Websites, fixed.Websites):
	case len(fixed.Websites) > 0:
		return errProfile("websites")
	default:
		p.Websites = *q.Websites
	}
	return nil
}

func errProfile(field string) error {
	return errDenied("Param " + field + " is set in the BusinessRelay (spec.profile." + field + ").")
}
