// Package process starts programs that keep running when the program that started them
// has ended, and finds and ends them later by what it recorded. It must not know what
// the programs are. It ends only processes that it recorded, and only while the
// recorded process is still the same one: a process id alone may have been given to
// another.
package process

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
	"syscall"
	"time"
)

// Patience between asking a process to end and ending it, and between two looks.
const (
	grace = 10 * time.Second
	look  = 50 * time.Millisecond
)

// Spec says what to run. Its output is appended to Log.
type Spec struct {
	Name string   `json:"name"` // of its record: letters, digits and hyphens
	Path string   `json:"path"` // of the program
	Args []string `json:"args"` // without the program's own name
	Env  []string `json:"env"`  // all of it, NAME=value; nothing is inherited
	Dir  string   `json:"dir"`
	Log  string   `json:"log"`
	// User and Group, when not 0, are whom it runs as.
	User  uint32 `json:"user,omitempty"`
	Group uint32 `json:"group,omitempty"`
}

// record is what a keeper writes down of a process.
type record struct {
	Spec Spec `json:"spec"`
	PID  int  `json:"pid"`
	// Started is the process's start in clock ticks since boot, from
	// /proc/<pid>/stat: with the id it names one process of this boot.
	Started string `json:"started"`
	Boot    string `json:"boot"`
}

// Keeper keeps the records of processes in a folder.
type Keeper struct{ dir string }

// NewKeeper returns a keeper whose records are in dir, which is made on demand.
func NewKeeper(dir string) *Keeper { return &Keeper{dir: dir} }

// Start starts what spec says, in a session of its own, unless exactly that is
// running. What runs under the same name with another spec is ended first.
func (k *Keeper) Start(ctx context.Context, spec Spec) error {
	r, err := k.read(spec.Name)
	if err == nil && r.alive() && equal(r.Spec, spec) {
		return nil
	}
	if err := k.Stop(ctx, spec.Name); err != nil {
		return err
	}
	pid, err := launch(spec)
	if err != nil {
		return fmt.Errorf("starting %s: %w", spec.Name, err)
	}
	started, err := startTime(pid)
	if err != nil {
		return fmt.Errorf("starting %s: it ended at once; its log is %s", spec.Name, spec.Log)
	}
	return k.write(record{Spec: spec, PID: pid, Started: started, Boot: bootID()})
}

// Restart starts again what was last started under the name, and is an error when
// nothing was.
func (k *Keeper) Restart(ctx context.Context, name string) error {
	r, err := k.read(name)
	if err != nil {
		return fmt.Errorf("starting %s again: %w", name, err)
	}
	return k.Start(ctx, r.Spec)
}

// Running reports whether what was last started under the name is still there.
func (k *Keeper) Running(name string) bool {
	r, err := k.read(name)
	return err == nil && r.alive()
}

// Stop ends the process of that name and those in its session's group, first by
// asking. It keeps the record, so that Restart can follow. What is not running is
// no error.
func (k *Keeper) Stop(ctx context.Context, name string) error {
	r, err := k.read(name)
	if errors.Is(err, fs.ErrNotExist) {
		return nil
	}
	if err != nil {
		return fmt.Errorf("ending %s: %w", name, err)
	}
	for _, signal := range []syscall.Signal{syscall.SIGTERM, syscall.SIGKILL} {
		if !r.alive() {
			return nil
		}
		if err := syscall.Kill(-r.PID, signal); err != nil && !errors.Is(err, syscall.ESRCH) {
			return fmt.Errorf("ending %s: %w", name, err)
		}
		if err := r.gone(ctx); err == nil {
			return nil
		} else if ctx.Err() != nil {
			return fmt.Errorf("ending %s: %w", name, ctx.Err())
		}
	}
	return fmt.Errorf("ending %s: process %d is still there", name, r.PID)
}

// StopAll ends every process that was recorded, the last started first, and
// forgets them.
func (k *Keeper) StopAll(ctx context.Context) error {
	names, err := k.Names()
	if err != nil {
		return err
	}
	var failed []error
	for _, name := range slices.Backward(names) {
		if err := k.Stop(ctx, name); err != nil {
			failed = append(failed, err)
			continue
		}
		failed = append(failed, os.Remove(k.path(name)))
	}
	return errors.Join(failed...)
}

