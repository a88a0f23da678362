package cloudapi

import (
	"context"
	"errors"
	"time"
)

// TemplateDigits is how many digits a template's ID has: none of the other objects that a request may name
// has as many.
const TemplateDigits = 15

// Template is a message template. The service keeps its content and does not read it.
type Template struct {
	ID, Name, Language string
	Created            time.Time
	Content            []byte // at most MaxBody bytes
}

// Templates are the business's message templates.
type Templates interface {
	// Templates returns all, oldest first.
	Templates(ctx context.Context) ([]Template, error)
	// Template returns one, or ErrUnknownTemplate.
	Template(ctx context.Context, id string) (Template, error)
	// TemplateNamed returns the one with that name in that language, or ErrUnknownTemplate.
	TemplateNamed(ctx context.Context, name, language string) (Template, error)
	// PutTemplate stores a template durably, a new one if it has no ID, and returns the ID. It may return
	// ErrTemplateExists, ErrTooManyTemplates or ErrTemplateTooLarge.
	PutTemplate(ctx context.Context, t Template) (id string, err error)
	// DeleteTemplates removes templates. Those that do not exist are no error.
	DeleteTemplates(ctx context.Context, ids []string) error
}

// Errors of Templates.
var (
	ErrUnknownTemplate  = errors.New("no such template")
	ErrTemplateExists   = errors.New("there is a template of this name in this language")
	ErrTooManyTemplates = errors.New("there are too many templates")
	ErrTemplateTooLarge = errors.New("the template is too large")
)
