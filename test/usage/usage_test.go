package usage_test

import (
	"os"
	"os/exec"
	"testing"
	"time"

	"github.com/relaykeep/relaykeep/test/usage"
)

func TestUsage_OfThisProcess(t *testing.T) {
	private, err := usage.Private(os.Getpid())
	if err != nil {
		t.Fatal(err)
	}
	resident, err := usage.Resident(os.Getpid())
	if err != nil {
		t.Fatal(err)
	}
	if private <= 0 || resident < private {
		t.Errorf("%d bytes are its own, of %d", private, resident)
	}
	before, err := usage.Processor(os.Getpid())
	if err != nil {
		t.Fatal(err)
	}
	for end := time.Now().Add(10 * time.Second); ; {
		now, err := usage.Processor(os.Getpid())
		if err != nil {
			t.Fatal(err)
		}
		if now > before {
			break
		}
		if time.Now().After(end) {
			t.Fatal("it computes and uses no processor time")
		}
	}
}

func TestUsage_OfAProcessThatEndedIsAnError(t *testing.T) {
	cmd := exec.CommandContext(t.Context(), "true")
	if err := cmd.Run(); err != nil {
		t.Fatal(err)
	}
	pid := cmd.Process.Pid
	if _, err := usage.Processor(pid); err == nil {
		t.Error("it has processor time")
	}
	if _, err := usage.Resident(pid); err == nil {
		t.Error("it has memory")
	}
	if _, err := usage.Private(pid); err == nil {
		t.Error("it has memory of its own")
	}
}
