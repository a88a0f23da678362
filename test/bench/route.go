package main

import (
	"bytes"
	"context"
	"fmt"
	"io"
	"os"
	"os/exec"
	"path/filepath"
)

// former is the build that the way of a message is compared with: the first release's.
const former = "effe65e"

// routePackage has BenchmarkRoute, in either build.
const routePackage = "relay/message"

// routeBudgets are the promises about the way of a message through the relay, against the former build in the
// same run: docs/decisions/0049-speed-of-messages.md says what is aimed at and what stands in the way.
func routeBudgets() []budget {
	cpu := func(build, name string) key { return cpuPerOp(build + "/" + name) }
	var all []budget
	for _, b := range []struct {
		what, name string
		most       float64
	}{
		{"text out, 128 clients", "way=out/clients=128", 1},
		{"text out, one client", "way=out/clients=1", 1},
		{"text in, 128 together", "way=in/clients=128", 1.3},
	} {
		all = append(all, budget{
			what: "CPU of a " + b.what, of: cpu("Route", b.name), by: cpu("FormerRoute", b.name), most: b.most,
			atMost: fmt.Sprintf("%.2f x that of %s", b.most, former),
		})
	}
	return all
}

// measureRoutes runs BenchmarkRoute of this build and of the former one in turn, and returns what they
// printed, the former one's as BenchmarkFormerRoute.
func measureRoutes(ctx context.Context, progress io.Writer, rounds, messages int) ([]byte, error) {
	dir, err := os.MkdirTemp("", "relaykeep-bench-")
	if err != nil {
		return nil, fmt.Errorf("making a folder for the former build: %w", err)
	}
	defer func() { _ = os.RemoveAll(dir) }()
	now, was := filepath.Join(dir, "now.test"), filepath.Join(dir, "former.test")
	source, err := checkOutFormer(ctx, dir)
	if err != nil {
		return nil, err
	}
	for _, build := range []struct{ from, to string }{{".", now}, {source, was}} {
		if _, err := run(ctx, build.from, progress, "go", "test", "-c", "-o", build.to, "./"+routePackage); err != nil {
			return nil, fmt.Errorf("building the benchmark of a message's way: %w", err)
		}
	}
	var out bytes.Buffer
	for range rounds {
		for _, program := range []string{was, now} {
			printed, err := run(ctx, dir, progress, program, "-test.run", "^$", "-test.bench", "Route", "-test.benchtime", fmt.Sprint(messages, "x"), "-test.timeout", "30m")
			if err != nil {
				return nil, fmt.Errorf("measuring a message's way: %w", err)
			}
			if program == was {
				printed = bytes.ReplaceAll(printed, []byte("BenchmarkRoute/"), []byte("BenchmarkFormerRoute/"))
			}
			out.Write(printed)
			_, _ = progress.Write(printed)
		}
	}
	return out.Bytes(), nil
}

// checkOutFormer puts the former build's source into dir, with the benchmark and the wiring that it needs.
func checkOutFormer(ctx context.Context, dir string) (source string, err error) {
	source = filepath.Join(dir, "former")
	if err := os.Mkdir(source, 0o700); err != nil {
		return "", fmt.Errorf("making a folder for the former build: %w", err)
	}
	archive := filepath.Join(dir, "former.tar")
	for _, args := range [][]string{
		{"git", "archive", "--format=tar", "-o", archive, former},
		{"tar", "-xf", archive, "-C", source},
		{"cp", routePackage + "/route_bench_test.go", "test/bench/testdata/" + former + "/route_relay_test.go", filepath.Join(source, routePackage)},
	} {
		if _, err := run(ctx, ".", os.Stderr, args[0], args[1:]...); err != nil {
			return "", fmt.Errorf("getting %s, which the clone must have: %w", former, err)
		}
	}
	return source, nil
}

// run runs a program and returns what it printed, up to maxOutput.
func run(ctx context.Context, dir string, progress io.Writer, program string, args ...string) ([]byte, error) {
	var out bytes.Buffer
	cmd := exec.CommandContext(ctx, program, args...)
	cmd.Dir, cmd.Stdout, cmd.Stderr = dir, &limited{w: &out, left: maxOutput}, progress
	if err := cmd.Run(); err != nil {
		return nil, fmt.Errorf("%s: %w", filepath.Base(program), err)
	}
	return out.Bytes(), nil
}
