package rig

import (
	"bytes"
	"fmt"
	"os"
	"os/signal"
	"path/filepath"
	"strconv"
	"strings"
	"sync"
	"sync/atomic"
	"syscall"
	"time"

	"golang.org/x/sys/unix"
)

// ending is how a process ends when it is told to.
type ending struct {
	interrupted chan struct{} // closed once it was told
	grace       atomic.Int64  // a time.Duration

	mu     sync.Mutex // guards atOnce
	atOnce []func()
}

// Interrupted is closed once this process was told to end, as by Ctrl-C.
func (h *ending) Interrupted() <-chan struct{} { return h.interrupted }

// Grace is how long the tests may go on after that, to end by themselves; without it not at all.
func (h *ending) Grace(d time.Duration) { h.grace.Store(int64(d)) }

// AtOnce has a function be called when the process ends without the tests' own clean-up.
func (h *ending) AtOnce(f func()) {
	h.mu.Lock()
	defer h.mu.Unlock()
	h.atOnce = append(h.atOnce, f)
}

// endWithAll has the processes that this one started end with it when it is told to, or when nobody reads any more
// what it prints: after the house's grace, or at once when it is told again. The function that it returns undoes that.
func (h *ending) endWithAll(dir func() string) (undo func()) {
	told := make(chan os.Signal, 2)
	signal.Notify(told, syscall.SIGINT, syscall.SIGTERM, syscall.SIGHUP)
	broken := make(chan os.Signal, 1) // of any pipe or connection
	signal.Notify(broken, syscall.SIGPIPE)
	h.interrupted = make(chan struct{})
	done := make(chan struct{})
	go func() {
		for end := false; !end; {
			select {
			case <-told:
				end = true
			case <-broken:
				end = nobodyReads(os.Stdout)
			case <-done:
				return
			}
		}
		close(h.interrupted)
		select {
		case <-told:
		case <-time.After(time.Duration(h.grace.Load())):
		case <-done:
			return
		}
		KillChildren()
		h.mu.Lock()
		for _, f := range h.atOnce {
			f()
		}
		if d := dir(); d != "" {
			_ = os.RemoveAll(d)
		}
		os.Exit(1)
	}()
	return func() {
		signal.Stop(told)
		signal.Stop(broken)
		close(done)
	}
}

// nobodyReads says whether the other end of a pipe is closed.
func nobodyReads(f *os.File) bool {
	poll := []unix.PollFd{{Fd: int32(f.Fd())}}
	n, err := unix.Poll(poll, 0)
	return err == nil && n > 0 && poll[0].Revents&unix.POLLERR != 0
}

// KillChildren kills the processes that this process started, and those that they started.
func KillChildren() {
	// Each stands still before its own children are listed, so that it starts no others meanwhile.
	for _, pid := range stopAll(os.Getpid()) {
		_ = syscall.Kill(pid, syscall.SIGKILL)
	}
}

// stopAll stops all processes below one, and returns their ids.
func stopAll(parent int) (pids []int) {
	for _, pid := range children(parent) {
		if syscall.Kill(pid, syscall.SIGSTOP) == nil {
			pids = append(append(pids, stopAll(pid)...), pid)
		}
	}
	return pids
}

// children returns the ids of the processes that one started.
func children(parent int) (pids []int) {
	files, err := filepath.Glob("/proc/[0-9]*/stat")
	if err != nil {
		return nil
	}
	for _, f := range files {
		raw, err := os.ReadFile(f)
		if err != nil {
			continue // it has ended
		}
		// pid (name) state parent: a name may have spaces.
		after := strings.Fields(string(raw[bytes.LastIndexByte(raw, ')')+1:]))
		if pid, err := strconv.Atoi(filepath.Base(filepath.Dir(f))); err == nil && len(after) > 1 && after[1] == fmt.Sprint(parent) {
			pids = append(pids, pid)
		}
	}
	return pids
}
