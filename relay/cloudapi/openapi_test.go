package cloudapi_test

import (
	"bytes"
	"encoding/json"
	"errors"
	"flag"
	"fmt"
	"io"
	"maps"
	"mime"
	"mime/multipart"
	"net/http"
	"net/http/httptest"
	"net/url"
	"os"
	"regexp"
	"slices"
	"strings"
	"sync"
	"testing"

	"github.com/getkin/kin-openapi/openapi3"

	"github.com/relaykeep/relaykeep/relay/cloudapi"
	"github.com/relaykeep/relaykeep/test/fuzz/mutation"
)

// document is docs/openapi.yaml, against which every request and answer of this package's tests is held.
const document = "../../docs/openapi.yaml"

// contract is the document, and what the tests have seen of it.
type contract struct {
	doc *openapi3.T

	mu       sync.Mutex // guards the following fields
	wrong    map[string]bool
	answered map[string]bool // operations that were done
	seen     map[property]bool
}

// property is a field of an object in the document.
type property struct {
	object *openapi3.Schema
	name   string
}

var written = sync.OnceValue(func() *contract {
	c := &contract{wrong: map[string]bool{}, answered: map[string]bool{}, seen: map[property]bool{}}
	var err error
	if c.doc, err = openapi3.NewLoader().LoadFromFile(document); err == nil {
		err = c.doc.Validate(openapi3.NewLoader().Context)
	}
	if err != nil {
		panic(fmt.Sprintf("%s: %v", document, err))
	}
	return c
})

// TestMain fails if an exchange in a test is not as the document says, or if the document has what no test
// has seen. Of a run of only some tests, only the first can be said.
func TestMain(m *testing.M) {
	cloudapi.Checked = written().handler
	code := m.Run()
	if flag.Lookup("test.fuzz").Value.String() != "" || flag.Lookup("test.fuzzworker").Value.String() == "true" || os.Getenv(mutation.Inputs) != "" {
		os.Exit(code) // random requests have fields that nobody needs
	}
	problems := slices.Sorted(maps.Keys(written().wrong))
	if whole := code == 0 && flag.Lookup("test.run").Value.String() == "" && flag.Lookup("test.skip").Value.String() == "" &&
		flag.Lookup("test.list").Value.String() == ""; whole {
		problems = append(problems, written().unseen()...)
	}
	for _, p := range problems {
		fmt.Fprintln(os.Stderr, "docs/openapi.yaml:", p)
		code = 1
	}
	os.Exit(code)
}

func TestOpenAPI_HasExactlyTheRoutes(t *testing.T) {
	want, got := map[string]bool{}, map[string]bool{}
	for _, r := range cloudapi.Served() {
		want[r] = true
	}
	for path, item := range written().doc.Paths.Map() {
		for method := range item.Operations() {
			got[method+" "+path] = true
		}
	}
	for r := range want {
		if !got[r] {
			t.Errorf("%s is served and not in %s: add it below paths", r, document)
		}
	}
	for r := range got {
		if !want[r] {
			t.Errorf("%s is in %s and not served: remove it there, or serve it in routes.go", r, document)
		}
	}
}

// serve has a handler answer a request, and holds both against the document.
func serve(h http.Handler, w *httptest.ResponseRecorder, r *http.Request) {
	written().handler(h).ServeHTTP(w, r)
}

// handler returns a handler that answers as another, and holds its exchanges against the document.
func (c *contract) handler(h http.Handler) http.Handler {
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		var body bytes.Buffer
		if r.Body != nil {
			r.Body = struct {
				io.Reader
				io.Closer
			}{io.TeeReader(r.Body, &body), r.Body}
		}
		answer := &copied{ResponseWriter: w, status: http.StatusOK}
		h.ServeHTTP(answer, r)
		c.mu.Lock()
		defer c.mu.Unlock()
		c.exchange(r, body.Bytes(), answer)
	})
}

// copied keeps what is written to another writer.
type copied struct {
	http.ResponseWriter
	status int
	body   bytes.Buffer
}

func (c *copied) WriteHeader(status int) { c.status = status; c.ResponseWriter.WriteHeader(status) }
func (c *copied) Write(b []byte) (int, error) {
	c.body.Write(b)
	return c.ResponseWriter.Write(b)
}

// Unwrap is for http.ResponseController.
func (c *copied) Unwrap() http.ResponseWriter { return c.ResponseWriter }

var versionSegment = regexp.MustCompile(`^v[0-9]+\.[0-9]+$`)

