package phone_test

import (
	"fmt"
	"strings"
	"testing"

	"github.com/relaykeep/relaykeep/relay/phone"
)

func TestCountry_IsTheNumbers(t *testing.T) {
	for number, want := range map[string]string{
		"+491701234567": "DE", "+12125551234": "US", "+14165551234": "CA", "+17875551234": "PR", "+41791234567": "CH",
		"+77011234567": "KZ", "+79161234567": "RU", "+447911123456": "GB", "+441534123456": "JE", "+3906698123": "VA",
		"+390612345678": "IT", "+38344123456": "XK", "+80012345678": "", "+870773123456": "", "+9996543210": "",
	} {
		n, err := phone.Parse(number)
		if err != nil {
			t.Fatal(err)
		}
		if got := n.Country(); got != want {
			t.Errorf("a number of %q has the country %q", want, got)
		}
	}
}

func TestName_IsNeverTakenForANumber(t *testing.T) {
	for _, good := range []string{"anna", "anna.b", "a1", "müller", "x+491701234567", "дана", "r2-d2"} {
		n, err := phone.ParseName(good)
		if err != nil {
			t.Fatalf("%q: %v", good, err)
		}
		if n.HasDigits() || n.Digits() != "" || n.E164() != "" || n.Country() != "" || n.IsZero() || n.Local() != good {
			t.Errorf("%q is %q %q %q", good, n.Digits(), n.E164(), n.Local())
		}
		if again, err := phone.ParseKey(n.Key()); err != nil || again != n {
			t.Errorf("%q comes back as another: %v", good, err)
		}
		if shown := fmt.Sprintf("%v %+v %s", n, n, n); strings.Contains(shown, good) {
			t.Errorf("it prints %s", shown)
		}
	}
	for _, bad := range []string{
		"", "+491701234567", "491701234567", "0049170", "+49 170 1234567", "+", "123", "١٢٣", "Anna", "a b", "a@b", "a/b",
		"a\x00", "a\u202eb", "a\u200bb", "a\xff", strings.Repeat("a", 256), "*100#", "+49-170-1234567", "<a", "a\"",
	} {
		if _, err := phone.ParseName(bad); err == nil {
			t.Errorf("%q is a name", bad)
		}
	}
}

func FuzzParseName(f *testing.F) {
	for _, s := range []string{"anna", "+491701234567", "@", "ａｎｎａ"} {
		f.Add(s)
	}
	f.Fuzz(func(t *testing.T, s string) {
		n, err := phone.ParseName(s)
		if err != nil {
			return
		}
		if _, err := phone.ParseLoose(s); err == nil || n.HasDigits() || n.Local() != s {
			t.Errorf("%q is a name and a number", s)
		}
		if again, err := phone.ParseKey(n.Key()); err != nil || again != n {
			t.Errorf("%q comes back as another: %v", s, err)
		}
	})
}
