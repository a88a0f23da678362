package build

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"
	"syscall"
	"time"
)

// reportEvery is how often a running build says how far it is.
const reportEvery = 10 * time.Second

// Cache holds built programs, each in a directory of its own below Dir that is named by its key. Several processes may use one
// cache at once.
type Cache struct {
	// Dir is where built programs are kept.
	Dir string
	// Sources is the directory of the module that all programs are built in.
	Sources string
	// Report is told, as whole lines, what is being done and how far it is.
	Report io.Writer
}

// DefaultDir is ${RELAYKEEP_CACHE:-${XDG_CACHE_HOME:-$HOME/.cache}/relaykeep}/bin.
func DefaultDir() (string, error) {
	if dir := os.Getenv("RELAYKEEP_CACHE"); dir != "" {
		return filepath.Abs(filepath.Join(dir, "bin"))
	}
	dir, err := os.UserCacheDir()
	if err != nil {
		return "", fmt.Errorf("finding the cache directory: %w (set RELAYKEEP_CACHE)", err)
	}
	return filepath.Join(dir, "relaykeep", "bin"), nil
}

// Path returns where the program, link or set of that name is, and builds first what is missing.
func (c *Cache) Path(ctx context.Context, name string) (string, error) {
	for _, set := range Sets() {
		if set.Name == name {
			return c.set(ctx, set)
		}
	}
	spec, err := Find(name)
	if err != nil {
		return "", err
	}
	paths, err := c.Ensure(ctx, []Spec{spec})
	if err != nil {
		return "", err
	}
	return filepath.Join(filepath.Dir(paths[spec.Name]), name), nil
}

// Ensure builds those of specs that the cache does not hold yet, all at once, and returns where each one is, by name.
func (c *Cache) Ensure(ctx context.Context, specs []Spec) (map[string]string, error) {
	toolchain, err := toolchain(ctx)
	if err != nil {
		return nil, err
	}
	paths := make(map[string]string, len(specs))
	var missing []built
	for _, s := range specs {
		key, err := Key(s, c.Sources, toolchain)
		if err != nil {
			return nil, fmt.Errorf("naming the build of %s: %w", s.Name, err)
		}
		b := built{s, filepath.Join(c.Dir, key)}
		paths[s.Name] = filepath.Join(b.dir, s.Name)
		if !b.complete() {
			missing = append(missing, b)
		}
	}
	if len(missing) == 0 {
		return paths, nil
	}
	return paths, c.build(ctx, missing)
}

// Fetch downloads the modules that specs are built from, as far as they are not in Go's module cache, and compiles nothing.
func (c *Cache) Fetch(ctx context.Context, specs []Spec) error {
	p := &progress{}
	cmd := c.list(ctx, specs)
	cmd.Stderr = p
	if err := cmd.Run(); err != nil {
		return fmt.Errorf("fetching modules: %w\n%s", err, p.failure())
	}
	return nil
}

// toolchain describes what compiles: another compiler or platform means another program.
func toolchain(ctx context.Context) (string, error) {
	out, err := exec.CommandContext(ctx, "go", "env", "GOVERSION", "GOOS", "GOARCH", "GOAMD64", "GOARM64").Output()
	if err != nil {
		return "", fmt.Errorf("asking go for its version: %w", err)
	}
	return strings.Join(strings.Fields(string(out)), " "), nil
}

// built is a program and the directory where it is once it is built.
type built struct {
	Spec
	dir string
}

// complete tells whether the program and all its links are there. They appear all at once, by renaming their directory.
func (b built) complete() bool {
	info, err := os.Stat(filepath.Join(b.dir, b.Name))
	return err == nil && info.Mode().IsRegular()
}

// place moves the program from where it was compiled to its directory, with its links.
func (b built) place(work string) error {
	dir := filepath.Join(work, "of-"+b.Name)
	if err := errors.Join(os.RemoveAll(b.dir), os.Mkdir(dir, 0o755)); err != nil {
		return err
	}
	if err := os.Rename(filepath.Join(work, b.Name), filepath.Join(dir, b.Name)); err != nil {
		return err
	}
	for _, link := range b.Links {
		if err := os.Link(filepath.Join(dir, b.Name), filepath.Join(dir, link)); err != nil {
			return err
		}
	}
	return os.Rename(dir, b.dir)
}

// build makes what is missing under the cache's lock, so that of two processes one builds and the other waits.
func (c *Cache) build(ctx context.Context, missing []built) error {
	if err := os.MkdirAll(c.Dir, 0o755); err != nil {
		return err
	}
	unlock, err := c.lock(ctx)
	if err != nil {
		return err
	}
	defer unlock()
	missing = slices.DeleteFunc(missing, built.complete)
	if len(missing) == 0 {
		return nil
	}
	// Under the lock, this is what an interrupted build left.
	work := filepath.Join(c.Dir, ".building")
	if err := errors.Join(os.RemoveAll(work), os.Mkdir(work, 0o755)); err != nil {
		return err
	}
	defer os.RemoveAll(work)
	var specs []Spec
	var names []string
	for _, b := range missing {
		specs, names = append(specs, b.Spec), append(names, b.Name+" "+b.Version)
	}
	fmt.Fprintf(c.Report, "building from source, as far as Go's cache does not have it: %s\n", strings.Join(names, ", "))
	if err := c.compile(ctx, specs, work); err != nil {
		return fmt.Errorf("building %s: %w", strings.Join(names, ", "), err)
	}
	for _, b := range missing {
		if err := b.place(work); err != nil {
			return fmt.Errorf("keeping %s: %w", b.Name, err)
		}
	}
	return nil
}

