package rig

import (
	"bufio"
	"fmt"
	"os"
	"os/exec"
	"strings"
	"syscall"
	"testing"
	"time"

	"github.com/relaykeep/relaykeep/test/await"
)

// beginsVariable has this test's process begin others and wait. Its value is the grace.
const beginsVariable = "RELAYKEEP_TEST_BEGINS"

// A process that is told to end takes those with it that it started, also when these are stopped or have others.
func TestEnd_TakesAllWithItThatWasStarted(t *testing.T) {
	if grace := os.Getenv(beginsVariable); grace != "" {
		begin(t, grace)
		return
	}
	terminate := func(c *exec.Cmd) error { return c.Process.Signal(syscall.SIGTERM) }
	for name, how := range map[string]struct {
		grace time.Duration
		end   func(c *exec.Cmd, shut func() error) error
	}{
		"told": {0, func(c *exec.Cmd, _ func() error) error { return terminate(c) }},
		"told twice": {time.Hour, func(c *exec.Cmd, _ func() error) error {
			if err := terminate(c); err != nil {
				return err
			}
			return c.Process.Signal(os.Interrupt)
		}},
		"nobody reads": {0, func(_ *exec.Cmd, shut func() error) error { return shut() }},
	} {
		t.Run(name, func(t *testing.T) {
			cmd := exec.CommandContext(t.Context(), os.Args[0], "-test.run", "^TestEnd_TakesAllWithItThatWasStarted$")
			cmd.Env = append(os.Environ(), beginsVariable+"="+how.grace.String())
			out, err := cmd.StdoutPipe()
			check(t, err)
			check(t, cmd.Start())
			lines := bufio.NewScanner(out)
			if !lines.Scan() {
				t.Fatal("it did not start")
			}
			var below []int
			await.Until(t, "three processes run below it", func() bool { below = all(cmd.Process.Pid); return len(below) == 3 })
			check(t, how.end(cmd, out.Close))
			_ = cmd.Wait()
			for _, pid := range below {
				await.Until(t, "the process has ended", func() bool { return ended(pid) })
			}
		})
	}
}

// begin is a process that starts one which has two others, one of them stopped, and goes on printing.
func begin(t *testing.T, grace string) {
	h := &ending{}
	defer h.endWithAll(func() string { return "" })()
	d, err := time.ParseDuration(grace)
	check(t, err)
	h.Grace(d)
	cmd := exec.CommandContext(t.Context(), "sh", "-c", "sleep 1000 & sleep 1000 & kill -STOP $!; wait")
	cmd.SysProcAttr = &syscall.SysProcAttr{Setpgid: true}
	check(t, cmd.Start())
	for {
		fmt.Println("running")
		<-time.After(50 * time.Millisecond)
	}
}

func all(parent int) (pids []int) {
	for _, pid := range children(parent) {
		pids = append(append(pids, pid), all(pid)...)
	}
	return pids
}

// ended says whether a process has ended, also if nobody waited for it.
func ended(pid int) bool {
	raw, err := os.ReadFile(fmt.Sprint("/proc/", pid, "/stat"))
	return err != nil || strings.Contains(string(raw), ") Z ")
}
