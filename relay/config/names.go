package config

import (
	"bytes"
	"encoding/json"
	"reflect"
	"strings"

	"github.com/relaykeep/relaykeep/api/contract"
)

// fieldNames returns the names of a struct's fields in JSON, and of all below it.
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

// misspelt names what encoding/json takes though it should not: a name in other
// letters than its field's, and one that stands twice in an object. The data is
// valid JSON.
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

// name notes what is wrong with a name, and that it stands there.
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
	named bool // a name was read, its value not yet
	seen  map[string]bool
}

// value notes that a value begins. It may be called on nil, the outermost place.
func (o *object) value() {
	if o != nil {
		o.named = false
	}
}

// name says whether a token that is no delimiter is a name, and which.
func (o *object) name(token json.Token) (string, bool) {
	if o == nil || o.list || o.named {
		o.value()
		return "", false
	}
	o.named = true
	text, _ := token.(string)
	return text, true
}