// find returns the document's path for one that was asked for; empty for none.
func (c *contract) find(path string) string {
	parts := strings.Split(strings.Trim(path, "/"), "/")
	if versionSegment.MatchString(parts[0]) {
		parts = parts[1:]
	}
	if len(parts) > 3 && parts[1] == "log" {
		parts = parts[:3] // the last of the document's has slashes there
	}
	best, fixed := "", -1
	for candidate := range c.doc.Paths.Map() {
		segments := strings.Split(strings.Trim(candidate, "/"), "/")
		if len(segments) != len(parts) {
			continue
		}
		n, fits := 0, true
		for i, s := range segments {
			switch {
			case s == parts[i]:
				n += len(segments) - i // earlier ones count more
			case !strings.HasPrefix(s, "{"):
				fits = false
			}
		}
		if fits && n > fixed {
			best, fixed = candidate, n
		}
	}
	return best
}

// exchange holds one request and its answer against the document. The caller holds mu.
func (c *contract) exchange(r *http.Request, body []byte, answer *copied) {
	path := c.find(r.URL.Path)
	done := answer.status < 300
	var op *openapi3.Operation
	if path != "" {
		op = c.doc.Paths.Value(path).GetOperation(strings.Replace(r.Method, http.MethodHead, http.MethodGet, 1))
	}
	name := r.Method + " " + path
	switch {
	case op == nil && done:
		c.failf("%s was answered %d and is not there: add it below paths", r.Method+" "+r.URL.Path, answer.status)
	case op == nil:
		c.answer(name, c.doc.Components.Responses["Error"].Value, answer)
	case done:
		c.answered[name] = true
		c.answer(name, op.Responses.Status(http.StatusOK).Value, answer)
		c.request(name, op, r, body)
	default:
		c.answer(name, op.Responses.Default().Value, answer)
	}
}

func (c *contract) answer(name string, want *openapi3.Response, got *copied) {
	kind := want.Content["application/json"]
	media, _, _ := strings.Cut(got.Header().Get("Content-Type"), ";")
	if got.body.Len() == 0 || kind == nil || media != "application/json" && want.Content[media] != nil {
		return // a file
	}
	var value any
	if err := json.Unmarshal(got.body.Bytes(), &value); err != nil {
		c.failf("the answer of %s is no JSON", name)
		return
	}
	c.check("the answer of "+name, kind.Schema, value, openapi3.VisitAsResponse())
}

func (c *contract) request(name string, op *openapi3.Operation, r *http.Request, body []byte) {
	var schema *openapi3.SchemaRef
	if op.RequestBody != nil {
		for _, content := range op.RequestBody.Value.Content {
			schema = content.Schema
		}
	}
	about := "the request of " + name
	kind, params, _ := mime.ParseMediaType(r.Header.Get("Content-Type"))
	for param := range r.URL.Query() {
		if op.Parameters.GetByInAndName("query", param) == nil {
			c.names(about, schema, param)
		} else {
			c.seen[property{op.Parameters.GetByInAndName("query", param).Schema.Value, ""}] = true
		}
	}
	for _, p := range op.Parameters {
		if p.Value.In == openapi3.ParameterInHeader && r.Header.Get(p.Value.Name) != "" {
			c.seen[property{p.Value.Schema.Value, ""}] = true
		}
	}
	body = bytes.TrimSpace(bytes.TrimPrefix(body, []byte("\ufeff")))
	var value any
	switch {
	case schema == nil || len(body) == 0:
	case kind == "multipart/form-data":
		for form := multipart.NewReader(bytes.NewReader(body), params["boundary"]); ; {
			part, err := form.NextPart()
			if err != nil {
				return
			}
			c.names(about, schema, part.FormName())
		}
	case json.Unmarshal(body, &value) == nil:
		if object, ok := value.(map[string]any); ok {
			for param := range r.URL.Query() { // which may have what the body lacks
				if _, there := object[param]; !there && schema.Value.Properties[param] != nil {
					object[param] = r.URL.Query().Get(param)
				}
			}
		}
		c.check(about, schema, value, openapi3.VisitAsRequest())
	default:
		values, _ := url.ParseQuery(string(body))
		for param := range values {
			c.names(about, schema, param)
		}
	}
}

// names takes note of a parameter that came in a form or in the query.
func (c *contract) names(about string, schema *openapi3.SchemaRef, param string) {
	if strings.TrimSpace(param) == "" || param == "access_token" || param == "appsecret_proof" {
		return
	}
	if schema != nil {
		for _, s := range append(openapi3.SchemaRefs{schema}, schema.Value.AnyOf...) {
			if s.Value.Properties[param] != nil {
				c.seen[property{s.Value, param}] = true
				return
			}
		}
	}
	c.failf("%s has the parameter %s, which is not there: add it", about, param)
}

