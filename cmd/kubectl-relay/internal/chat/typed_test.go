package chat

import "testing"

func TestPathsAreReadAsTheyAreTyped(t *testing.T) {
	t.Setenv("HOME", "/home/somebody")
	for in, want := range map[string]string{
		"a b.jpg": "a b.jpg", "/a/b": "/a/b", "~/a.jpg": "/home/somebody/a.jpg", "~other/a": "~other/a",
		`"a b"`: "a b", "'~/a'": "~/a", "'": "'", `'a"`: `'a"`,
	} {
		if got := asPath(in); got != want {
			t.Errorf("%s is read as %s, want %s", in, got, want)
		}
	}
}
