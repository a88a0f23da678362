package cloudapi

import (
	"cmp"
	"encoding/json"
	"net/http"
	"strings"
)

// maxFields bounds the list of fields that a request names.
const maxFields = 32

// wantedField is one field that a request names.
type wantedField struct {
	name string
	// nested are the fields of it that the answer may have; nil for all.
	nested []string
	// params are its parameters; nil for none.
	params map[string]string
}

// leftOut is the value of a field that an object may have, and this one has not.
type leftOut struct{}

// show returns the fields of an object that a request names, or else those of a list. The id is
// always one of them.
func show(r *http.Request, id, unlessNamed string, field func(name string) (any, bool)) (map[string]any, error) {
	fields, err := wanted(r, unlessNamed)
	if err != nil {
		return nil, err
	}
	return showFields(fields, id, plainField(field))
}

// plainField returns a function for fields without parameters, which returns of each what the request wants.
func plainField(field func(name string) (any, bool)) func(wantedField) (any, bool) {
	return func(f wantedField) (any, bool) {
		value, ok := field(f.name)
		if ok && f.nested != nil && value != (leftOut{}) {
			value, ok = nestedFields(value, f.nested)
		}
		return value, ok && f.params == nil
	}
}

// showFields is show for fields that are read and may have parameters.
func showFields(fields []wantedField, id string, field func(wantedField) (any, bool)) (map[string]any, error) {
	shown := map[string]any{"id": id}
	for _, f := range fields {
		value, ok := field(f)
		if !ok {
			return nil, errNoField()
		}
		if value != (leftOut{}) {
			shown[f.name] = value
		}
	}
	return shown, nil
}

// wanted returns the fields that a request names, or else those of a list.
func wanted(r *http.Request, unlessNamed string) ([]wantedField, error) {
	return splitFields(cmp.Or(r.URL.Query().Get("fields"), unlessNamed))
}

// splitFields reads the parameter "fields" of the Graph API: names separated by commas, each
// possibly with parameters, as in name.param(value), and with the names of its own fields in braces.
func splitFields(list string) ([]wantedField, error) {
	var fields []wantedField
	for list != "" {
		end := strings.IndexAny(list, ",{.")
		if end < 0 {
			end = len(list)
		}
		f := wantedField{name: strings.TrimSpace(list[:end])}
		var err error
		if f.params, list, err = fieldParams(list[end:]); err != nil {
			return nil, err
		}
		if nested, found := strings.CutPrefix(list, "{"); found {
			inner, rest, closed := strings.Cut(nested, "}")
			if !closed || strings.Contains(inner, "{") {
				return nil, errInvalidParameter("Param fields has a brace without its other one.")
			}
			for name := range strings.SplitSeq(inner, ",") {
				f.nested = append(f.nested, strings.TrimSpace(name))
			}
			list = strings.TrimLeft(rest, " ")
		}
		fields = append(fields, f)
		rest, more := strings.CutPrefix(list, ",")
		switch {
		case len(fields) > maxFields, len(f.nested) > maxFields:
			return nil, errInvalidParameter("Too many fields.")
		case !more && list != "", more && rest == "":
			return nil, errNoField()
		}
		list = rest
	}
	return fields, nil
}

// fieldParams reads the parameters that follow a field's name, and returns the rest. No value has a closing
// parenthesis.
func fieldParams(list string) (params map[string]string, rest string, err error) {
	for {
		param, found := strings.CutPrefix(list, ".")
		if !found {
			return params, list, nil
		}
		name, value, opened := strings.Cut(param, "(")
		value, rest, closed := strings.Cut(value, ")")
		if !opened || !closed || len(params) > maxFields {
			return nil, "", errInvalidParameter("Param fields has a parameter that is not written as .name(value).")
		}
		if params == nil {
			params = map[string]string{}
		}
		params[name], list = value, rest
	}
}

// nestedFields returns what a request wants of an object; false when it is no object or has no
// such field.
func nestedFields(value any, names []string) (any, bool) {
	object := map[string]json.RawMessage{}
	data, err := json.Marshal(value)
	if err != nil || json.Unmarshal(data, &object) != nil {
		return nil, false
	}
	shown := map[string]json.RawMessage{}
	for _, name := range names {
		switch value, ok := object[name]; {
		case ok:
			shown[name] = value
		case !mayLack(name):
			return nil, false
		}
	}
	return shown, true
}

// mayLack says whether objects have a field of that name only sometimes.
func mayLack(name string) bool {
	switch name {
	case "application", "phone_number", "whatsapp_business_account", "webhook_update_state", "webhook_uri", "error_description":
		return true
	}
	return false
}
