package main

import (
	"encoding/json"
	"errors"
	"fmt"
	"maps"
	"reflect"
	"regexp"
	"slices"
	"strings"

	apiextensionsv1 "k8s.io/apiextensions-apiserver/pkg/apis/apiextensions/v1"
)

// page is the page of one kind.
type page struct {
	kind       string
	crd        *apiextensionsv1.CustomResourceDefinition
	conditions []condition
	rows       []reason
	out        strings.Builder
}

func (p *page) printf(format string, args ...any) { fmt.Fprintf(&p.out, format, args...) }

// write writes the whole page, of a kind with that type.
func (p *page) write(goType reflect.Type) error {
	version := p.crd.Spec.Versions[0]
	root := version.Schema.OpenAPIV3Schema
	names := p.crd.Spec.Names
	p.printf("# %s\n\n<!-- Written by `make generate` from config/crd/bases and the tables in docs/operations.md: change those. -->\n\n%s\n\n", p.kind, oneLine(root.Description))
	short := ""
	if len(names.ShortNames) > 0 {
		short = ", short " + "`" + strings.Join(names.ShortNames, "`, `") + "`"
	}
	p.printf("`%s/%s`, %s, `kubectl get %s`%s. `kubectl explain %s.spec` says the same of fields. %s",
		p.crd.Spec.Group, version.Name, map[apiextensionsv1.ResourceScope]string{
			apiextensionsv1.NamespaceScoped: "in a namespace", apiextensionsv1.ClusterScoped: "of the whole cluster",
		}[p.crd.Spec.Scope], names.Plural, short, names.Singular, "Examples are in [config/samples](../../config/samples).\n")
	p.columns(version)
	if err := p.states(root); err != nil {
		return err
	}
	p.printf("\n## Fields\n\nA field that is not called required may be left out. \"Change\" says what may become of a field later: yes, or the message with which the API server refuses.\n")
	p.rules(root, "")
	for _, part := range []string{"spec", "status"} {
		s := root.Properties[part]
		t, err := member(goType, part)
		if err != nil {
			return err
		}
		if err := p.object(section{path: part, schema: &s, goType: t, parents: []*apiextensionsv1.JSONSchemaProps{root}, names: []string{part}}); err != nil {
			return err
		}
	}
	return nil
}

func (p *page) columns(version apiextensionsv1.CustomResourceDefinitionVersion) {
	p.printf("\n## What kubectl get prints\n\n| column | shows | |\n|---|---|---|\n")
	for _, c := range version.AdditionalPrinterColumns {
		wide := ""
		if c.Priority > 0 {
			wide = "with `-o wide`"
		}
		p.printf("| %s | `%s` | %s |\n", c.Name, c.JSONPath, wide)
	}
	var selectable []string
	for _, f := range version.SelectableFields {
		selectable = append(selectable, "`"+strings.TrimPrefix(f.JSONPath, ".")+"`")
	}
	if len(selectable) > 0 {
		p.printf("\n`--field-selector` takes %s.\n", strings.Join(selectable, " and "))
	}
}

// states writes the conditions that the description of status.conditions names.
func (p *page) states(root *apiextensionsv1.JSONSchemaProps) error {
	status := root.Properties["status"]
	listed := status.Properties["conditions"]
	named := regexp.MustCompile(`[A-Za-z]+`).FindAllString(listed.Description, -1)
	short := strings.ToLower(regexp.MustCompile(`[A-Z][a-z]*$`).FindString(p.kind)) // as kubectl relay has it
	place, everywhere := "", " -A"
	if p.crd.Spec.Scope == apiextensionsv1.NamespaceScoped {
		place, everywhere = " -n NAMESPACE", " -n NAMESPACE"
	}
	singular := p.crd.Spec.Names.Singular
	p.printf("\n## Conditions, and how to find out what is wrong\n\n```sh\nkubectl relay check %s/NAME%s\nkubectl relay doctor%s\nkubectl describe %s NAME%s\nkubectl events --for %s/NAME%s\n```\n\n",
		short, place, everywhere, singular, place, singular, everywhere)
	p.printf("`check` prints all that was looked at, `doctor` what is wrong alone, each with the command that shows or mends it ([the plugin](../plugin.md#which-command-says-what-is-wrong)). A condition's message says what to do. An object without any condition was never seen by the operator: it does not run, or does not [watch the namespace](../operations.md#watching-some-namespaces-only). " +
		"The rows below are those of [Running Relaykeep](../operations.md#when-a-condition-is-not-true). Reconciling and Stalled are absent when they are not True. Ready, Reconciling and Stalled also take the reason of another condition that keeps the object from being ready.\n")
	wrote := 0
	for _, c := range p.conditions {
		if slices.Contains(named, c.name) {
			wrote++
			p.condition(c)
		}
	}
	if wrote == 0 {
		return errors.New("the description of status.conditions names none")
	}
	return nil
}

