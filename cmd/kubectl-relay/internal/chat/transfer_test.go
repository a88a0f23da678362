package chat

import (
	"slices"
	"testing"

	"github.com/relaykeep/relaykeep/relay/media"
)

func TestTransfersRememberTheLatestFiles(t *testing.T) {
	transfers := newTransfers()
	var want []string
	for n := range maxFiles + 10 {
		l := media.NewFileURL()
		transfers.keep(l)
		if n >= 10 {
			want = append(want, l.Text())
		}
	}
	var got []string
	for _, l := range transfers.take() {
		got = append(got, l.Text())
	}
	if !slices.Equal(got, want) || len(transfers.take()) != 0 {
		t.Errorf("%d files are remembered, want the latest %d, once", len(got), maxFiles)
	}
}
