package rich_test

import (
	"flag"
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"unicode/utf8"

	"github.com/google/go-cmp/cmp"

	"github.com/relaykeep/relaykeep/relay/rich"
	"github.com/relaykeep/relaykeep/test/fuzz/mutation"
)

var update = flag.Bool("update", false, "rewrite the golden files")

// golden compares what is rendered with a file below testdata.
func golden(t *testing.T, name, got string) {
	t.Helper()
	path := filepath.Join("testdata", name)
	if *update {
		if err := os.WriteFile(path, []byte(got), 0o600); err != nil {
			t.Fatal(err)
		}
	}
	want, err := os.ReadFile(path)
	if err != nil {
		t.Fatal(err)
	}
	if diff := cmp.Diff(string(want), got); diff != "" {
		t.Errorf("differs from %s (-want +got):\n%s", path, diff)
	}
}

func people() []rich.Contact {
	return []rich.Contact{
		{
			Name: "Barbara J. Johnson", First: "Barbara", Middle: "Joana", Last: "Johnson", Prefix: "Dr.", Suffix: "Esq.",
			Company: "Lucky Shrub; Sons", Department: "Legal", Title: "Lead Counsel", Birthday: "1999-01-23",
			Phones:    []rich.Labelled{{Value: "+1 650 555 9999", Label: "CELL"}, {Value: "+1 650 555 0000", Label: "the other one"}},
			Emails:    []rich.Labelled{{Value: "bj@luckyshrub.test", Label: "Work"}},
			Links:     []rich.Labelled{{Value: "https://luckyshrub.test/a,b;c"}},
			Addresses: []rich.Address{{Street: "1 Lucky Shrub Way\nRear building", City: "Menlo Park", State: "CA", Code: "94025", Country: "United States", Label: "Office"}, {}},
		},
		{Name: "Über uns: eine Gärtnerei, in der jede Pflanze einen Namen hat und gegossen wird", Phones: []rich.Labelled{{Value: "+49 69 1234567"}}},
	}
}

func TestContacts_AreTextAndVCards(t *testing.T) {
	golden(t, "contacts.txt", rich.ContactsText(people(), 4096)+"\n")
	golden(t, "contacts.vcf", string(rich.VCards(people())))
}

func TestContactsText_SaysHowManyDoNotFit(t *testing.T) {
	var many []rich.Contact
	for i := range 257 {
		many = append(many, rich.Contact{Name: fmt.Sprintf("Person %d", i), Phones: []rich.Labelled{{Value: "+1 650 555 0000"}}})
	}
	text := rich.ContactsText(many, 4096)
	shown := strings.Count(text, "Person")
	if n := utf8.RuneCountInString(text); n > 4096 || n < 4000 || !strings.HasSuffix(text, fmt.Sprintf("\n\n… +%d", 257-shown)) {
		t.Errorf("%d characters, %d contacts, ending in %q", n, shown, text[len(text)-20:])
	}
	if text := rich.ContactsText([]rich.Contact{{Name: strings.Repeat("ä", 50)}}, 20); text != strings.Repeat("ä", 19)+"…" {
		t.Errorf("one that is too long is %q", text)
	}
}

// FuzzVCards holds that no value becomes a property of its own, and that no line is too long.
func FuzzVCards(tf *testing.F) {
	f := mutation.Of(tf)
	f.Add("Barbara\r\nTEL:+1", "WORK:x", "a;b,c\\")
	f.Fuzz(func(t *testing.T, name, label, value string) {
		file := string(rich.VCards([]rich.Contact{{Name: name, Phones: []rich.Labelled{{Value: value, Label: label}}}}))
		var properties []string
		for line := range strings.SplitSeq(strings.TrimSuffix(file, "\r\n"), "\r\n") {
			if len(line) > 75 || !utf8.ValidString(line) || strings.ContainsAny(line, "\r\n") {
				t.Fatalf("line %q", line)
			}
			if line[0] != ' ' {
				property, _, _ := strings.Cut(line, ":")
				property, _, _ = strings.Cut(property, ";")
				properties = append(properties, property)
			}
		}
		got := strings.Join(properties, " ")
		if got != "BEGIN VERSION FN N END" && got != "BEGIN VERSION FN N TEL END" {
			t.Fatalf("properties %s", got)
		}
	})
}

// TestContactsText_IsAtMostAsLongAsItMayBe tries names of every length around the limit.
func TestContactsText_IsAtMostAsLongAsItMayBe(t *testing.T) {
	const most = 100
	for n := most - 40; n <= most+2; n++ {
		for others := range 3 {
			contacts := append([]rich.Contact{{Name: strings.Repeat("ä", n)}}, make([]rich.Contact, others)...)
			for i := range others {
				contacts[i+1].Name = "b"
			}
			text := rich.ContactsText(contacts, most)
			if got := utf8.RuneCountInString(text); got > most || strings.ContainsRune(text, 0) {
				t.Errorf("a name of %d characters and %d others make %d: %q", n, others, got, text)
			}
			if all := n <= most-40; !all && others > 0 && n > most && !strings.HasSuffix(text, fmt.Sprintf("… +%d", others)) {
				t.Errorf("a name of %d characters hides %d others: %q", n, others, text)
			}
		}
	}
}
