package serve

import (
	"context"
	"errors"

	"github.com/relaykeep/relaykeep/relay/cloudapi"
	"github.com/relaykeep/relaykeep/relay/message"
	"github.com/relaykeep/relaykeep/relay/store"
)

// templates gives the HTTP interface access to the business's templates.
type templates struct{ store message.Store }

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

// PutTemplate implements cloudapi.Templates.
func (s templates) PutTemplate(ctx context.Context, t cloudapi.Template) (string, error) {
	if len(t.Content) > store.MaxTemplateContent {
		return "", cloudapi.ErrTemplateTooLarge
	}
	if t.ID == "" {
		t.ID = store.NewTemplateID()
	}
	err := s.store.Update(ctx, func(tx *store.Tx) error { return tx.PutTemplate(store.Template(t)) })
	return t.ID, translateTemplate(err)
}

// DeleteTemplates implements cloudapi.Templates. It works on a full volume, too.
func (s templates) DeleteTemplates(ctx context.Context, ids []string) error {
	return translateTemplate(s.store.Shrink(ctx, func(tx *store.Tx) error {
		for _, id := range ids {
			if err := tx.DeleteTemplate(id); err != nil {
				return err
			}
		}
		return nil
	}))
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
