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
	const out, one, in, routeLog = "way=out/clients=128", "way=out/clients=1", "way=in/clients=128", "RouteLog/clients=128"
	against := func(what, kind, name string, most float64) budget {
		return budget{
			what: "CPU of a " + what, of: cpuPerOp(kind + name), by: cpu("FormerRoute", name), most: most,
			atMost: fmt.Sprintf("%.2f x that of %s", most, former),
		}
	}
	return []budget{
		against("text out, 128 clients", "Route/", out, 0.67),
		against("text out, one client", "Route/", one, 0.72),
		against("text in, 128 together", "Route/", in, 0.75),
		against("text out, 100 updates a webhook", "RouteOtherwise/kind=updates/", out, 0.5),
		against("text in, 100 updates a webhook", "RouteOtherwise/kind=updates/", in, 0.5),
		{
			what: "time of a text out, 128 clients", of: nsPerOp("Route/" + out), by: nsPerOp("FormerRoute/" + out), most: 0.65,
			atMost: "0.65 x that of " + former,
		},
		{
			what: "time of a text in, 128 together", of: nsPerOp("Route/" + in), by: nsPerOp("FormerRoute/" + in), most: 0.65,
			atMost: "0.65 x that of " + former,
		},
		{
			what: "time of a text out, 128 clients", of: nsPerOp("Route/" + out), by: nsPerOp("Peer/clients=128"), most: 1,
			atMost: "whatsmeow's to encrypt it and store the session",
		},
		{
			what: "CPU of a text out, 128 clients", of: cpu("Route", out), by: cpu("Peer", "clients=128"), most: 1,
			atMost: "whatsmeow's to encrypt it and store the session",
		},
		{
			what: "time of a text out, 128 clients", of: nsPerOp("Route/" + out), by: nsPerOp("RouteFloor/of=commits/clients=128"), most: 12,
			atMost: "12 x three commits to a plain file",
		},
		{
			what: "CPU of a text out, 128 clients", of: cpu("Route", out), by: cpu("RouteFloor", "of=crypto"), most: 45,
			atMost: "45 x its cryptography",
		},
		{
			what: "one text of a hundred takes longer to accept", of: key{"RouteOtherwise/kind=half/way=out/clients=128", "p99-ns/op"}, most: 50e6,
			atMost: "50 ms, at half of what the relay can do",
		},
		{
			what: "time of a text out, in PostgreSQL", of: nsPerOp("RouteOtherwise/kind=postgres/" + out),
			by: nsPerOp("RouteOtherwise/kind=postgres/of=commits/clients=128"), most: 4, atMost: "4 x three bare inserts there",
		},
		{
			what: "time of a text out, 128 clients, with the log", of: key{routeLog, "log-ns/op"}, by: key{routeLog, "nolog-ns/op"}, most: 1.05,
			atMost: "1.05 x without the log",
		},
		{
			what: "CPU of a text out, 128 clients, with the log", of: key{routeLog, "log-cpu-ns/op"}, by: key{routeLog, "nolog-cpu-ns/op"}, most: 1.05,
			atMost: "1.05 x without the log",
		},
		{
			what: "CPU of a text in, 30 days' data keys", of: cpu("RouteOtherwise/kind=days", in), by: cpu("Route", in), most: 1.15,
			atMost: "1.15 x with one",
		},
		{
			what: "CPU of a text out, 30 days' data keys", of: cpu("RouteOtherwise/kind=days", out), by: cpu("Route", out), most: 1.15,
			atMost: "1.15 x with one",
		},
		{
			what: "CPU of a text out, 10 days kept", of: cpu("RouteKept/days=10", "clients=128"), by: cpu("RouteKept/days=1", "clients=128"), most: 1.15,
			atMost: "1.15 x with one day kept",
		},
		{
			what: "time of a text out, 10 days kept", of: nsPerOp("RouteKept/days=10/clients=128"), by: nsPerOp("RouteKept/days=1/clients=128"), most: 1.15,
			atMost: "1.15 x with one day kept",
		},
	}
}

// peerModule measures what another client's store costs, in a module of its own.
const peerModule = "test/bench/peer"

// measureRoutes runs BenchmarkRoute of this build and of the former one and the peer's in turn, and returns what they
// printed, the former one's as BenchmarkFormerRoute.
func measureRoutes(ctx context.Context, progress io.Writer, rounds, messages int) ([]byte, error) {
	dir, err := os.MkdirTemp("", "relaykeep-bench-")
	if err != nil {
		return nil, fmt.Errorf("making a folder for the former build: %w", err)
	}
	defer func() { _ = os.RemoveAll(dir) }()
	now, was, peer := filepath.Join(dir, "now.test"), filepath.Join(dir, "former.test"), filepath.Join(dir, "peer.test")
	source, err := checkOutFormer(ctx, dir)
	if err != nil {
		return nil, err
	}
	for _, build := range []struct{ from, to, of string }{{".", now, "./" + routePackage}, {source, was, "./" + routePackage}, {peerModule, peer, "."}} {
		if _, err := run(ctx, build.from, progress, "go", "test", "-c", "-o", build.to, build.of); err != nil {
			return nil, fmt.Errorf("building the benchmark of a message's way: %w", err)
		}
	}
	var out bytes.Buffer
	measure := func(program, benchmarks string) error {
		printed, err := run(ctx, dir, progress, program, "-test.run", "^$", "-test.bench", "^Benchmark("+benchmarks+")$",
			"-test.benchtime", fmt.Sprint(messages, "x"), "-test.timeout", "3h")
		if err != nil {
			return fmt.Errorf("measuring a message's way: %w", err)
		}
		if program == was {
			printed = bytes.ReplaceAll(printed, []byte("BenchmarkRoute/"), []byte("BenchmarkFormerRoute/"))
		}
		out.Write(printed)
		_, _ = progress.Write(printed)
		return nil
	}
	for range rounds {
		for _, program := range []string{was, now, peer} {
			if err := measure(program, "Route|RouteFloor|RouteLog|RouteOtherwise|Peer"); err != nil {
				return nil, err
			}
		}
	}
	if err := measure(now, "RouteKept"); err != nil {
		return nil, err
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
