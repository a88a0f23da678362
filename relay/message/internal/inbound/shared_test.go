package inbound

import (
	"fmt"
	"strings"
	"testing"

	"github.com/relaykeep/relaykeep/relay/carrier"
	"github.com/relaykeep/relaykeep/relay/media"
)

// Files that the text names and files that are described beside it are bounded together: retractions look for
// the parts of a message in as many rows.
func TestSharedFiles_AreBoundedTogether(t *testing.T) {
	link := func(i int) string {
		return fmt.Sprintf("aesgcm://files.test/%d.jpg#%s", i, strings.Repeat("0f", 44))
	}
	var lines []string
	var shared []carrier.SharedFile
	for i := range 40 {
		lines = append(lines, link(i))
		shared = append(shared, carrier.SharedFile{Link: link(100 + i), Size: -1})
	}
	for text, most := range map[string]int{"": media.MaxFiles, strings.Join(lines, "\n"): media.MaxFiles + 1} { // one is the text that is left
		if parts := saidIn(text, shared, nil); len(parts) > most || len(parts) < media.MaxFiles {
			t.Errorf("a message has %d parts", len(parts))
		}
	}
}
