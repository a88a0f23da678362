package v1alpha1

import (
	"os"
	"regexp"
	"slices"
	"strings"
	"testing"
)

// TestCountriesOfTypes_AreThoseOfTheRules compares the list of each type with the rule that says what it may name.
func TestCountriesOfTypes_AreThoseOfTheRules(t *testing.T) {
	text, err := os.ReadFile("dataregion_types.go")
	if err != nil {
		t.Fatal(err)
	}
	for _, kind := range []RegionType{RegionEU, RegionNA} {
		m := regexp.MustCompile(`self\.type != '` + string(kind) + `' \|\| !has\(self\.countries\) \|\| self\.countries\.all\(c, c in \[([^]]*)\]`).FindSubmatch(text)
		if m == nil {
			t.Fatalf("no rule says which countries %s may name", kind)
		}
		var want []CountryCode
		for _, c := range strings.Split(string(m[1]), ",") {
			want = append(want, CountryCode(strings.Trim(c, "'")))
		}
		if got := countriesOf(kind); !slices.Equal(got, want) {
			t.Errorf("%s contains %v, and its rule says %v", kind, got, want)
		}
	}
}

func TestContains_ByWhatTheRegionSays(t *testing.T) {
	for name, tt := range map[string]struct {
		region DataRegionSpec
		in     CountryCode
		want   bool
	}{
		"EU":                    {DataRegionSpec{Type: RegionEU}, "PT", true},
		"EU without":            {DataRegionSpec{Type: RegionEU}, "CH", false},
		"EU, one country":       {DataRegionSpec{Type: RegionEU, Countries: []CountryCode{"DE"}}, "PT", false},
		"NA":                    {DataRegionSpec{Type: RegionNA}, "US", true},
		"a country":             {DataRegionSpec{Type: RegionLocal, Country: "CH"}, "CH", true},
		"a country, and others": {DataRegionSpec{Type: RegionLocal, Country: "CH"}, "LI", false},
		"nowhere":               {DataRegionSpec{Type: RegionEU}, "", false},
	} {
		if got := tt.region.Contains(tt.in); got != tt.want {
			t.Errorf("%s: %q is contained: %t", name, tt.in, got)
		}
	}
}
