package cloudapi

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"net/http"
	"strings"
)

// subcodeTemplateExists is the Graph API's for a name and language that a template has.
const subcodeTemplateExists = 2388024

// templateRequest has the parameters of a POST to the templates, or to one.
type templateRequest struct {
	Name     string `json:"name"`
	Language string `json:"language"`
	// TTL makes no difference: messages are tried for the retention.
	TTL anyNumber `json:"message_send_ttl_seconds"`
	templateContent
}

// createdTemplate is the answer to a new template. There is nobody who would have to approve it.
type createdTemplate struct {
	ID       string `json:"id"`
	Status   string `json:"status"`
	Category string `json:"category"`
}

const approved = "APPROVED"

// createTemplate serves POST /{business-account-id}/message_templates.
func (a *API) createTemplate(w http.ResponseWriter, r *http.Request, _ string) (any, error) {
	var q templateRequest
	if err := readParams(w, r, &q); err != nil {
		return nil, err
	}
	switch {
	case q.Name == "":
		return nil, errMissing("name")
	case len(q.Name) > maxTemplateName || !templateName.MatchString(q.Name):
		return nil, errInvalidParameter(fmt.Sprintf("Param name must have lower case letters, digits and underscores, at most %d.", maxTemplateName))
	case q.Language == "":
		return nil, errMissing("language")
	case !templateLanguage.MatchString(q.Language):
		return nil, errInvalidParameter("Param language must be a language's code, such as en or en_US.")
	}
	if err := q.check(q.Language); err != nil {
		return nil, err
	}
	id, err := a.putTemplate(r.Context(), Template{Name: q.Name, Language: q.Language, Created: a.Now()}, q.templateContent)
	if err != nil {
		return nil, err
	}
	return createdTemplate{ID: id, Status: approved, Category: q.Category}, nil
}

func (a *API) putTemplate(ctx context.Context, t Template, content templateContent) (id string, err error) {
	if t.Content, err = json.Marshal(content); err != nil {
		return "", fmt.Errorf("encoding a template: %w", err)
	}
	id, err = a.Service.PutTemplate(ctx, t)
	switch {
	case errors.Is(err, ErrTemplateExists):
		e := errInvalidParameter("There is a template of this name in this language: edit it, or choose another name.")
		e.Subcode = subcodeTemplateExists
		return "", e
	case errors.Is(err, ErrTooManyTemplates):
		return "", errInvalidParameter("There are as many templates as a relay keeps: delete some.")
	case errors.Is(err, ErrTemplateTooLarge):
		return "", errInvalidParameter("The template is too large: shorten its examples.")
	}
	return id, fromService(err)
}

// templates serves GET /{business-account-id}/message_templates, in pages.
func (a *API) templates(_ http.ResponseWriter, r *http.Request, _ string) (any, error) {
	limit, err := pageLimit(r, defaultTemplates, maxTemplates)
	if err != nil {
		return nil, err
	}
	all, err := a.matching(r)
	if err != nil {
		return nil, err
	}
	from, to, err := window(r, len(all), limit)
	if err != nil {
		return nil, err
	}
	page := listed{Data: []any{}}
	for _, t := range all[from:to] {
		shown, err := show(r, t.ID, templateFields, t.field)
		if err != nil {
			return nil, err
		}
		page.Data = append(page.Data, shown)
	}
	if from < to {
		page.Paging = &paging{Cursors: cursors{After: cursor(to), Before: cursor(from)}}
		if to < len(all) {
			page.Paging.Next = a.nextPage(r, to)
		}
	}
	return page, nil
}

// Bounds of a page of templates.
const (
	defaultTemplates = 25
	maxTemplates     = 1000
)

// shownTemplate is a template with its content.
type shownTemplate struct {
	Template
	content templateContent
}

// matching returns the templates that the request's filters let through.
func (a *API) matching(r *http.Request) ([]shownTemplate, error) {
	list, err := a.Service.Templates(r.Context())
	if err != nil {
		return nil, fromService(err)
	}
	q := r.URL.Query()
	fits := func(param, value string) bool { return !q.Has(param) || strings.EqualFold(q.Get(param), value) }
	var all []shownTemplate
	for _, t := range list {
		s, err := t.shown()
		if err != nil {
			continue // one that cannot be read hides no other
		}
		if fits("name", t.Name) && fits("language", t.Language) && fits("category", s.content.Category) && fits("status", approved) {
			all = append(all, s)
		}
	}
	return all, nil
}

