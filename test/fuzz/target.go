package main

import (
	"bytes"
	"context"
	"fmt"
	"io"
	"os/exec"
	"path/filepath"
	"strings"
	"sync"
	"time"

	"golang.org/x/sync/errgroup"
)

// settle is how long a target may take beside its time: to read its corpus, and to
// minimise what it found.
const settle = 2 * time.Minute

// target is one fuzz target in a test binary that is built for fuzzing.
type target struct {
	name   string
	pkg    string // its import path
	dir    string // where its package is, and its testdata
	binary string
	cache  string // what fuzzing found before
}

// build makes the packages' test binaries in dir and lists their targets.
func build(ctx context.Context, dir string, packages []string) ([]target, error) {
	listed, err := output(ctx, "go", append([]string{"list", "-f", "{{.ImportPath}} {{.Dir}}"}, packages...)...)
	if err != nil {
		return nil, err
	}
	cache, err := output(ctx, "go", "env", "GOCACHE")
	if err != nil {
		return nil, err
	}
	var targets []target
	for i, line := range strings.Split(strings.TrimSpace(listed), "\n") {
		pkg, source, _ := strings.Cut(line, " ")
		binary := filepath.Join(dir, fmt.Sprint(i, ".test"))
		if _, err := output(ctx, "go", "test", "-c", "-fuzz", ".", "-o", binary, pkg); err != nil {
			return nil, err
		}
		names, err := output(ctx, binary, "-test.list", "^Fuzz")
		if err != nil {
			return nil, err
		}
		for _, name := range strings.Fields(names) {
			targets = append(targets, target{
				name: name, pkg: pkg, dir: source, binary: binary,
				cache: filepath.Join(strings.TrimSpace(cache), "fuzz", pkg),
			})
		}
	}
	if len(targets) == 0 {
		return nil, fmt.Errorf("no fuzz target in %s", strings.Join(packages, ", "))
	}
	return targets, nil
}

func output(ctx context.Context, name string, args ...string) (string, error) {
	out, err := exec.CommandContext(ctx, name, args...).CombinedOutput()
	if err != nil {
		return "", fmt.Errorf("running %s %s: %w\n%s", filepath.Base(name), args[0], err, out)
	}
	return string(out), nil
}

// fuzzAll runs the targets, a few at a time, writes a line for each to w, and all the
// output of those that failed. It returns how many did.
func fuzzAll(ctx context.Context, targets []target, each time.Duration, parallel int, w io.Writer) (failed int) {
	var mu sync.Mutex // guards failed and w
	var group errgroup.Group
	group.SetLimit(parallel)
	for _, t := range targets {
		group.Go(func() error {
			out, ok := t.fuzz(ctx, each)
			mu.Lock()
			defer mu.Unlock()
			if ok {
				_, _ = fmt.Fprintf(w, "ok    %s %s: %s\n", t.pkg, t.name, lastProgress(out))
				return nil
			}
			failed++
			_, _ = fmt.Fprintf(w, "FAIL  %s %s:\n%s\n", t.pkg, t.name, out)
			return nil
		})
	}
	_ = group.Wait()
	return failed
}

// fuzz runs the target for a time and reports whether it held.
func (t target) fuzz(ctx context.Context, each time.Duration) (out string, ok bool) {
	ctx, cancel := context.WithTimeout(ctx, each+settle)
	defer cancel()
	cmd := exec.CommandContext(ctx, t.binary, "-test.run", "^$", "-test.fuzz", "^"+t.name+"$",
		"-test.fuzztime", each.String(), "-test.fuzzcachedir", t.cache, "-test.parallel", "1")
	cmd.Dir = t.dir
	var b bytes.Buffer
	cmd.Stdout, cmd.Stderr = &b, &b
	err := cmd.Run()
	return b.String(), err == nil || onlyOutOfTime(b.String()) && ctx.Err() == nil
}

// onlyOutOfTime reports whether a run failed for no other reason than that its time
// ended while an input was under way, which package testing takes for a failure now
// and then (golang.org/issue/75804): a real one leaves its input.
func onlyOutOfTime(out string) bool {
	return strings.Contains(out, "context deadline exceeded") &&
		!strings.Contains(out, "Failing input written") && !strings.Contains(out, "panic:")
}

// lastProgress is the last line in which the fuzzer tells how far it came.
func lastProgress(out string) string {
	last := "no progress"
	for line := range strings.Lines(out) {
		if rest, ok := strings.CutPrefix(strings.TrimSpace(line), "fuzz: "); ok {
			last = rest
		}
	}
	return last
}
