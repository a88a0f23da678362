package stanza

import (
	"strings"
	"testing"
)

func TestNickname_IsOneLineOfPrintedCharacters(t *testing.T) {
	for sent, want := range map[string]string{
		"Ada":                                  "Ada",
		"  Ada \t Lovelace\r\n":                "Ada Lovelace",
		"Ada\u202e Lovelace\u0007":             "Ada Lovelace",
		"Ada 👩\u200d💻":                         "Ada 👩\u200d💻",
		"\u2028\u200b":                         "",
		"A\xffda":                              "Ada",
		strings.Repeat("ä", MaxNickname+1):     strings.Repeat("ä", MaxNickname),
		strings.Repeat(" ", 500) + "Ada":       "",
		strings.Repeat("\u200b", 5000) + "Ada": "Ada",
	} {
		e := New(NSClient, "message").With(New(NSNick, "nick").WithText(sent))
		if got := Nickname(e); got != want {
			t.Errorf("%q is read as %q, want %q", sent, got, want)
		}
	}
	if got := Nickname(nil); got != "" {
		t.Errorf("nothing is read as %q", got)
	}
}

func TestVCardName_IsTheNicknameElseTheFullName(t *testing.T) {
	card := New(NSVCard, "vCard").With(New(NSVCard, "FN").WithText("Ada Lovelace"))
	if got := VCardName(card); got != "Ada Lovelace" {
		t.Errorf("the name is %q", got)
	}
	if got := VCardName(card.With(New(NSVCard, "NICKNAME").WithText("Ada"))); got != "Ada" {
		t.Errorf("the name is %q", got)
	}
	if got := VCardName(nil); got != "" {
		t.Errorf("without a card the name is %q", got)
	}
}
