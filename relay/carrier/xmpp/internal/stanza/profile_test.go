package stanza

import (
	"testing"

	"github.com/google/go-cmp/cmp"
)

func TestPublishedProfile_IsReadBack(t *testing.T) {
	many := make([]Profile, maxFormer+2)
	for i := range many {
		many[i].Name = string(rune('a' + i))
	}
	for what, c := range map[string]struct{ note, want []Profile }{
		"one":          {[]Profile{{"Acme", "id"}}, []Profile{{"Acme", "id"}}},
		"none now":     {[]Profile{{}, {"Acme", ""}}, []Profile{{}, {"Acme", ""}}},
		"more":         {[]Profile{{"B", ""}, {"A", "id"}}, []Profile{{"B", ""}, {"A", "id"}}},
		"far too many": {many, many[:maxFormer+1]},
	} {
		item := New(NSPubSub, "item").With(PublishedProfile(c.note[0], c.note[1:]...))
		if d := cmp.Diff(c.want, ParsePublished(item)); d != "" {
			t.Errorf("%s: %s", what, d)
		}
	}
	if ps := ParsePublished(nil); ps != nil {
		t.Errorf("without a note there is %v", ps)
	}
}

// TestPublishedProfile_OfEarlierRelaysIsRead has the form without former profiles.
func TestPublishedProfile_OfEarlierRelaysIsRead(t *testing.T) {
	item := New(NSPubSub, "item").With(New(NSProfile, "published", "name", "Acme", "picture", "id"))
	if d := cmp.Diff([]Profile{{"Acme", "id"}}, ParsePublished(item)); d != "" {
		t.Error(d)
	}
}
