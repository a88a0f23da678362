package config

import (
	"bytes"
	"encoding/json"
	"reflect"
	"strings"

	"github.com/relaykeep/relaykeep/api/contract"
)

// fieldNames returns the JSON names of a struct's fields, and of all fields below it.
func fieldNames(t reflect.Type) map[string]bool {
	all := map[string]bool{}
	for t.Kind() == reflect.Pointer || t.Kind() == reflect.Slice {
		t = t.Elem()
	}
	if t.Kind() != reflect.Struct {
		return all
	}
	for f := range t.Fields() {
		name, _, _ := strings.Cut(f.Tag.Get("json"), ",")
		all[name] = true
		for below := range fieldNames(f.Type) {
			all[below] = true
		}
	}
	return all
}

// misspelt reports what encoding/json accepts but should not: a name in other letters than its
// field's, and a name that occurs twice in an object. The data must be valid JSON.
func misspelt(data []byte) (p problems) {
	d := json.NewDecoder(bytes.NewReader(data))
	names := fieldNames(reflect.TypeFor[contract.Config]())
	var open []*object
	for {
		token, err := d.Token()
		if err != nil {
			return p
		}
		var top *object
		if len(open) > 0 {
			top = open[len(open)-1]
		}
		switch delim, _ := token.(json.Delim); delim {
		case '{', '[':
			top.value()
			open = append(open, &object{list: delim == '[', seen: map[string]bool{}})
		case '}', ']':
			open = open[:len(open)-1]
		default:
			if name, isName := top.name(token); isName {
				p.name(name, names, top.seen)
			}
		}
	}
}

// name notes a name, and what is wrong with it.
func (p *problems) name(name string, names, seen map[string]bool) {
	switch {
	case seen[name]:
		p.addf(name, "stands twice")
	case !names[name]:
		p.addf(name, "must have the field's exact spelling")
	}
	seen[name] = true
}

// object is an object or list that is being read.
type object struct {
	list  bool
	named bool // a name was read, but not its value yet
	seen  map[string]bool
}

// value notes that a value begins. It may be called on nil, the outermost place.
func (o *object) value() {
	if o != nil {
		o.named = false
	}
}

// name says whether a token that is not a delimiter is a name, and which.
func (o *object) name(token json.Token) (string, bool) {
	if o == nil || o.list || o.named {
		o.value()
		return "", false
	}
	o.named = true
	text, _ := token.(string)
	return text, true
}
