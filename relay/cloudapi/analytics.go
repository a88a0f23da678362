package cloudapi

import (
	"encoding/json"
	"net/http"
	"slices"
	"strconv"
	"strings"
	"time"
)

// analytics is the field of the account that says how many messages were sent and delivered
// (developers.facebook.com, "Analytics"). Its parameters follow its name in the list of fields:
// analytics.start(1543543200).end(1544148000).granularity(DAY).
type analytics struct {
	PhoneNumbers []string    `json:"phone_numbers"`
	CountryCodes []string    `json:"country_codes"`
	Granularity  string      `json:"granularity"`
	DataPoints   []dataPoint `json:"data_points"`
}

// dataPoint is what was counted in one time.
type dataPoint struct {
	Start     int64 `json:"start"`
	End       int64 `json:"end"`
	Sent      int64 `json:"sent"`
	Delivered int64 `json:"delivered"`
}

// span is the time that analytics are about, and how it is divided.
type span struct {
	from, to    time.Time
	granularity string
}

// The ways to divide a span.
const (
	byHalfHour = "HALF_HOUR"
	byDay      = "DAY"
	byMonth    = "MONTH"
)

// analytics returns the field that a request names with these parameters.
func (a *API) analytics(r *http.Request, params map[string]string) (analytics, error) {
	s, err := a.readSpan(params)
	if err != nil {
		return analytics{}, err
	}
	counts, err := a.Service.SentCounts(r.Context(), s.from, s.to)
	if err != nil {
		return analytics{}, fromService(err)
	}
	shown := analytics{PhoneNumbers: []string{a.Number.Phone.Digits()}, CountryCodes: []string{}, Granularity: s.granularity, DataPoints: []dataPoint{}}
	for _, c := range counts {
		start, end := s.around(c.Start)
		if n := len(shown.DataPoints); n == 0 || shown.DataPoints[n-1].Start != start.Unix() {
			shown.DataPoints = append(shown.DataPoints, dataPoint{Start: start.Unix(), End: end.Unix()})
		}
		p := &shown.DataPoints[len(shown.DataPoints)-1]
		p.Sent, p.Delivered = p.Sent+c.Sent, p.Delivered+c.Delivered
	}
	return shown, nil
}

// around returns the part of a span that a time is in: a half hour, a day of 24 hours counted from the
// span's beginning, or what the span has of a month (UTC).
func (s span) around(at time.Time) (start, end time.Time) {
	switch s.granularity {
	case byHalfHour:
		start = at
		end = start.Add(CountPeriod)
	case byDay:
		const day = 24 * time.Hour
		start = s.from.Add(at.Sub(s.from).Truncate(day))
		end = start.Add(day)
	default:
		at = at.UTC()
		start = time.Date(at.Year(), at.Month(), 1, 0, 0, 0, 0, time.UTC)
		end = start.AddDate(0, 1, 0)
	}
	if start.Before(s.from) {
		start = s.from
	}
	if end.After(s.to) {
		end = s.to
	}
	return start, end
}

// readSpan reads the parameters of analytics. Counts are of all messages together: filters are refused
// unless they let all through.
func (a *API) readSpan(params map[string]string) (s span, err error) {
	for name := range params {
		switch name {
		case "start", "end", "granularity", "phone_numbers", "product_types", "country_codes":
		default:
			return s, errInvalidParameter("The field analytics has the parameters start, end, granularity, phone_numbers, product_types and country_codes.")
		}
	}
	if s.from, err = unixTime("start", params["start"]); err != nil {
		return s, err
	}
	if s.to, err = unixTime("end", params["end"]); err != nil {
		return s, err
	}
	s.from, s.to = s.from.Truncate(CountPeriod), s.to.Add(CountPeriod-1).Truncate(CountPeriod)
	if !s.from.Before(s.to) {
		return s, errInvalidParameter("Param start must be before end.")
	}
	switch s.granularity = params["granularity"]; s.granularity {
	case byHalfHour, byDay, byMonth:
	case "":
		return s, errInvalidParameter("The parameter granularity is required.")
	default:
		return s, errInvalidParameter("Param granularity must be HALF_HOUR, DAY or MONTH.")
	}
	return s, a.checkFilters(params)
}

// maxUnixTime is a time that nobody asks for: it is in the year 9999.
const maxUnixTime = 253_370_764_800

// unixTime reads a time in seconds since 1970.
func unixTime(param, value string) (time.Time, error) {
	if value == "" {
		return time.Time{}, errInvalidParameter("The parameter " + param + " is required.")
	}
	seconds, err := strconv.ParseInt(value, 10, 64)
	if err != nil || seconds < 0 || seconds > maxUnixTime {
		return time.Time{}, errInvalidParameter("Param " + param + " must be a time in seconds since 1970.")
	}
	return time.Unix(seconds, 0).UTC(), nil
}

// checkFilters refuses filters that would leave something out.
func (a *API) checkFilters(params map[string]string) error {
	numbers, err := filter("phone_numbers", params)
	if err != nil {
		return err
	}
	for _, n := range numbers {
		if strings.TrimPrefix(n, "+") != a.Number.Phone.Digits() {
			return errInvalidParameter("Param phone_numbers must have the digits of the business's own number, or be empty.")
		}
	}
	products, err := filter("product_types", params)
	if err != nil {
		return err
	}
	if all := slices.Contains(products, "0") && slices.Contains(products, "2"); len(products) > 0 && !all {
		return errInvalidParameter("Param product_types must be empty, or have 0 and 2: messages are not counted by type.")
	}
	countries, err := filter("country_codes", params)
	if err == nil && len(countries) > 0 {
		err = errInvalidParameter("Param country_codes must be empty: messages are not counted by country.")
	}
	return err
}

// maxFilter bounds a list of what to let through.
const maxFilter = 256

// filter reads a list of strings and numbers.
func filter(param string, params map[string]string) (list []string, err error) {
	value := params[param]
	if strings.TrimSpace(value) == "" {
		return nil, nil
	}
	var entries []identifier
	if err := json.Unmarshal([]byte(value), &entries); err != nil || len(entries) > maxFilter {
		return nil, errInvalidParameter("Param " + param + " must be a list, as JSON has it.")
	}
	for _, e := range entries {
		list = append(list, string(e))
	}
	return list, nil
}