// condition writes one condition, with the rows about it. Stalled has none of its own.
func (p *page) condition(c condition) {
	p.printf("\n### %s\n\n%s\n", c.name, sentence(c.text))
	head := "\n| reason | what it means, what to do | command |\n|---|---|---|\n"
	for _, r := range p.rows {
		if !r.applies(p.kind, c.name) {
			continue
		}
		reasons := r.reasons
		if strings.HasSuffix(r.condition, "(True)") {
			reasons += " (True)"
		}
		p.printf("%s| %s | %s | %s |\n", head, reasons, fromReference(r.meaning), fromReference(r.command))
		head = ""
	}
}

// section is an object whose fields are listed.
type section struct {
	path    string
	schema  *apiextensionsv1.JSONSchemaProps
	goType  reflect.Type
	parents []*apiextensionsv1.JSONSchemaProps // from the root, without the schema itself
	names   []string                           // of the steps from the root to the schema
}

// step is the section of a field.
func (s section) step(name string, schema *apiextensionsv1.JSONSchemaProps, goType reflect.Type, path string) section {
	return section{
		path: path, schema: schema, goType: goType,
		parents: append(slices.Clone(s.parents), s.schema), names: append(slices.Clone(s.names), name),
	}
}

// object writes a section and those of the objects in it.
func (p *page) object(s section) error {
	p.printf("\n### %s\n\n%s\n", s.path, oneLine(s.schema.Description))
	if s.path == "spec" || strings.HasPrefix(s.path, "spec.") {
		p.printf("\n| field | type | default | meaning and limits | change |\n|---|---|---|---|---|\n")
	} else {
		p.printf("\n| field | type | meaning |\n|---|---|---|\n")
	}
	var inner []section
	for _, name := range slices.Sorted(maps.Keys(s.schema.Properties)) {
		f := s.schema.Properties[name]
		t, err := member(s.goType, name)
		if err != nil {
			return err
		}
		field := s.step(name, &f, t, s.path+"."+name)
		shown, object := p.kindOf(field)
		if object != nil {
			inner = append(inner, *object)
		}
		meaning := oneLine(f.Description)
		if strings.HasPrefix(s.path, "status") {
			p.printf("| `%s` | %s | %s |\n", name, shown, cell(meaning))
			continue
		}
		if slices.Contains(s.schema.Required, name) {
			meaning = "**Required.** " + meaning
		}
		for _, limit := range limits(&f) {
			meaning += "<br>" + limit
		}
		given := "none"
		if f.Default != nil {
			given = "`" + compact(f.Default.Raw) + "`"
		}
		p.printf("| `%s` | %s | %s | %s | %s |\n", name, shown, cell(given), cell(meaning), cell(change(field)))
	}
	p.rules(s.schema, s.path)
	for _, o := range inner {
		if err := p.object(o); err != nil {
			return err
		}
	}
	return nil
}

// rules writes the rules of an object as a whole.
func (p *page) rules(s *apiextensionsv1.JSONSchemaProps, path string) {
	if len(s.XValidations) == 0 {
		return
	}
	what := "`" + path + "` as a whole"
	if path == "" {
		what = "the object as a whole"
	}
	p.printf("\nRules of %s:\n", what)
	for _, r := range s.XValidations {
		p.printf("- %s\n", r.Message)
	}
}

// kindOf says what type a field has, and which section describes it further. Kubernetes' own types are named and not described.
func (p *page) kindOf(f section) (shown string, object *section) {
	s, t := f.schema, f.goType
	for t.Kind() == reflect.Pointer {
		t = t.Elem()
	}
	switch {
	case s.XIntOrString || t.Name() == "Quantity":
		return "quantity", nil
	case s.Type == "array":
		item := f.step("", s.Items.Schema, t.Elem(), f.path+"[]")
		inner, object := p.kindOf(item)
		return "list of " + inner + plural(inner), object
	case s.Type == "object" && foreign(t):
		return "Kubernetes' " + t.Name(), nil
	case s.Type == "object" && s.AdditionalProperties != nil:
		return "map of " + s.AdditionalProperties.Schema.Type + "s", nil
	case s.Type == "object":
		return "[object](#" + anchor(f.path) + ")", &f
	case s.Format == "date-time":
		return "time", nil
	}
	return s.Type, nil
}

// plural is what a type's name gets in a list: nothing if it is not a plain word.
func plural(name string) string {
	if strings.HasSuffix(name, ")") {
		return ""
	}
	return "s"
}

// foreign says whether a type is not of this API.
func foreign(t reflect.Type) bool {
	return t.Kind() == reflect.Struct && !strings.HasSuffix(t.PkgPath(), "/api/v1alpha1")
}

