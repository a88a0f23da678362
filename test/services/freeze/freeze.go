// Package freeze stops processes without ending them. A signal returns before the threads of its process stand still, and a
// test that counts on a server's silence would hear one more answer. It must not know what a process does.
package freeze

import (
	"bytes"
	"os"
	"path/filepath"
	"strconv"
	"syscall"
	"time"
)

// patience is how long threads may take to stop: one in the middle of a disk's work finishes that first.
const patience = 10 * time.Second

// Process stops a process and returns once all its threads stand still, or there is no such process.
func Process(pid int) {
	if syscall.Kill(pid, syscall.SIGSTOP) != nil {
		return
	}
	tick := time.NewTicker(time.Millisecond)
	defer tick.Stop()
	for end := time.Now().Add(patience); runs(pid) && time.Now().Before(end); {
		<-tick.C
	}
}

// runs says whether a thread of a process does not stand still.
func runs(pid int) bool {
	files, err := filepath.Glob(filepath.Join("/proc", strconv.Itoa(pid), "task", "[0-9]*", "stat"))
	if err != nil {
		return false
	}
	for _, f := range files {
		text, err := os.ReadFile(f)
		if err != nil {
			continue // it has ended
		}
		// pid (name) state: a name may have spaces and parentheses.
		if after := bytes.TrimSpace(text[bytes.LastIndexByte(text, ')')+1:]); len(after) > 0 && !bytes.ContainsRune([]byte("TtZX"), rune(after[0])) {
			return true
		}
	}
	return false
}
