package cloudapi

import (
	"cmp"
	"encoding/json"
	"strconv"
	"strings"

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

// place checks a location, which is a parameter of that name.
func (l *locationObject) place(param string) (p rich.Place, err error) {
	if l == nil {
		return p, errMissing(param)
	}
	p.Name, p.Address = l.Name, l.Address
	for _, field := range []struct {
		name string
		text degrees
		to   *float64
	}{{param + ".latitude", l.Latitude, &p.Latitude}, {param + ".longitude", l.Longitude, &p.Longitude}} {
		text := strings.TrimSpace(string(field.text))
		if text == "" {
			return p, errMissing(field.name)
		}
		n, err := strconv.ParseFloat(text, 64)
		if err != nil || strings.Trim(text, "+-.0123456789eE") != "" {
			return p, errInvalidValue(field.name + " must be degrees, as a decimal number.")
		}
		*field.to = n
	}
	if !p.Valid() {
		return p, errInvalidValue(param + ".latitude must be -90 to 90 and " + param + ".longitude -180 to 180.")
	}
	return p, cmp.Or(atMost(param+".name", p.Name, maxPlace), atMost(param+".address", p.Address, maxPlace))
}