// Names returns the names of the records, the oldest first.
func (k *Keeper) Names() ([]string, error) {
	entries, err := os.ReadDir(k.dir)
	if errors.Is(err, fs.ErrNotExist) {
		return nil, nil
	}
	if err != nil {
		return nil, fmt.Errorf("reading the records of processes: %w", err)
	}
	age := map[string]time.Time{}
	var names []string
	for _, e := range entries {
		name, ok := strings.CutSuffix(e.Name(), ".json")
		info, err := e.Info()
		if !ok || err != nil {
			continue
		}
		age[name] = info.ModTime()
		names = append(names, name)
	}
	slices.SortFunc(names, func(a, b string) int { return age[a].Compare(age[b]) })
	return names, nil
}

func (k *Keeper) path(name string) string { return filepath.Join(k.dir, name+".json") }

func (k *Keeper) read(name string) (record, error) {
	data, err := os.ReadFile(k.path(name))
	if err != nil {
		return record{}, err
	}
	var r record
	if err := json.Unmarshal(data, &r); err != nil {
		return record{}, fmt.Errorf("reading %s: %w", k.path(name), err)
	}
	return r, nil
}

// write replaces the record whole, so that an interrupted run leaves no half one.
func (k *Keeper) write(r record) error {
	data, err := json.MarshalIndent(r, "", "\t")
	if err != nil {
		return fmt.Errorf("recording %s: %w", r.Spec.Name, err)
	}
	if err := os.MkdirAll(k.dir, 0o700); err != nil {
		return fmt.Errorf("recording %s: %w", r.Spec.Name, err)
	}
	half := k.path(r.Spec.Name) + ".new"
	if err := os.WriteFile(half, data, 0o600); err != nil {
		return fmt.Errorf("recording %s: %w", r.Spec.Name, err)
	}
	if err := os.Rename(half, k.path(r.Spec.Name)); err != nil {
		return fmt.Errorf("recording %s: %w", r.Spec.Name, err)
	}
	return nil
}

func launch(spec Spec) (pid int, err error) {
	log, err := os.OpenFile(spec.Log, os.O_CREATE|os.O_APPEND|os.O_WRONLY, 0o600)
	if err != nil {
		return 0, err
	}
	defer func() { _ = log.Close() }()
	// No context may end it: it must outlive the program that starts it.
	cmd := exec.CommandContext(context.Background(), spec.Path, spec.Args...)
	cmd.Env, cmd.Dir, cmd.Stdout, cmd.Stderr = spec.Env, spec.Dir, log, log
	cmd.SysProcAttr = &syscall.SysProcAttr{Setsid: true}
	if spec.User != 0 {
		cmd.SysProcAttr.Credential = &syscall.Credential{Uid: spec.User, Gid: spec.Group}
	}
	if err := cmd.Start(); err != nil {
		return 0, err
	}
	// While this process lives it is the parent, and must take note of the end.
	go func() { _ = cmd.Wait() }()
	return cmd.Process.Pid, nil
}

// alive reports whether the recorded process, and not another under its id, is
// there and has not ended.
func (r record) alive() bool {
	started, err := startTime(r.PID)
	return err == nil && started == r.Started && r.Boot == bootID()
}

func (r record) gone(ctx context.Context) error {
	ctx, cancel := context.WithTimeout(ctx, grace)
	defer cancel()
	tick := time.NewTicker(look)
	defer tick.Stop()
	for r.alive() {
		select {
		case <-ctx.Done():
			return ctx.Err()
		case <-tick.C:
		}
	}
	return nil
}

// startTime returns field 22 of /proc/<pid>/stat (proc(5)), and an error when there
// is no such process or it is only waiting for its parent to take note of its end.
func startTime(pid int) (string, error) {
	data, err := os.ReadFile(filepath.Join("/proc", strconv.Itoa(pid), "stat"))
	if err != nil {
		return "", err
	}
	// The second field is the program's name in parentheses and may hold anything.
	_, rest, ok := strings.Cut(string(data[strings.LastIndexByte(string(data), ')')+1:]), " ")
	fields := strings.Fields(rest)
	if !ok || len(fields) < 20 || fields[0] == "Z" {
		return "", fs.ErrNotExist
	}
	return fields[19], nil
}

func bootID() string {
	data, err := os.ReadFile("/proc/sys/kernel/random/boot_id")
	if err != nil {
		return ""
	}
	return strings.TrimSpace(string(data))
}

func equal(a, b Spec) bool {
	return a.Name == b.Name && a.Path == b.Path && a.Dir == b.Dir && a.Log == b.Log &&
		a.User == b.User && a.Group == b.Group && slices.Equal(a.Args, b.Args) && slices.Equal(a.Env, b.Env)
}
