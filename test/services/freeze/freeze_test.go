package freeze_test

import (
	"bufio"
	"bytes"
	"os"
	"os/exec"
	"path/filepath"
	"strconv"
	"syscall"
	"testing"

	"github.com/relaykeep/relaykeep/test/services/freeze"
)

// TestProcess_StandsStillAtOnce: what a process wrote before is all that it writes.
func TestProcess_StandsStillAtOnce(t *testing.T) {
	cmd := exec.CommandContext(t.Context(), "sh", "-c", "while :; do echo on; done")
	out, err := cmd.StdoutPipe()
	if err != nil {
		t.Fatal(err)
	}
	if err := cmd.Start(); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		_ = cmd.Process.Kill()
		_ = cmd.Wait()
	})
	lines := bufio.NewScanner(out)
	if !lines.Scan() {
		t.Fatal("it says nothing")
	}
	freeze.Process(cmd.Process.Pid)
	text, err := os.ReadFile(filepath.Join("/proc", strconv.Itoa(cmd.Process.Pid), "stat"))
	if err != nil || !bytes.Contains(text, []byte(") T ")) {
		t.Errorf("it does not stand still: %s, %v", text, err)
	}
	if err := cmd.Process.Signal(syscall.SIGCONT); err != nil {
		t.Fatal(err)
	}
	if !lines.Scan() {
		t.Error("it does not go on")
	}
	freeze.Process(1 << 30) // nobody's
}
