package cloudapi

import (
	"bytes"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"mime"
	"net/http"
	"net/url"
	"slices"
	"strings"
	"unicode"
)

// readParams reads a request's parameters into q, a struct with JSON tags: a JSON body, and what
// the Graph API takes instead or with it, parameters in the query and in a form. The body's count
// before the query's. Errors are *Error, and repeat nothing of the request.
func readParams(w http.ResponseWriter, r *http.Request, q any) error {
	body, err := readBody(w, r)
	if err != nil {
		return err
	}
	return decodeParams(r, body, q)
}

// decodeParams is readParams for a body that was read.
func decodeParams(r *http.Request, body []byte, q any) error {
	if r.URL.RawQuery != "" {
		if err := decode(r.URL.Query(), q); err != nil { // which leaves out what is malformed
			return err
		}
	}
	body = bytes.TrimLeftFunc(body, func(c rune) bool { return c == byteOrderMark || unicode.IsSpace(c) })
	switch {
	case len(body) == 0 && r.URL.RawQuery != "":
		return nil
	case isForm(r) && (len(body) == 0 || body[0] != '{'): // curl says of JSON that it is a form
		return decodeForm(string(body), q)
	}
	if err := json.Unmarshal(body, q); err != nil {
		return errBody(err)
	}
	return nil
}

const byteOrderMark = '\ufeff'

func isForm(r *http.Request) bool {
	t, _, _ := mime.ParseMediaType(r.Header.Get("Content-Type"))
	return t == "application/x-www-form-urlencoded"
}

// decodeForm reads the parameters of a form.
func decodeForm(form string, q any) error {
	values, err := url.ParseQuery(form)
	if err != nil {
		return errInvalidParameter("The form is not percent-encoded.")
	}
	return decode(values, q)
}

// decode reads parameters. Objects and lists are JSON.
func decode(values url.Values, q any) error {
	params := map[string]any{}
	for name := range values {
		switch name {
		case "access_token", "appsecret_proof":
			continue
		}
		value := values.Get(name)
		params[name] = value
		if text := strings.TrimSpace(value); name != opaqueParam && json.Valid([]byte(text)) && (text[0] == '{' || text[0] == '[') {
			params[name] = json.RawMessage(text)
		}
	}
	body, err := json.Marshal(params)
	if err == nil {
		err = json.Unmarshal(body, q)
	}
	if err != nil {
		return errBody(err)
	}
	return nil
}

// opaqueParam is the one parameter that is any text, and may look like JSON.
const opaqueParam = "biz_opaque_callback_data"

// readBody reads a body of at most MaxBody bytes.
func readBody(w http.ResponseWriter, r *http.Request) ([]byte, error) {
	return readBodyUpTo(w, r, MaxBody)
}

// readBodyUpTo reads a body of at most limit bytes.
func readBodyUpTo(w http.ResponseWriter, r *http.Request, limit int64) ([]byte, error) {
	body, err := io.ReadAll(http.MaxBytesReader(w, r.Body, limit))
	var tooLarge *http.MaxBytesError
	switch {
	case errors.As(err, &tooLarge):
		return nil, errTooLarge(limit)
	case err != nil:
		return nil, errInvalidParameter("The request body is incomplete.")
	}
	return body, nil
}

// errBody says why a body could not be decoded, without repeating any of it.
func errBody(err error) *Error {
	var kind *json.UnmarshalTypeError
	if errors.As(err, &kind) && kind.Field != "" {
		name, _, _ := strings.Cut(kind.Value, " ") // a number's value follows
		return errInvalidParameter(fmt.Sprintf("Param %s must be of another type than %s.", paramName(kind.Field), name))
	}
	return errInvalidParameter("The request body is not a JSON object.")
}

// paramName leaves names of Go's types out of a field's path. No parameter has a capital.
func paramName(path string) string {
	names := strings.Split(path, ".")
	return strings.Join(slices.DeleteFunc(names, func(name string) bool { return name != strings.ToLower(name) }), ".")
}

// yesOrNo is a parameter that makes no difference, and must be true or false all the same. Some clients
// write it as a string or as a number.
type yesOrNo struct{}

// UnmarshalJSON implements json.Unmarshaler.
func (*yesOrNo) UnmarshalJSON(b []byte) error {
	switch string(b) {
	case `"true"`, `"false"`, `""`, `"1"`, `"0"`, `1`, `0`:
		return nil
	}
	var value bool
	return json.Unmarshal(b, &value)
}

// anyNumber is a number that makes no difference: any in JSON, or in a string.
type anyNumber struct{}

// UnmarshalJSON implements json.Unmarshaler.
func (*anyNumber) UnmarshalJSON(b []byte) error {
	var number json.Number
	return json.Unmarshal(b, &number)
}

// identifier is an id or a telephone number. Clients write those in digits as JSON numbers, too.
type identifier string

// UnmarshalJSON implements json.Unmarshaler.
func (i *identifier) UnmarshalJSON(b []byte) error {
	if digits(string(b)) {
		*i = identifier(b)
		return nil
	}
	return json.Unmarshal(b, (*string)(i))
}
