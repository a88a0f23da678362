package store_test

import (
	"bufio"
	"fmt"
	"io"
	"math/rand/v2"
	"os"
	"os/exec"
	"path/filepath"
	"sync"
	"syscall"
	"testing"
	"time"

	"github.com/relaykeep/relaykeep/relay/store"
)

// failingWriter is a process that writes to a store on a small volume of its own and goes on after writes that failed.
type failingWriter struct {
	t    *testing.T
	dir  string // where the volume is mounted
	cmd  *exec.Cmd
	done chan struct{}

	mu           sync.Mutex // guards acknowledged
	acknowledged []string
}

// startFailing starts a writer in such a place. What it writes are numbers, in order.
func startFailing(t *testing.T, dir string, first int) *failingWriter {
	t.Helper()
	w := &failingWriter{t: t, dir: dir, done: make(chan struct{})}
	w.cmd = exec.CommandContext(t.Context(), os.Args[0])
	w.cmd.Env = append(os.Environ(), crashDir+"="+filepath.Join(dir, "data"), fmt.Sprint(crashOn, "=", first))
	w.cmd.Stderr = os.Stderr
	out, err := w.cmd.StdoutPipe()
	if err != nil {
		t.Fatal(err)
	}
	if err := w.cmd.Start(); err != nil {
		t.Fatal(err)
	}
	go func() {
		defer close(w.done)
		w.read(out)
	}()
	return w
}

func (w *failingWriter) read(out io.Reader) {
	for lines := bufio.NewScanner(out); lines.Scan(); {
		w.mu.Lock()
		w.acknowledged = append(w.acknowledged, lines.Text())
		w.mu.Unlock()
	}
}

func (w *failingWriter) count() int {
	w.mu.Lock()
	defer w.mu.Unlock()
	return len(w.acknowledged)
}

// more waits until so many more writes were acknowledged.
func (w *failingWriter) more(n int) {
	w.t.Helper()
	late := time.After(time.Minute)
	for goal := w.count() + n; w.count() < goal; {
		select {
		case <-time.After(time.Millisecond):
		case <-late:
			w.t.Fatal("nothing is acknowledged any more")
		}
	}
}

// kill ends the process and returns what was acknowledged to it.
func (w *failingWriter) kill() []string {
	_ = w.cmd.Process.Kill()
	<-w.done
	_ = w.cmd.Wait()
	return w.acknowledged
}

// full leaves no room at all on the volume for a moment.
func (w *failingWriter) full() {
	w.t.Helper()
	var s syscall.Statfs_t
	if err := syscall.Statfs(w.dir, &s); err != nil {
		w.t.Fatal(err)
	}
	used := int64(s.Blocks-s.Bfree) * s.Bsize
	for w.resize(used) != nil {
		used += 64 << 10
	}
	<-time.After(time.Duration(rand.IntN(30)) * time.Millisecond)
	if err := w.resize(volumeSize); err != nil {
		w.t.Fatal(err)
	}
}

const volumeSize = 48 << 20

func (w *failingWriter) resize(size int64) error {
	return exec.CommandContext(w.t.Context(), "mount", "-o", fmt.Sprint("remount,size=", size), w.dir).Run()
}

// failing has some system calls of the process on the database fail, by tracing it.
func (w *failingWriter) failing(calls string) {
	w.t.Helper()
	cmd := exec.CommandContext(w.t.Context(), "strace", "-f", "-qqq", "-o", "/dev/null", "-p", fmt.Sprint(w.cmd.Process.Pid),
		"-P", filepath.Join(w.dir, "data", "relay.db-wal"), "-P", filepath.Join(w.dir, "data", "relay.db"),
		"-e", "trace="+calls, "-e", fmt.Sprint("inject=", calls, ":error=EIO:when=", 1+rand.IntN(3), "+", 1+rand.IntN(9)))
	cmd.SysProcAttr = &syscall.SysProcAttr{Setpgid: true} // it forks when it starts, and may be told to end then
	if err := cmd.Start(); err != nil {
		w.t.Skipf("SKIPPED: making system calls fail takes strace: %v", err)
	}
	<-time.After(time.Duration(50+rand.IntN(100)) * time.Millisecond)
	_ = syscall.Kill(-cmd.Process.Pid, syscall.SIGTERM)
	_ = cmd.Wait()
}

// What was acknowledged outlives writes that failed before and after it, whatever failed: the write, the fsync
// after it, or the volume had no room.
func TestFailingWrites_LoseNothingThatWasAcknowledged(t *testing.T) {
	ofFiles(t)
	if testing.Short() || os.Geteuid() != 0 {
		t.Skip("SKIPPED: it mounts a file system, which takes root; nothing here was tested")
	}
	for name, fail := range map[string]func(*failingWriter){
		"no room": (*failingWriter).full,
		"write":   func(w *failingWriter) { w.failing("pwrite64") },
		"fsync":   func(w *failingWriter) { w.failing("fdatasync,fsync") },
		"all": func(w *failingWriter) {
			w.full()
			w.failing("fdatasync,fsync")
			w.failing("pwrite64")
		},
	} {
		t.Run(name, func(t *testing.T) {
			dir := t.TempDir()
			if out, err := exec.CommandContext(t.Context(), "mount", "-t", "tmpfs", "-o", fmt.Sprint("size=", volumeSize), "tmpfs", dir).CombinedOutput(); err != nil {
				t.Skipf("SKIPPED: mounting a file system: %v: %s", err, out)
			}
			t.Cleanup(func() { _ = exec.Command("umount", dir).Run() })
			var all []string
			for round := range 4 {
				w := startFailing(t, dir, round*1_000_000)
				w.more(20)
				for range 4 {
					fail(w)
					w.more(10 + rand.IntN(50))
				}
				all = append(all, w.kill()...)
			}
			s, err := openFixed(t.Context(), filepath.Join(dir, "data"))
			if err != nil {
				t.Fatal(err)
			}
			defer s.Close()
			lost := 0
			err = s.View(t.Context(), func(tx *store.Tx) error {
				for _, n := range all {
					if got, err := tx.Setting(n); err != nil || string(got) != n {
						lost++
					}
				}
				return nil
			})
			if err != nil || lost > 0 {
				t.Errorf("%d of %d are lost: %v", lost, len(all), err)
			}
			t.Logf("%d were acknowledged", len(all))
		})
	}
}
