package rich

import (
	"errors"
	"math"
	"strconv"
	"strings"
)

// Place is a place on Earth. Degrees are those of WGS 84, as in RFC 5870.
type Place struct {
	Latitude  float64 `json:"latitude"`  // -90 to 90
	Longitude float64 `json:"longitude"` // -180 to 180
	Name      string  `json:"name,omitempty"`
	Address   string  `json:"address,omitempty"`
}

// ErrPlace means that a text is not a geo URI, or that degrees name no place.
var ErrPlace = errors.New("not a place")

// Valid says whether the degrees name a place.
func (p Place) Valid() bool {
	return math.Abs(p.Latitude) <= 90 && math.Abs(p.Longitude) <= 180 // false for what is no number
}

// Text is the place as people read it: its name, its address, and a geo URI, which clients open on a map.
func (p Place) Text() string { return joined("\n", p.Name, p.Address, p.uri()) }

func (p Place) uri() string { return "geo:" + degrees(p.Latitude) + "," + degrees(p.Longitude) }

func degrees(f float64) string { return strconv.FormatFloat(f, 'f', -1, 64) }

// maxURI is the longest geo URI that is read, in bytes.
const maxURI = 256

// ParsePlace reads a text that is a geo URI and nothing else (RFC 5870), as clients send a place. Altitude
// and parameters are not read.
func ParsePlace(text string) (Place, error) {
	text = strings.TrimSpace(text)
	if len(text) > maxURI || len(text) < len("geo:") || !strings.EqualFold(text[:len("geo:")], "geo:") {
		return Place{}, ErrPlace
	}
	path, parameters, _ := strings.Cut(text[len("geo:"):], ";")
	path, _, _ = strings.Cut(path, "?") // Android's clients add a query
	parts := strings.Split(path, ",")
	if len(parts) < 2 || len(parts) > 3 || strings.ContainsAny(text, " \t\r\n") || otherSystem(parameters) {
		return Place{}, ErrPlace
	}
	var number [2]float64
	for i, part := range parts[:2] {
		if strings.Trim(part, "-.0123456789") != "" {
			return Place{}, ErrPlace
		}
		n, err := strconv.ParseFloat(part, 64)
		if err != nil {
			return Place{}, ErrPlace
		}
		number[i] = n
	}
	p := Place{Latitude: number[0], Longitude: number[1]}
	if !p.Valid() {
		return Place{}, ErrPlace
	}
	return p, nil
}

// otherSystem says whether parameters name another coordinate system than WGS 84.
func otherSystem(parameters string) bool {
	for p := range strings.SplitSeq(strings.ToLower(parameters), ";") {
		if system, named := strings.CutPrefix(p, "crs="); named && system != "wgs84" {
			return true
		}
	}
	return false
}
