package store

import (
	"cmp"
	"errors"
	"slices"
	"strings"
	"time"

	"github.com/relaykeep/relaykeep/relay/seal"
)

// Template is one of the business's message templates. The store does not read its content.
type Template struct {
	ID             string // as NewTemplateID makes one
	Name, Language string // of which no other template has both
	Created        time.Time
	Content        []byte
}

// Limits of templates.
const (
	MaxTemplates       = 250         // of one relay
	MaxTemplateContent = 64 << 10    // bytes
	maxTemplateName    = 2 << 10     // bytes of name and language together
	settingTemplate    = "template " // begins the names of the settings that are templates
)

// Errors of PutTemplate.
var (
	// ErrTemplateExists means that another template has the same name and language.
	ErrTemplateExists = errors.New("store: another template has this name and language")
	// ErrTooManyTemplates means that there are MaxTemplates others.
	ErrTooManyTemplates = errors.New("store: too many templates")
)

// Templates are settings, and live as long as the relay: each is one, whose name ends with its ID.

// NewTemplateID returns a random ID, with one digit less than that of a file.
func NewTemplateID() string { return NewMediaID()[:mediaDigits-1] }

// Templates returns all templates, oldest first, but not those whose row is damaged.
func (t *Tx) Templates() ([]Template, error) {
	ids, err := t.templateIDs()
	if err != nil {
		return nil, err
	}
	all := make([]Template, 0, len(ids))
	for _, id := range ids {
		x, err := t.Template(id)
		if errors.Is(err, seal.ErrTampered) {
			continue
		}
		if err != nil {
			return nil, err
		}
		all = append(all, x)
	}
	slices.SortFunc(all, func(a, b Template) int { return cmp.Or(a.Created.Compare(b.Created), cmp.Compare(a.ID, b.ID)) })
	return all, nil
}

func (t *Tx) templateIDs() (ids []string, err error) {
	names, err := t.settingNames()
	for _, name := range names {
		if id, ok := strings.CutPrefix(name, settingTemplate); ok {
			ids = append(ids, id)
		}
	}
	return ids, err
}

// Template returns one template, or ErrNotFound.
func (t *Tx) Template(id string) (Template, error) {
	if !identifier(settingTemplate + id) {
		return Template{}, ErrNotFound
	}
	value, err := t.Setting(settingTemplate + id)
	if err != nil {
		return Template{}, err
	}
	if value == nil {
		return Template{}, ErrNotFound
	}
	r := newReader(value)
	x := Template{ID: id, Name: r.text(), Language: r.text(), Created: fromMillis(r.integer()), Content: r.bytes()}
	return x, r.done()
}

// PutTemplate writes a template, new or changed. It may return ErrTemplateExists or ErrTooManyTemplates.
func (t *Tx) PutTemplate(x Template) error {
	if err := t.allow(x.ID != "", x.Name != "", len(x.Name)+len(x.Language) <= maxTemplateName, len(x.Content) <= MaxTemplateContent); err != nil {
		return err
	}
	ids, err := t.templateIDs()
	if err != nil {
		return err
	}
	if len(ids) >= MaxTemplates && !slices.Contains(ids, x.ID) {
		return ErrTooManyTemplates
	}
	all, err := t.Templates()
	if err != nil {
		return err
	}
	for _, other := range all {
		if other.ID != x.ID && other.Name == x.Name && other.Language == x.Language {
			return ErrTemplateExists
		}
	}
	w := newWriter(len(x.Name) + len(x.Language) + len(x.Content))
	return t.PutSetting(settingTemplate+x.ID, w.text(x.Name).text(x.Language).integer(toMillis(x.Created)).bytes(x.Content).b)
}

// DeleteTemplate removes a template; one that does not exist is no error.
func (t *Tx) DeleteTemplate(id string) error { return t.PutSetting(settingTemplate+id, nil) }
