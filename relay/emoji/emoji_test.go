package emoji

import (
	"strings"
	"testing"

	"github.com/relaykeep/relaykeep/test/fuzz/mutation"
)

func TestIs_SingleEmojiOnly(t *testing.T) {
	t.Parallel()
	for _, s := range []string{
		"👍", "👍🏽", "❤️", "❤", "🇩🇪", "1️⃣", "#️⃣", "👨‍👩‍👧‍👦", "👩🏽‍❤️‍💋‍👨🏿", "🏴󠁧󠁢󠁥󠁮󠁧󠁿", "🏳️‍🌈", "‼️", "©️", "™️", "↔️", "◼️", "➕", "🀄", "🃏", "🅰️", "🈁", "⌚", "ℹ️", "Ⓜ️", "㊗️", "🫡", "😀",
	} {
		if !Is(s) {
			t.Errorf("%q is refused", s)
		}
	}
	for _, s := range []string{
		"", "a", "ok", "1", "👍👍", "👍 ", " 👍", "👍a", "👍\u200d", "\u200d👍", "\ufe0f", "🇩", "🇩🇪🇫🇷", "I agree", "+", "<", "\n", "👍\n", "\xff", "é", "中",
		strings.Repeat("👍\u200d", 20) + "👍",
	} {
		if Is(s) {
			t.Errorf("%q is accepted", s)
		}
	}
}

// FuzzIs holds that what is accepted is short and holds no letter.
func FuzzIs(tf *testing.F) {
	f := mutation.Of(tf)
	for _, s := range []string{"👍🏽", "👩🏽‍❤️‍💋‍👨🏿", "1️⃣", "🏴󠁧󠁢󠁥󠁮󠁧󠁿", "🇩🇪"} {
		f.Add(s)
	}
	f.Fuzz(func(t *testing.T, s string) {
		if Is(s) && (len(s) > MaxBytes || strings.ContainsFunc(s, func(r rune) bool { return r < ' ' || r >= 'A' && r <= 'z' })) {
			t.Errorf("%q is accepted", s)
		}
	})
}