// shown reads a template's content.
func (t Template) shown() (s shownTemplate, err error) {
	s.Template = t
	if err := json.Unmarshal(t.Content, &s.content); err != nil {
		return s, fmt.Errorf("reading a template: %w", err)
	}
	return s, nil
}

// templateFields are the fields of a template that are shown when the request names none.
const templateFields = "name,parameter_format,components,language,status,category"

// field returns one field of a template.
func (t shownTemplate) field(name string) (any, bool) {
	switch name {
	case "id":
		return t.ID, true
	case "name":
		return t.Name, true
	case "language":
		return t.Language, true
	case "status":
		return approved, true
	case "category":
		return t.content.Category, true
	case "parameter_format":
		return t.content.ParameterFormat, true
	case "components":
		return t.content.Components, true
	case "quality_score":
		return map[string]string{"score": "UNKNOWN"}, true
	case "rejected_reason":
		return "NONE", true
	}
	return nil, false
}

// template serves GET /{template-id}.
func (a *API) template(_ http.ResponseWriter, r *http.Request, id string) (any, error) {
	t, err := a.find(r, id)
	if err != nil {
		return nil, err
	}
	return show(r, t.ID, templateFields, t.field)
}

// find returns the template that a request is about.
func (a *API) find(r *http.Request, id string) (shownTemplate, error) {
	t, err := a.Service.Template(r.Context(), id)
	if errors.Is(err, ErrUnknownTemplate) {
		return shownTemplate{}, errNoObject(r.Method, id)
	}
	if err != nil {
		return shownTemplate{}, fromService(err)
	}
	return t.shown()
}

// editTemplate serves POST /{template-id}: what the request names is replaced.
func (a *API) editTemplate(w http.ResponseWriter, r *http.Request, id string) (any, error) {
	var q templateRequest
	if err := readParams(w, r, &q); err != nil {
		return nil, err
	}
	a.editing.Lock()
	defer a.editing.Unlock()
	t, err := a.find(r, id)
	if err != nil {
		return nil, err
	}
	switch {
	case q.Name != "" && q.Name != t.Name, q.Language != "" && q.Language != t.Language:
		return nil, errInvalidParameter("Params name and language cannot be changed: create another template.")
	case q.Category == "" && q.ParameterFormat == "" && q.Components == nil:
		return nil, errMissing("components")
	}
	if q.Category != "" {
		t.content.Category = q.Category
	}
	if q.ParameterFormat != "" {
		t.content.ParameterFormat = q.ParameterFormat
	}
	if q.Components != nil {
		t.content.Components = q.Components
	}
	if err := t.content.check(t.Language); err != nil {
		return nil, err
	}
	if _, err := a.putTemplate(r.Context(), t.Template, t.content); err != nil {
		return nil, err
	}
	return success{true}, nil
}

// deleteTemplates serves DELETE /{business-account-id}/message_templates: a name in all languages, or
// one template by its id.
func (a *API) deleteTemplates(w http.ResponseWriter, r *http.Request, _ string) (any, error) {
	var q struct {
		Name string     `json:"name"`
		ID   identifier `json:"hsm_id"`
	}
	if err := readParams(w, r, &q); err != nil {
		return nil, err
	}
	if q.Name == "" && q.ID == "" {
		return nil, errMissing("name")
	}
	a.editing.Lock()
	defer a.editing.Unlock()
	ids, err := a.idsOf(r.Context(), q.Name, string(q.ID))
	if err != nil {
		return nil, err
	}
	if len(ids) == 0 {
		return nil, errInvalidParameter("No template has this name or hsm_id.")
	}
	if err := a.Service.DeleteTemplates(r.Context(), ids); err != nil {
		return nil, fromService(err)
	}
	return success{true}, nil
}

// idsOf returns the templates of a name, an id, or both. One that is named by its id alone may be damaged.
func (a *API) idsOf(ctx context.Context, name, id string) (ids []string, err error) {
	if name == "" {
		if _, err := a.Service.Template(ctx, id); errors.Is(err, ErrUnknownTemplate) {
			return nil, nil
		}
		return []string{id}, nil
	}
	list, err := a.Service.Templates(ctx)
	if err != nil {
		return nil, fromService(err)
	}
	for _, t := range list {
		if t.Name == name && (id == "" || t.ID == id) {
			ids = append(ids, t.ID)
		}
	}
	return ids, nil
}