// check holds a value against a schema.
func (c *contract) check(about string, schema *openapi3.SchemaRef, value any, how openapi3.SchemaValidationOption) {
	if err := schema.Value.VisitJSON(value, how, openapi3.MultiErrors()); err != nil {
		for _, e := range flat(err) {
			c.failf("%s, which is a %s: %s", about, refName(schema), e)
		}
		return
	}
	c.walk(about, schema, value, how)
}

// flat are the reasons of an error, with the place of each.
func flat(err error) (all []string) {
	var several openapi3.MultiError
	var one *openapi3.SchemaError
	switch {
	case errors.As(err, &several):
		for _, e := range several {
			all = append(all, flat(e)...)
		}
	case errors.As(err, &one) && one.SchemaField == "anyOf":
		nearest := near(one.Schema.AnyOf, one.Value)
		for _, e := range flat(nearest.Value.VisitJSON(one.Value, openapi3.MultiErrors())) {
			all = append(all, "as a "+refName(nearest)+" "+e)
		}
	case errors.As(err, &one):
		all = append(all, fmt.Sprintf("/%s: %s", strings.Join(one.JSONPointer(), "/"), one.Reason))
	case err != nil:
		all = append(all, err.Error())
	}
	return all
}

// near returns the schema that has most of a value's fields.
func near(schemas openapi3.SchemaRefs, value any) *openapi3.SchemaRef {
	object, _ := value.(map[string]any)
	return slices.MaxFunc(schemas, func(a, b *openapi3.SchemaRef) int {
		n := 0
		for name := range object {
			if a.Value.Properties[name] != nil {
				n++
			}
			if b.Value.Properties[name] != nil {
				n--
			}
		}
		return n
	})
}

func refName(schema *openapi3.SchemaRef) string {
	return strings.TrimPrefix(schema.Ref, "#/components/schemas/")
}

// walk takes note of the fields of a value that fits a schema, and fails for those that the schema does
// not have.
func (c *contract) walk(about string, schema *openapi3.SchemaRef, value any, how openapi3.SchemaValidationOption) {
	s := schema.Value
	for _, one := range slices.Concat(s.AnyOf, s.AllOf) {
		if value != nil && one.Value.VisitJSON(value, how) == nil {
			c.walk(about, one, value, how)
			return
		}
	}
	switch value := value.(type) {
	case []any:
		for _, v := range value {
			if s.Items != nil {
				c.walk(about, s.Items, v, how)
			}
		}
	case map[string]any:
		for name, v := range value {
			field := s.Properties[name]
			switch {
			case field != nil:
				c.seen[property{s, name}] = true
				c.walk(about, field, v, how)
			case s.Type != nil:
				c.failf("%s has the field %s, which is not there: add it below components/schemas/%s/properties", about, name, refName(schema))
			}
		}
	}
}

func (c *contract) failf(format string, args ...any) { c.wrong[fmt.Sprintf(format, args...)] = true }

// unseen is what the document has and no test has seen.
func (c *contract) unseen() (all []string) {
	visited := map[*openapi3.Schema]bool{}
	var look func(about string, schema *openapi3.SchemaRef)
	look = func(about string, schema *openapi3.SchemaRef) {
		if schema == nil || visited[schema.Value] {
			return
		}
		s := schema.Value
		visited[s] = true
		for _, one := range slices.Concat(s.AnyOf, s.AllOf, openapi3.SchemaRefs{s.Items}) {
			look(about, one)
		}
		for name, field := range s.Properties {
			if !c.seen[property{s, name}] {
				all = append(all, fmt.Sprintf("%s may have %s.%s, which no test has seen: remove it there, or have a test use it", about, refName(schema), name))
			}
			look(about, field)
		}
	}
	for path, item := range c.doc.Paths.Map() {
		for method, op := range item.Operations() {
			name := method + " " + path
			if !c.answered[name] {
				all = append(all, name+" is there, and no test has seen it done")
			}
			for _, p := range op.Parameters {
				if !c.seen[property{p.Value.Schema.Value, ""}] {
					all = append(all, fmt.Sprintf("%s may have the parameter %s, which no test has seen: remove it there, or have a test use it", name, p.Value.Name))
				}
			}
			if op.RequestBody != nil {
				for _, content := range op.RequestBody.Value.Content {
					look("the request of "+name, content.Schema)
				}
			}
			for _, r := range op.Responses.Map() {
				for _, content := range r.Value.Content {
					look("the answer of "+name, content.Schema)
				}
			}
		}
	}
	slices.Sort(all)
	return all
}
