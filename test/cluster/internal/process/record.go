// Package process starts programs that outlive the command that started them, remembers which they are, and ends those and no
// others. A process is known by its number and the moment that it started at, so that a number that was given to somebody else
// since is not mistaken for it. The package knows nothing of what the programs do.
package process

import (
	"bytes"
	"encoding/json"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"strconv"
	"strings"
)

// Record says which process a component is.
type Record struct {
	// Name is the component's.
	Name string `json:"name"`
	// PID is the process's number.
	PID int `json:"pid"`
	// Started is when it started, in clock ticks since boot (field 22 of /proc/PID/stat, proc_pid_stat(5)).
	Started uint64 `json:"started"`
	// Boot is the boot that Started counts from.
	Boot string `json:"boot"`
	// Fingerprint tells what it runs: see Command.
	Fingerprint string `json:"fingerprint"`
}

// errGone says that a process does not run, or only as a zombie.
var errGone = errors.New("no such process")

// self returns the record of the process that asks.
func self(name, fingerprint string) (Record, error) {
	pid := os.Getpid()
	started, err := startTime(pid)
	if err != nil {
		return Record{}, err
	}
	boot, err := bootID()
	if err != nil {
		return Record{}, err
	}
	return Record{Name: name, PID: pid, Started: started, Boot: boot, Fingerprint: fingerprint}, nil
}

// Alive tells whether exactly the recorded process still runs.
func (r Record) Alive() bool {
	boot, err := bootID()
	if err != nil || boot != r.Boot || r.PID <= 1 {
		return false
	}
	started, err := startTime(r.PID)
	return err == nil && started == r.Started
}

// startTime reads when the process started; errGone when it does not run any more.
func startTime(pid int) (uint64, error) {
	stat, err := os.ReadFile(fmt.Sprintf("/proc/%d/stat", pid))
	if errors.Is(err, fs.ErrNotExist) {
		return 0, errGone
	}
	if err != nil {
		// A process that ends while it is read answers ESRCH.
		return 0, errGone
	}
	return parseStat(stat)
}

// parseStat takes the start time out of the content of /proc/PID/stat. The program's name, in parentheses, may itself hold spaces
// and parentheses, so fields count from the last one.
func parseStat(stat []byte) (uint64, error) {
	end := bytes.LastIndexByte(stat, ')')
	if end < 0 {
		return 0, errors.New("malformed process status")
	}
	// The field after the name is the third; the start time is the 22nd.
	fields := strings.Fields(string(stat[end+1:]))
	if len(fields) < 20 {
		return 0, errors.New("malformed process status")
	}
	if fields[0] == "Z" || fields[0] == "X" {
		return 0, errGone
	}
	started, err := strconv.ParseUint(fields[19], 10, 64)
	if err != nil {
		return 0, errors.New("malformed process status")
	}
	return started, nil
}

// bootID is the kernel's name for this boot.
func bootID() (string, error) {
	id, err := os.ReadFile("/proc/sys/kernel/random/boot_id")
	if err != nil {
		return "", fmt.Errorf("reading the boot's id: %w", err)
	}
	return strings.TrimSpace(string(id)), nil
}

// readRecord reads a record; fs.ErrNotExist when there is none. One that cannot be understood counts as none: it was never whole.
func readRecord(path string) (Record, error) {
	content, err := os.ReadFile(path)
	if err != nil {
		return Record{}, err
	}
	var r Record
	if err := json.Unmarshal(content, &r); err != nil {
		return Record{}, fmt.Errorf("%s: %w", filepath.Base(path), fs.ErrNotExist)
	}
	return r, nil
}

// writeJSON replaces the file at path in one step.
func writeJSON(path string, v any) error {
	content, err := json.MarshalIndent(v, "", "  ")
	if err != nil {
		return err
	}
	f, err := os.CreateTemp(filepath.Dir(path), "."+filepath.Base(path))
	if err != nil {
		return err
	}
	_, err = f.Write(append(content, '\n'))
	if err := errors.Join(err, f.Close()); err != nil {
		return errors.Join(err, os.Remove(f.Name()))
	}
	return os.Rename(f.Name(), path)
}
