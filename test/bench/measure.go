package main

import (
	"bytes"
	"context"
	"fmt"
	"io"
	"os"
	"os/exec"
	"slices"

	"golang.org/x/perf/benchfmt"
)

// maxOutput bounds what the benchmarks may print, in bytes.
const maxOutput = 16 << 20

// suite is benchmarks that run alike: rounds times, each for benchtime, which is as
// go test's flag has it.
type suite struct {
	packages  []string
	rounds    int
	benchtime string
}

// measure runs the benchmarks of suites and returns what they printed in Go's benchmark
// format. Progress goes to progress.
//
// It repeats all of them, and not each by itself as go test's -count does: what else
// the machine is doing changes in seconds, and peers that are measured a minute apart
// would be compared across such a change.
func measure(ctx context.Context, progress io.Writer, suites ...suite) ([]byte, error) {
	var out bytes.Buffer
	kept := &limited{w: &out, left: maxOutput}
	for _, s := range suites {
		if err := s.run(ctx, io.MultiWriter(kept, progress), progress); err != nil {
			return nil, fmt.Errorf("running the benchmarks: %w", err)
		}
	}
	return out.Bytes(), nil
}

func (s suite) run(ctx context.Context, results, progress io.Writer) error {
	args := []string{"test", "-run", "^$", "-bench", ".", "-count", "1", "-benchtime", s.benchtime, "-timeout", "60m"}
	for range s.rounds {
		cmd := exec.CommandContext(ctx, "go", append(args, s.packages...)...)
		// A benchmark holds next to nothing, and Go collects garbage at every 4 MB of
		// such a heap: here at every 16 MB, nearer to what a process at work has. It is
		// the same for every peer, and favours those that leave most behind.
		cmd.Env = append(os.Environ(), "GOGC=400")
		cmd.Stdout = results
		cmd.Stderr = progress
		if err := cmd.Run(); err != nil {
			return err
		}
	}
	return nil
}

// limited writes to w until left bytes are used up, then fails.
type limited struct {
	w    io.Writer
	left int
}

func (l *limited) Write(p []byte) (int, error) {
	if len(p) > l.left {
		return 0, fmt.Errorf("more than %d bytes of benchmark output", maxOutput)
	}
	l.left -= len(p)
	return l.w.Write(p)
}

// key names one measured value: a benchmark without its prefix and processor count,
// and a unit.
type key struct{ name, unit string }

// readMedians returns the median of each benchmark's values by unit.
func readMedians(output []byte) (map[key]float64, error) {
	values := map[key][]float64{}
	r := benchfmt.NewReader(bytes.NewReader(output), "benchmarks")
	for r.Scan() {
		switch rec := r.Result().(type) {
		case *benchfmt.SyntaxError:
			return nil, fmt.Errorf("reading the benchmarks' output: %w", rec)
		case *benchfmt.Result:
			name := withoutProcessors(string(rec.Name.Full()))
			for _, v := range rec.Values {
				value, unit := v.Value, v.Unit
				if v.OrigUnit != "" {
					value, unit = v.OrigValue, v.OrigUnit
				}
				k := key{name, unit}
				values[k] = append(values[k], value)
			}
		}
	}
	if err := r.Err(); err != nil {
		return nil, fmt.Errorf("reading the benchmarks' output: %w", err)
	}
	medians := make(map[key]float64, len(values))
	for k, v := range values {
		slices.Sort(v)
		medians[k] = (v[(len(v)-1)/2] + v[len(v)/2]) / 2
	}
	return medians, nil
}

// withoutProcessors drops the "-2" that tells the number of processors.
func withoutProcessors(name string) string {
	for i := len(name) - 1; i > 0; i-- {
		if name[i] == '-' && i < len(name)-1 {
			return name[:i]
		}
		if name[i] < '0' || name[i] > '9' {
			break
		}
	}
	return name
}