// lock waits for the exclusive right to build. It ends by itself with the process.
func (c *Cache) lock(ctx context.Context) (unlock func(), err error) {
	f, err := os.OpenFile(filepath.Join(c.Dir, ".lock"), os.O_CREATE|os.O_RDWR, 0o644)
	if err != nil {
		return nil, err
	}
	waiting := time.Now()
	var said time.Time
	for {
		err = syscall.Flock(int(f.Fd()), syscall.LOCK_EX|syscall.LOCK_NB)
		if err == nil {
			return func() { f.Close() }, nil
		}
		if !errors.Is(err, syscall.EWOULDBLOCK) && !errors.Is(err, syscall.EINTR) {
			f.Close()
			return nil, fmt.Errorf("locking the cache of programs: %w", err)
		}
		if time.Since(said) >= reportEvery {
			said = time.Now()
			fmt.Fprintf(c.Report, "another process is building, waiting, %d s\n", int(time.Since(waiting).Seconds()))
		}
		select {
		case <-ctx.Done():
			f.Close()
			return nil, context.Cause(ctx)
		case <-time.After(200 * time.Millisecond):
		}
	}
}

// compile runs the go command, at low priority so that the machine stays usable, and reports while it runs.
func (c *Cache) compile(ctx context.Context, specs []Spec, output string) error {
	start := time.Now()
	cmd := c.goCommand(ctx, arguments(specs, output)...)
	p := &progress{}
	cmd.Stdout, cmd.Stderr = p, p
	if err := cmd.Start(); err != nil {
		return fmt.Errorf("starting go: %w", err)
	}
	// The compiler inherits the priority. Without the right to lower it the build is merely less polite.
	_ = syscall.Setpriority(syscall.PRIO_PROCESS, cmd.Process.Pid, 10)
	done := make(chan error, 1)
	go func() { done <- cmd.Wait() }()
	total := make(chan int, 1)
	go func() { total <- c.packages(ctx, specs) }()
	packages := 0
	ticker := time.NewTicker(reportEvery)
	defer ticker.Stop()
	for {
		select {
		case packages = <-total:
		case <-ticker.C:
			fmt.Fprintln(c.Report, p.describe(packages, time.Since(start)))
		case err := <-done:
			if ctx.Err() != nil {
				return context.Cause(ctx)
			}
			if err != nil {
				return fmt.Errorf("%w\n%s", err, p.failure())
			}
			fmt.Fprintf(c.Report, "built in %d s\n", int(time.Since(start).Seconds()))
			return nil
		}
	}
}

// packages is how many packages specs are made of, 0 when go cannot tell.
func (c *Cache) packages(ctx context.Context, specs []Spec) int {
	out, err := c.list(ctx, specs).Output()
	if err != nil {
		return 0
	}
	return bytes.Count(out, []byte("\n"))
}

// list is the go command that prints every package that specs are made of, a line each.
func (c *Cache) list(ctx context.Context, specs []Spec) *exec.Cmd {
	return c.goCommand(ctx, append([]string{"list", "-mod=readonly", "-tags", tags, "-deps"}, paths(specs)...)...)
}

// goCommand is a go command in the programs' module that ends with ctx or with this process, whichever is first.
func (c *Cache) goCommand(ctx context.Context, args ...string) *exec.Cmd {
	cmd := exec.CommandContext(ctx, "go", args...)
	cmd.Dir = c.Sources
	// The caller's own build settings must not change what is built.
	cmd.Env = append(os.Environ(), "CGO_ENABLED=0", "GOFLAGS=", "GOWORK=off", "GOEXPERIMENT=")
	// An interrupt from the terminal reaches go too; go removes what it was making.
	cmd.Cancel = func() error { return cmd.Process.Signal(syscall.SIGTERM) }
	cmd.WaitDelay = 10 * time.Second
	cmd.SysProcAttr = &syscall.SysProcAttr{Pdeathsig: syscall.SIGTERM}
	return cmd
}

// set remakes the set's directory when it does not link what is current, and returns where it is.
func (c *Cache) set(ctx context.Context, set Set) (string, error) {
	dir := filepath.Join(c.Dir, set.Name)
	for _, member := range set.Members {
		target, err := c.Path(ctx, member)
		if err != nil {
			return "", err
		}
		if err := link(target, filepath.Join(dir, member)); err != nil {
			return "", fmt.Errorf("linking %s: %w", member, err)
		}
	}
	return dir, nil
}

// link makes path a symbolic link to target, in one step.
func link(target, path string) error {
	if current, err := os.Readlink(path); err == nil && current == target {
		return nil
	}
	if err := os.MkdirAll(filepath.Dir(path), 0o755); err != nil {
		return err
	}
	temporary := fmt.Sprintf("%s.%d", path, os.Getpid())
	if err := os.Remove(temporary); err != nil && !errors.Is(err, fs.ErrNotExist) {
		return err
	}
	if err := os.Symlink(target, temporary); err != nil {
		return err
	}
	return os.Rename(temporary, path)
}
