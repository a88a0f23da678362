package cloudapi

import (
	"cmp"
	"encoding/json"
	"strconv"
	"strings"

	"github.com/relaykeep/relaykeep/relay/phone"
	"github.com/relaykeep/relaykeep/relay/rich"
)

// maxPlace is how long a place's name and address may each be, in characters.
const maxPlace = 1000

// locationObject is the content of a location message.
type locationObject struct {
	Latitude  degrees `json:"latitude"`
	Longitude degrees `json:"longitude"`
	Name      string  `json:"name"`
	Address   string  `json:"address"`
}

// degrees are documented as a string and often written as a number.
type degrees string

// UnmarshalJSON implements json.Unmarshaler.
func (d *degrees) UnmarshalJSON(b []byte) error {
	var n json.Number
	if err := json.Unmarshal(b, &n); err == nil {
		*d = degrees(n)
		return nil
	}
	return json.Unmarshal(b, (*string)(d))
}

// location reads a location, whose envelope was checked.
func (q *request) location(to phone.Number) (*Text, error) {
	l := q.Location
	if l == nil {
		return nil, errMissing("location")
	}
	p := rich.Place{Name: l.Name, Address: l.Address}
	for _, field := range []struct {
		name string
		text degrees
		to   *float64
	}{{"location.latitude", l.Latitude, &p.Latitude}, {"location.longitude", l.Longitude, &p.Longitude}} {
		text := strings.TrimSpace(string(field.text))
		if text == "" {
			return nil, errMissing(field.name)
		}
		n, err := strconv.ParseFloat(text, 64)
		if err != nil || strings.Trim(text, "+-.0123456789eE") != "" {
			return nil, errInvalidValue(field.name + " must be degrees, as a decimal number.")
		}
		*field.to = n
	}
	if !p.Valid() {
		return nil, errInvalidValue("location.latitude must be -90 to 90 and location.longitude -180 to 180.")
	}
	if err := cmp.Or(atMost("location.name", p.Name, maxPlace), atMost("location.address", p.Address, maxPlace)); err != nil {
		return nil, err
	}
	return &Text{To: to, Body: p.Text(), Opaque: q.Opaque, ReplyTo: q.replyTo()}, nil
}
