package phone_test

import (
	"bytes"
	"encoding/json"
	"errors"
	"fmt"
	"log/slog"
	"strings"
	"testing"

	"github.com/relaykeep/relaykeep/relay/phone"
)

func TestParseTakesOnlyE164(t *testing.T) {
	tests := []struct {
		in string
		ok bool
	}{
		{"+15551234567", true},
		{"+4930123", true},
		{"+123456789012345", true},
		{"+1234567890123456", false}, // 16 digits
		{"+123456", false},           // 6 digits
		{"15551234567", false},
		{"+05551234567", false},
		{"+1 555 123 4567", false},
		{"++15551234567", false},
		{"+1555123456７", false}, // a full-width digit
		{"", false},
		{"+", false},
	}
	for _, tt := range tests {
		n, err := phone.Parse(tt.in)
		if (err == nil) != tt.ok {
			t.Errorf("Parse(%q): error %v, want ok %v", tt.in, err, tt.ok)
		}
		if tt.ok && n.E164() != tt.in {
			t.Errorf("Parse(%q).E164() = %q", tt.in, n.E164())
		}
		if !tt.ok && !errors.Is(err, phone.ErrInvalid) {
			t.Errorf("Parse(%q): error %v is not ErrInvalid", tt.in, err)
		}
	}
}

func TestParseLooseTakesWhatCloudAPIClientsWrite(t *testing.T) {
	for _, in := range []string{
		"+15551234567", "15551234567", "1 (555) 123-4567", "+1.555.123.4567", " +1 555 1234567 ",
		"+1\u00a0555\u202f123\u20094567", "+1 555\u2013123\u20114567", "+1\u2012555\u2212123\u20144567", "\u202a+15551234567\u202c", "\u2066\u200e+1 (555) 123-4567\u2069", "\ufeff+15551234567", "+1-555-123-4567\n",
	} {
		n, err := phone.ParseLoose(in)
		if err != nil || n.Digits() != "15551234567" {
			t.Errorf("ParseLoose(%q) = %q, %v", in, n.Digits(), err)
		}
	}
	for _, in := range []string{
		"", "abc", "1555123456x", "0555123456", strings.Repeat(" ", 200) + "15551234567", "1+5551234567",
		"US.13491208655302741918", "+1555123456\uff17", "+1555123456/7", "1555123456\x00",
	} {
		if _, err := phone.ParseLoose(in); !errors.Is(err, phone.ErrInvalid) {
			t.Errorf("ParseLoose(%q): error %v, want ErrInvalid", in, err)
		}
	}
}

// "+49 (0)170 1234567" is +491701234567 with a zero that is dialled within Germany only. Read with it,
// it is another person's number.
func TestParseLooseRefusesAZeroInParentheses(t *testing.T) {
	for _, in := range []string{"+49 (0)170 1234567", "+49(0)1701234567", "+49 ( 0 ) 170 1234567", "49 (0170) 1234567", "(0)170 1234567"} {
		if n, err := phone.ParseLoose(in); !errors.Is(err, phone.ErrTrunkZero) {
			t.Errorf("ParseLoose(%q) = %q, %v, want ErrTrunkZero", in, n.Digits(), err)
		}
	}
}

func TestNumberNeverPrints(t *testing.T) {
	n, err := phone.Parse("+15551234567")
	if err != nil {
		t.Fatal(err)
	}
	var logged bytes.Buffer
	slog.New(slog.NewJSONHandler(&logged, nil)).Info("sent", "to", n, "who", struct{ N phone.Number }{n})
	if _, err := json.Marshal(struct{ N phone.Number }{n}); !errors.Is(err, phone.ErrNotMarshalled) {
		t.Errorf("json.Marshal of a number: error %v, want ErrNotMarshalled", err)
	}
	printed := []string{
		fmt.Sprint(n), fmt.Sprintf("%v %+v %#v %s %q %x %d", n, n, n, n, n, n, n),
		fmt.Sprintf("%v %+v %#v", &n, []phone.Number{n}, map[phone.Number]int{n: 1}),
		fmt.Errorf("sending to %v: %w", n, errors.New("x")).Error(), logged.String(),
	}
	for _, p := range printed {
		if strings.Contains(p, "5551234567") || strings.Contains(p, "3535353132333435") {
			t.Errorf("a number was printed: %s", p)
		}
	}
}

func TestZeroNumberIsNoNumber(t *testing.T) {
	var n phone.Number
	if !n.IsZero() || n.E164() != "" || n.Digits() != "" {
		t.Errorf("zero Number: IsZero %v, E164 %q, Digits %q", n.IsZero(), n.E164(), n.Digits())
	}
}

func FuzzParse(f *testing.F) {
	for _, s := range []string{"+15551234567", "15551234567", "1 (555) 123-4567", "+", "", "+0"} {
		f.Add(s)
	}
	f.Fuzz(func(t *testing.T, s string) {
		n, err := phone.ParseLoose(s)
		if err != nil {
			return
		}
		again, err := phone.Parse(n.E164())
		if err != nil || again != n {
			t.Errorf("ParseLoose accepted what Parse does not: %v", err)
		}
	})
}
