package faultproxy

import (
	"slices"
	"strings"
	"testing"
)

func TestStreamIsSplitAtItsElements(t *testing.T) {
	want := []string{
		"<?xml version='1.0'?><stream:stream to='x' xmlns:stream='y'>",
		"<stream:features><a/><b><c/></b></stream:features>",
		" <message a='>' b=\"'/>\"><body>1 &gt; 0</body></message>",
		"<r/>",
		"</stream:stream>",
	}
	s := newSplitter(strings.NewReader(strings.Join(want, "")))
	var got []string
	for {
		e, err := s.next()
		if err != nil {
			break
		}
		got = append(got, string(e))
	}
	if !slices.Equal(got, want) {
		t.Errorf("split into %q", got)
	}
}