// member returns the type of the field that has a name in JSON.
func member(t reflect.Type, name string) (reflect.Type, error) {
	for t.Kind() == reflect.Pointer || t.Kind() == reflect.Slice {
		t = t.Elem()
	}
	for _, f := range reflect.VisibleFields(t) {
		if tag, _, _ := strings.Cut(f.Tag.Get("json"), ","); tag == name {
			return f.Type, nil
		}
	}
	return nil, fmt.Errorf("%s has no field %s", t.Name(), name)
}

// limits are what a value must be like, apart from what it was before.
func limits(s *apiextensionsv1.JSONSchemaProps) []string {
	var all []string
	add := func(format string, args ...any) { all = append(all, fmt.Sprintf(format, args...)) }
	if len(s.Enum) > 0 {
		var values []string
		for _, v := range s.Enum {
			values = append(values, "`"+strings.Trim(string(v.Raw), `"`)+"`")
		}
		add("One of %s.", strings.Join(values, ", "))
	}
	between(add, "From %.0f to %.0f.", "At least %.0f.", "At most %.0f.", s.Minimum, s.Maximum)
	between(add, "%v to %v characters.", "At least %v characters.", "At most %v characters.", s.MinLength, s.MaxLength)
	between(add, "%v to %v entries.", "At least %v entries.", "At most %v entries.", s.MinItems, s.MaxItems)
	between(add, "%v to %v entries.", "At least %v entries.", "At most %v entries.", s.MinProperties, s.MaxProperties)
	if s.Pattern != "" && !s.XIntOrString { // that of a quantity says nothing to a reader
		add("Matches `%s`.", s.Pattern)
	}
	if s.Items != nil && s.Items.Schema != nil {
		own := s.Items.Schema
		if own.Type != "object" {
			for _, l := range limits(own) {
				add("Each: %s", l)
			}
		}
	}
	if s.Type == "object" && s.AdditionalProperties == nil {
		return all // those of an object are in its section
	}
	for _, r := range s.XValidations {
		if !strings.Contains(r.Rule, "oldSelf") {
			add("%s", sentence(r.Message))
		}
	}
	return all
}

func between[N int64 | float64](add func(string, ...any), both, low, high string, from, to *N) {
	switch {
	case from != nil && to != nil:
		add(both, *from, *to)
	case from != nil:
		add(low, *from)
	case to != nil:
		add(high, *to)
	}
}

// former finds what a rule compares with its former value: in self.a.b >= oldSelf.a.b the path a.b.
var former = regexp.MustCompile(`(?:==|>=|<=|\+|-|compareTo\(quantity\(string\(|\|\| !has\()\s*(?:has\()?oldSelf(?:\.value\(\))?\.([A-Za-z.]+)`)

// change says what may become of a field later: that of its own rules and of those around it.
func change(f section) string {
	var says []string
	add := func(message string) {
		if message = sentence(message); !slices.Contains(says, message) {
			says = append(says, message)
		}
	}
	for _, r := range f.schema.XValidations {
		if strings.Contains(r.Rule, "oldSelf") && (f.schema.Type != "object" || r.Rule == "self == oldSelf") {
			add(r.Message)
		}
	}
	for i, parent := range f.parents {
		path := strings.Join(f.names[i:], ".")
		for _, r := range parent.XValidations {
			for _, m := range former.FindAllStringSubmatch(r.Rule, -1) {
				if m[1] == path {
					add(r.Message)
				}
			}
		}
	}
	if len(says) == 0 {
		return "yes"
	}
	return strings.Join(says, "<br>")
}

// compact is JSON without quotes around a text.
func compact(raw []byte) string {
	var text string
	if json.Unmarshal(raw, &text) == nil {
		return text
	}
	return string(raw)
}

// oneLine is a description as Markdown reads it.
func oneLine(s string) string {
	return strings.ReplaceAll(strings.Join(strings.Fields(s), " "), "<", "&lt;")
}

// cell is text for a table.
func cell(s string) string { return strings.ReplaceAll(s, "|", `\|`) }

// sentence begins with a capital letter, unless it begins with a field's name, and ends with a full stop.
func sentence(s string) string {
	first, _, _ := strings.Cut(s, " ")
	if strings.ToLower(first) == first && !strings.ContainsAny(first, ".:/") {
		s = strings.ToUpper(s[:1]) + s[1:]
	}
	return strings.TrimSuffix(s, ".") + "."
}

// fromReference makes links that are relative to docs relative to docs/reference.
func fromReference(s string) string {
	s = regexp.MustCompile(`\]\(([a-z/]+\.md)`).ReplaceAllString(s, "](../$1")
	return strings.ReplaceAll(s, "](#", "](../operations.md#")
}

// anchor is what GitHub makes of a heading.
func anchor(heading string) string {
	return regexp.MustCompile(`[^a-z0-9 _-]`).ReplaceAllString(strings.ToLower(heading), "")
}
