package serve

import (
	"context"
	"errors"
	"sync"

	"github.com/relaykeep/relaykeep/relay/cloudapi"
	"github.com/relaykeep/relaykeep/relay/message"
	"github.com/relaykeep/relaykeep/relay/store"
)

// templates gives the HTTP interface access to the business's templates.
type templates struct {
	store message.Store
	names *templateNames
}

func newTemplates(s message.Store) templates { return templates{s, new(templateNames)} }

// templateNames is where templates are found by their name: a message that names one would else
// have all of them read. It is read from the store again after each change; nobody else writes it.
type templateNames struct {
	mu  sync.Mutex
	ids map[templateName]string // nil until it is needed
}

type templateName struct{ name, language string }

// id returns a template's ID, or none if no template has that name.
func (n *templateNames) id(name templateName, all func() ([]cloudapi.Template, error)) (string, error) {
	n.mu.Lock()
	defer n.mu.Unlock()
	if n.ids == nil {
		list, err := all()
		if err != nil {
			return "", err
		}
		n.ids = make(map[templateName]string, len(list))
		for _, t := range list {
			n.ids[templateName{t.Name, t.Language}] = t.ID
		}
	}
	return n.ids[name], nil
}

// changed must be called after each change of the stored templates.
func (n *templateNames) changed() {
	n.mu.Lock()
	defer n.mu.Unlock()
	n.ids = nil
}

// Templates implements cloudapi.Templates, as the following methods do.
func (s templates) Templates(ctx context.Context) (all []cloudapi.Template, err error) {
	err = s.store.View(ctx, func(tx *store.Tx) error {
		list, err := tx.Templates()
		all = nil
		for _, t := range list {
			all = append(all, cloudapi.Template(t))
		}
		return err
	})
	return all, translateTemplate(err)
}

// Template implements cloudapi.Templates.
func (s templates) Template(ctx context.Context, id string) (t cloudapi.Template, err error) {
	err = s.store.View(ctx, func(tx *store.Tx) error {
		found, err := tx.Template(id)
		t = cloudapi.Template(found)
		return err
	})
	return t, translateTemplate(err)
}

// TemplateNamed implements cloudapi.Templates.
func (s templates) TemplateNamed(ctx context.Context, name, language string) (cloudapi.Template, error) {
	id, err := s.names.id(templateName{name, language}, func() ([]cloudapi.Template, error) { return s.Templates(ctx) })
	if err != nil {
		return cloudapi.Template{}, err
	}
	if id == "" {
		return cloudapi.Template{}, cloudapi.ErrUnknownTemplate
	}
	return s.Template(ctx, id)
}

// PutTemplate implements cloudapi.Templates.
func (s templates) PutTemplate(ctx context.Context, t cloudapi.Template) (string, error) {
	if len(t.Content) > store.MaxTemplateContent {
		return "", cloudapi.ErrTemplateTooLarge
	}
	if t.ID == "" {
		t.ID = store.NewTemplateID()
	}
	err := s.store.Update(ctx, func(tx *store.Tx) error { return tx.PutTemplate(store.Template(t)) })
	s.names.changed()
	return t.ID, translateTemplate(err)
}

// DeleteTemplates implements cloudapi.Templates. It works on a full volume, too.
func (s templates) DeleteTemplates(ctx context.Context, ids []string) error {
	err := s.store.Shrink(ctx, func(tx *store.Tx) error {
		for _, id := range ids {
			if err := tx.DeleteTemplate(id); err != nil {
				return err
			}
		}
		return nil
	})
	s.names.changed()
	return translateTemplate(err)
}

// translateTemplate turns the store's errors into those that the HTTP interface knows.
func translateTemplate(err error) error {
	switch {
	case errors.Is(err, store.ErrNotFound):
		return cloudapi.ErrUnknownTemplate
	case errors.Is(err, store.ErrTemplateExists):
		return cloudapi.ErrTemplateExists
	case errors.Is(err, store.ErrTooManyTemplates):
		return cloudapi.ErrTooManyTemplates
	}
	return translate(err)
}
