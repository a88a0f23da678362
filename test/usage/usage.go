// Package usage tells what processes use, as the kernel counts it, for tests and benchmarks that measure one from outside. It
// must not know what a process does.
package usage

import (
	"bytes"
	"errors"
	"fmt"
	"os"
	"strconv"
	"strings"
	"time"
)

// tick is the unit of processor time in /proc on all of Go's Linux platforms.
const tick = 10 * time.Millisecond

// errUntold means that the kernel's answer lacks what was asked for, as of a process that has just ended.
var errUntold = errors.New("the kernel does not tell it")

// Processor returns how much processor time a process has taken, of its own and the kernel's for it (proc(5), stat).
func Processor(pid int) (time.Duration, error) {
	raw, err := read(pid, "stat")
	if err != nil {
		return 0, err
	}
	fields := strings.Fields(string(raw[bytes.LastIndexByte(raw, ')')+1:])) // from the third on
	if len(fields) < 13 {
		return 0, errUntold
	}
	var ticks int64
	for _, field := range fields[11:13] { // utime and stime
		n, err := strconv.ParseInt(field, 10, 64)
		if err != nil {
			return 0, errUntold
		}
		ticks += n
	}
	return time.Duration(ticks) * tick, nil
}

// Resident returns how many bytes of memory a process has.
func Resident(pid int) (int64, error) { return kibibytes(pid, "status", "VmRSS:") }

// Private returns how many bytes of memory only a process has and the kernel could not read again from a file. What it has of
// a file's is not counted, wherever the file is: in memory (tmpfs) it would be, as Private_Dirty.
func Private(pid int) (int64, error) { return kibibytes(pid, "smaps_rollup", "\nAnonymous:") }

// kibibytes returns in bytes what a file of a process says of a name in kibibytes.
func kibibytes(pid int, file, name string) (int64, error) {
	raw, err := read(pid, file)
	if err != nil {
		return 0, err
	}
	_, rest, _ := strings.Cut(string(raw), name)
	fields := strings.Fields(rest)
	if len(fields) == 0 {
		return 0, errUntold
	}
	kib, err := strconv.ParseInt(fields[0], 10, 64)
	if err != nil {
		return 0, errUntold
	}
	return kib << 10, nil
}

func read(pid int, file string) ([]byte, error) {
	raw, err := os.ReadFile(fmt.Sprint("/proc/", pid, "/", file))
	if err != nil {
		return nil, fmt.Errorf("reading what a process uses: %w", err)
	}
	return raw, nil
}
