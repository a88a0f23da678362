package host

import (
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"reflect"
	"testing"
)

func fmtPID(cmd *exec.Cmd) []byte { return fmt.Append(nil, cmd.Process.Pid) }

func TestRememberLooksOnce(t *testing.T) {
	asRoot(t)
	file := filepath.Join(t.TempDir(), "state", "before.json")
	first, err := Remember(t.Context(), file)
	if err != nil {
		t.Fatal(err)
	}
	if first.Settings[forwarding] == "" {
		t.Errorf("it does not know whether the machine forwards: %+v", first)
	}
	// What changes afterwards is the cluster's doing.
	if err := os.WriteFile(file, []byte(`{"settings":{"a":"b"},"tables":["ip mine"]}`), 0o600); err != nil {
		t.Fatal(err)
	}
	second, err := Remember(t.Context(), file)
	want := Before{Settings: map[string]string{"a": "b"}, Tables: []string{"ip mine"}}
	if err != nil || !reflect.DeepEqual(second, want) {
		t.Errorf("got %+v, %v", second, err)
	}
}

func TestRememberDoesNotLookAgainWhenItsFileIsDamaged(t *testing.T) {
	file := filepath.Join(t.TempDir(), "before.json")
	if err := os.WriteFile(file, []byte("{"), 0o600); err != nil {
		t.Fatal(err)
	}
	if got, err := Remember(t.Context(), file); err == nil {
		t.Errorf("got %+v: what the cluster changed would be taken for what was before", got)
	}
}

func TestSettingsAreRestoredOnlyWhereTheyDiffer(t *testing.T) {
	asRoot(t)
	b, err := look(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	b.Settings["no/such/setting"] = "1"
	if err := b.RestoreSettings(); err != nil {
		t.Error(err)
	}
	if after, err := look(t.Context()); err != nil || after.Settings[forwarding] != b.Settings[forwarding] {
		t.Errorf("forwarding was %q, is %q, %v", b.Settings[forwarding], after.Settings[forwarding], err)
	}
}

func TestLinks_AreRemovedOnlyIfTheyLeadIntoTheState(t *testing.T) {
	dir := t.TempDir()
	for name, target := range map[string]string{"ours": "/state/log/pods/a", "near": "/state-of-others/log", "other": "/var/log/pods/b"} {
		if err := os.Symlink(target, filepath.Join(dir, name)); err != nil {
			t.Fatal(err)
		}
	}
	if err := os.WriteFile(filepath.Join(dir, "file"), nil, 0o600); err != nil {
		t.Fatal(err)
	}
	if err := removeLinks(dir, "/state"); err != nil {
		t.Fatal(err)
	}
	for name, want := range map[string]bool{"ours": false, "near": true, "other": true, "file": true} {
		if _, err := os.Lstat(filepath.Join(dir, name)); (err == nil) != want {
			t.Errorf("%s is there: %v, want %v", name, err == nil, want)
		}
	}
	if err := removeLinks(filepath.Join(dir, "none"), "/state"); err != nil {
		t.Errorf("without the directory: %v", err)
	}
}
