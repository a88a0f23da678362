package dataplane_test

import (
	"os"
	"strings"
	"testing"
)

func TestContacts_ReachTheCustomerAsAFileAndAText(t *testing.T) {
	t.Parallel()
	b := newBusiness(t)
	b.StartReady()
	p := newPerson(t)
	b.Hide("Barbara J. Johnson", "650 555 9999")
	id := b.Send(map[string]any{"to": p.Number.E164(), "type": "contacts", "contacts": []any{map[string]any{
		"name": map[string]string{"formatted_name": "Barbara J. Johnson"}, "phones": []any{map[string]string{"phone": "+1 650 555 9999", "type": "CELL"}},
	}}})
	b.WaitStatus(id, "read")
	p.Shown("Barbara J. Johnson\n+1 650 555 9999 (CELL)")
	path, err := p.SaveFile(t.Context(), seesFile(p), t.TempDir())
	check(t, err)
	file, err := os.ReadFile(path)
	check(t, err)
	if !strings.HasSuffix(path, ".vcf") || !strings.Contains(string(file), "\r\nTEL;TYPE=CELL:+1 650 555 9999\r\n") {
		t.Errorf("the customer has %q: %s", path, file)
	}
	b.NothingLeaked()
}
