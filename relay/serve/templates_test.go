package serve

import (
	"errors"
	"testing"
	"time"

	"github.com/relaykeep/relaykeep/relay/cloudapi"
	"github.com/relaykeep/relaykeep/relay/seal"
	"github.com/relaykeep/relaykeep/relay/seal/sealtest"
	"github.com/relaykeep/relaykeep/relay/store"
)

// A message by a template that was just changed is the one of the changed template.
func TestTemplateNamed_FollowsEveryChange(t *testing.T) {
	ring := seal.New(sealtest.New(), 24*time.Hour, time.Now)
	db, err := store.Open(t.Context(), t.TempDir(), [16]byte{1}, ring)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = db.Close() })
	s := newTemplates(db)
	put := func(x cloudapi.Template) string {
		t.Helper()
		x.Created = time.Unix(1_700_000_000, 0)
		id, err := s.PutTemplate(t.Context(), x)
		if err != nil {
			t.Fatal(err)
		}
		return id
	}
	want := func(language, content string) {
		t.Helper()
		got, err := s.TemplateNamed(t.Context(), "welcome", language)
		if content == "" {
			if !errors.Is(err, cloudapi.ErrUnknownTemplate) {
				t.Errorf("%s: %v, want none", language, err)
			}
			return
		}
		if err != nil || string(got.Content) != content {
			t.Errorf("%s: %q and %v, want %q", language, got.Content, err, content)
		}
	}

	want("en", "")
	english := put(cloudapi.Template{Name: "welcome", Language: "en", Content: []byte("Hello")})
	put(cloudapi.Template{Name: "welcome", Language: "de", Content: []byte("Hallo")})
	want("en", "Hello")
	want("de", "Hallo")
	put(cloudapi.Template{ID: english, Name: "welcome", Language: "en", Content: []byte("Welcome")})
	want("en", "Welcome")
	if err := s.DeleteTemplates(t.Context(), []string{english}); err != nil {
		t.Fatal(err)
	}
	want("en", "")
	want("de", "Hallo")
}
