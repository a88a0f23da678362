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
	// Sources is the directory with a directory of build files for each program.
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

// Ensure builds those of specs that the cache does not hold yet, one after the other, and returns where each one is, by name.
func (c *Cache) Ensure(ctx context.Context, specs []Spec) (map[string]string, error) {
	toolchain, err := toolchain(ctx)
	if err != nil {
		return nil, err
	}
	paths := make(map[string]string, len(specs))
	keys := make(map[string]string, len(specs))
	var missing []Spec
	for _, s := range specs {
		key, err := Key(s, filepath.Join(c.Sources, s.Name), toolchain)
		if err != nil {
			return nil, fmt.Errorf("naming the build of %s: %w", s.Name, err)
		}
		keys[s.Name], paths[s.Name] = key, filepath.Join(c.Dir, key, s.Name)
		if !complete(filepath.Join(c.Dir, key), s) {
			missing = append(missing, s)
		}
	}
	for i, s := range missing {
		if err := c.build(ctx, s, keys[s.Name], fmt.Sprintf("%d of %d", i+1, len(missing))); err != nil {
			return nil, fmt.Errorf("building %s: %w", s.Name, err)
		}
	}
	return paths, nil
}

// toolchain describes what compiles: another compiler or platform means another program.
func toolchain(ctx context.Context) (string, error) {
	out, err := exec.CommandContext(ctx, "go", "env", "GOVERSION", "GOOS", "GOARCH", "GOAMD64", "GOARM64").Output()
	if err != nil {
		return "", fmt.Errorf("asking go for its version: %w", err)
	}
	return strings.Join(strings.Fields(string(out)), " "), nil
}

// complete tells whether dir holds s and all its links. They appear all at once, by renaming dir.
func complete(dir string, s Spec) bool {
	info, err := os.Stat(filepath.Join(dir, s.Name))
	return err == nil && info.Mode().IsRegular()
}

// build makes s under a lock of its own, so that of two processes that want it one builds and the other waits.
func (c *Cache) build(ctx context.Context, s Spec, key, position string) error {
	if err := os.MkdirAll(c.Dir, 0o755); err != nil {
		return err
	}
	unlock, err := c.lock(ctx, s.Name)
	if err != nil {
		return err
	}
	defer unlock()
	final := filepath.Join(c.Dir, key)
	if complete(final, s) {
		return nil
	}
	// Under the lock, whatever else of this name is a build that was interrupted.
	work := filepath.Join(c.Dir, ".building-"+s.Name)
	if err := errors.Join(os.RemoveAll(work), os.RemoveAll(final)); err != nil {
		return err
	}
	if err := os.Mkdir(work, 0o755); err != nil {
		return err
	}
	if err := c.compile(ctx, s, filepath.Join(work, s.Name), position); err != nil {
		return err
	}
	for _, link := range s.Links {
		if err := os.Link(filepath.Join(work, s.Name), filepath.Join(work, link)); err != nil {
			return err
		}
	}
	return os.Rename(work, final)
}

// lock waits for the exclusive right to build the program of that name. It ends by itself with the process.
func (c *Cache) lock(ctx context.Context, name string) (unlock func(), err error) {
	f, err := os.OpenFile(filepath.Join(c.Dir, ".lock-"+name), os.O_CREATE|os.O_RDWR, 0o644)
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
			return nil, fmt.Errorf("locking the build of %s: %w", name, err)
		}
		if time.Since(said) >= reportEvery {
			said = time.Now()
			fmt.Fprintf(c.Report, "%s: another process is building it, waiting, %d s\n", name, int(time.Since(waiting).Seconds()))
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
func (c *Cache) compile(ctx context.Context, s Spec, output, position string) error {
	start := time.Now()
	fmt.Fprintf(c.Report, "%s %s (%s): building from source\n", s.Name, s.Version, position)
	cmd := c.goCommand(ctx, s, s.arguments(output)...)
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
	go func() { total <- c.packages(ctx, s) }()
	packages := 0
	ticker := time.NewTicker(reportEvery)
	defer ticker.Stop()
	for {
		select {
		case packages = <-total:
		case <-ticker.C:
			fmt.Fprintf(c.Report, "%s (%s): %s\n", s.Name, position, p.describe(packages, time.Since(start)))
		case err := <-done:
			if ctx.Err() != nil {
				return context.Cause(ctx)
			}
			if err != nil {
				return fmt.Errorf("%w\n%s", err, p.failure())
			}
			fmt.Fprintf(c.Report, "%s (%s): built in %d s\n", s.Name, position, int(time.Since(start).Seconds()))
			return nil
		}
	}
}

// packages is how many packages s is made of, 0 when go cannot tell.
func (c *Cache) packages(ctx context.Context, s Spec) int {
	args := []string{"list", "-mod=readonly", "-deps"}
	if len(s.Tags) > 0 {
		args = append(args, "-tags", strings.Join(s.Tags, ","))
	}
	out, err := c.goCommand(ctx, s, append(args, s.Package)...).Output()
	if err != nil {
		return 0
	}
	return bytes.Count(out, []byte("\n"))
}

// goCommand is a go command in the directory of s's build files that ends with ctx or with this process, whichever is first.
func (c *Cache) goCommand(ctx context.Context, s Spec, args ...string) *exec.Cmd {
	cmd := exec.CommandContext(ctx, "go", args...)
	cmd.Dir = filepath.Join(c.Sources, s.Name)
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
