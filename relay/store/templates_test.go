package store_test

import (
	"errors"
	"fmt"
	"regexp"
	"testing"
	"time"

	"github.com/relaykeep/relaykeep/relay/store"
)

func template(id, name, language, content string, created time.Time) store.Template {
	return store.Template{ID: id, Name: name, Language: language, Created: created, Content: []byte(content)}
}

// names returns the templates' names and contents in order.
func (w *world) templates() (all []string) {
	w.view(func(tx *store.Tx) error {
		list, err := tx.Templates()
		for _, x := range list {
			all = append(all, x.Name+" "+x.Language+" "+string(x.Content))
		}
		return err
	})
	return all
}

func TestTemplates_SurviveARestartAndTheEndOfTheRetention(t *testing.T) {
	w := newWorld(t)
	w.update(func(tx *store.Tx) error {
		return errors.Join(
			tx.PutTemplate(template("2", "welcome", "de", "Hallo", start.Add(time.Minute))),
			tx.PutTemplate(template("1", "welcome", "en", "Hello", start)), tx.PutSetting("other", []byte("x")),
		)
	})
	w.pass(40 * 24 * time.Hour)
	w.reopen()
	equal(t, "templates", w.templates(), []string{"welcome en Hello", "welcome de Hallo"})
	w.update(func(tx *store.Tx) error {
		return errors.Join(tx.PutTemplate(template("1", "welcome", "en", "Welcome", start)), tx.DeleteTemplate("2"), tx.DeleteTemplate("3"))
	})
	equal(t, "templates", w.templates(), []string{"welcome en Welcome"})
	w.view(func(tx *store.Tx) error {
		_, err := tx.Template("2")
		wantIs(t, err, store.ErrNotFound)
		return nil
	})
}

func TestTemplateID_IsFifteenDigits(t *testing.T) {
	for range 100 {
		if id := store.NewTemplateID(); !regexp.MustCompile(`^[1-9][0-9]{14}$`).MatchString(id) {
			t.Fatalf("%q", id)
		}
	}
}

func TestTemplate_OfTheSameNameAndLanguageOrOneTooManyIsRefused(t *testing.T) {
	w := newWorld(t)
	put := func(x store.Template) error {
		return w.Update(t.Context(), func(tx *store.Tx) error { return tx.PutTemplate(x) })
	}
	for i := range store.MaxTemplates {
		if err := put(template(fmt.Sprint(i), fmt.Sprint("n", i), "en", "x", start)); err != nil {
			t.Fatal(err)
		}
	}
	wantIs(t, put(template("1", "n0", "en", "x", start)), store.ErrTemplateExists)
	wantIs(t, put(template("new", "new", "en", "x", start)), store.ErrTooManyTemplates)
	wantIs(t, put(template("0", "n0", "en", string(make([]byte, store.MaxTemplateContent+1)), start)), store.ErrInvalid)
	wantIs(t, put(template("0", "n0", "de", "y", start)), nil)
	if got := w.templates(); len(got) != store.MaxTemplates || got[0] != "n0 de y" {
		t.Errorf("%d templates, the first %q", len(got), got[0])
	}
}
