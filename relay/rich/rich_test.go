package rich_test

import (
	"errors"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"

	"github.com/relaykeep/relaykeep/relay/rich"
	"github.com/relaykeep/relaykeep/test/fuzz/mutation"
)

var drinks = []rich.Choice{{ID: "a", Title: "Café"}, {ID: "b", Title: "Tea!", Description: "hot"}, {ID: "c", Title: "2"}}

func TestInteractive_IsTextWithNumberedChoices(t *testing.T) {
	for name, tt := range map[string]struct {
		message rich.Interactive
		want    string
	}{
		"buttons": {
			rich.Interactive{Header: "Order 7", Body: "Which one?", Footer: "Lucky Shrub", Sections: []rich.Section{{Choices: drinks[:2]}}},
			"Order 7\n\nWhich one?\n\n1. Café\n2. Tea! – hot\n\nLucky Shrub",
		},
		"sections": {
			rich.Interactive{Body: "Which one?", Sections: []rich.Section{{Title: "Strong", Choices: drinks[:1]}, {Title: "Mild", Choices: drinks[1:2]}}},
			"Which one?\n\nStrong\n1. Café\n\nMild\n2. Tea! – hot",
		},
		"links": {
			rich.Interactive{Body: "Have a look", Links: []rich.Link{{"Shop", "https://shop.test"}, {"Call us", "+16505551234"}}},
			"Have a look\n\nShop: https://shop.test\nCall us: +16505551234",
		},
	} {
		if diff := cmp.Diff(tt.want, tt.message.Text()); diff != "" {
			t.Errorf("%s:\n%s", name, diff)
		}
	}
}

func TestChoice_IsFoundByTitleOrNumber(t *testing.T) {
	for text, want := range map[string]string{
		"Café": "a", " CAFÉ. ": "a", "tea": "b", "Tea!\n": "b", "Coffee": "", "": "", "!": "", "tea please": "",
		"1": "a", " 2. ": "", "3)": "c", "2. Tea! – hot": "b", "2 tea": "b", "2 Café": "", "0": "", "4": "", "-1": "", "1 or 2": "", "99999999999999999999": "",
		"2": "", // the second, or the third by its title
	} {
		if c, ok := rich.Find(drinks, text); c.ID != want || ok != (want != "") {
			t.Errorf("%q is %q", text, c.ID)
		}
	}
	alike := []rich.Choice{{ID: "c", Title: "C"}, {ID: "sharp", Title: "C#"}, {ID: "plus", Title: "C++"}}
	for text, want := range map[string]string{"C": "c", "C#": "sharp", "C++": "plus", "c": "", "c!": "", "2": "sharp"} {
		if c, ok := rich.Find(alike, text); c.ID != want || ok != (want != "") {
			t.Errorf("of titles that are alike, %q is %q", text, c.ID)
		}
	}
}

func TestPlace_IsReadAsItWasWritten(t *testing.T) {
	p := rich.Place{Latitude: 50.1109, Longitude: -8.68, Name: "Römer", Address: "Römerberg 27"}
	if got := p.Text(); got != "Römer\nRömerberg 27\ngeo:50.1109,-8.68" {
		t.Errorf("written as %q", got)
	}
	for text, want := range map[string]rich.Place{
		"geo:50.1109,-8.68": {Latitude: 50.1109, Longitude: -8.68}, "GEO:0,180,35;u=40": {Longitude: 180},
		"geo:1.5,2;crs=wgs84": {Latitude: 1.5, Longitude: 2}, "geo:1,2?q=1,2": {Latitude: 1, Longitude: 2},
	} {
		if got, err := rich.ParsePlace(text); err != nil || got != want {
			t.Errorf("%q is %+v, %v", text, got, err)
		}
	}
	for _, text := range []string{
		"", "geo:", "geo:1", "geo:91,0", "geo:0,181", "geo:NaN,0", "geo:0x1,0", "geo:1e1,0", "geo:1,2,3,4", "geo:1,2 is here", "see geo:1,2",
		"geo:1,2;crs=moon-2011", "geo:1--2,0", "geo:1," + strings.Repeat("0", 300),
	} {
		if _, err := rich.ParsePlace(text); !errors.Is(err, rich.ErrPlace) {
			t.Errorf("%q is a place", text)
		}
	}
}

func TestTemplate_IsFilledOnce(t *testing.T) {
	const text = "Dear {{1}}, {{ 2 }} and {{1}} {{}} {{a b}} {3}"
	if diff := cmp.Diff([]string{"1", "2"}, rich.Variables(text)); diff != "" {
		t.Error(diff)
	}
	if got := rich.Fill(text, map[string]string{"1": "{{2}}", "2": "$1"}); got != "Dear {{2}}, $1 and {{2}} {{}} {{a b}} {3}" {
		t.Errorf("filled: %q", got)
	}
}

// FuzzChoice holds that whatever a customer writes, it is one of the choices or none.
func FuzzChoice(tf *testing.F) {
	f := mutation.Of(tf)
	f.Add("2. Tea! – hot")
	f.Fuzz(func(t *testing.T, text string) {
		if c, ok := rich.Find(drinks, text); ok == (c == rich.Choice{}) {
			t.Fatalf("%q is %v, %q", text, ok, c.ID)
		}
	})
}

// FuzzPlace holds that a place which is read is valid, and that its own form is read as the same place.
func FuzzPlace(tf *testing.F) {
	f := mutation.Of(tf)
	f.Add("geo:50.1109,-8.68,3;u=40")
	f.Fuzz(func(t *testing.T, text string) {
		p, err := rich.ParsePlace(text)
		if err != nil {
			return
		}
		if again, err := rich.ParsePlace(p.Text()); err != nil || again != p || !p.Valid() {
			t.Fatalf("%q is %+v, then %+v, %v", text, p, again, err)
		}
	})
}
