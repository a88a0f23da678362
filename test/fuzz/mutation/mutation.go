// Package mutation gives a fuzz target a fixed budget: mutated copies of its seeds,
// the same ones in each run, so that no input is in a run by chance. Keys that a target
// itself makes still differ. The package must not know what is fuzzed. The random search
// is `go test -fuzz`, which it leaves alone.
package mutation

import (
	"flag"
	"fmt"
	"hash/fnv"
	"math/rand/v2"
	"os"
	"path/filepath"
	"strconv"
	"testing"
)

// Inputs is the environment variable that says how many mutated inputs each target
// gets; none when it is not set.
const Inputs = "RELAYKEEP_FUZZ_INPUTS"

// F is a fuzz target that remembers its seeds.
type F struct {
	*testing.F
	seeds [][]any
}

// Of wraps a target's F. Use the result in its place.
func Of(f *testing.F) *F { return &F{F: f} }

// Add adds a seed.
func (f *F) Add(args ...any) {
	f.seeds = append(f.seeds, args)
	f.F.Add(args...)
}

// Fuzz runs the target on its seeds, on the inputs below testdata/fuzz, and on as many
// mutated copies of both as Inputs says. With -fuzz it searches as usual.
func (f *F) Fuzz(target any) {
	n, err := budget()
	if err != nil {
		f.Fatal(err)
	}
	if n > 0 {
		kept, err := readCorpus(filepath.Join("testdata", "fuzz", f.Name()))
		if err != nil {
			f.Fatal(err)
		}
		for _, args := range mutants(f.Name(), append(f.seeds, kept...), n) {
			f.F.Add(args...)
		}
	}
	f.F.Fuzz(target)
}

// budget is how many mutated inputs a target gets in this run.
func budget() (int, error) {
	text := os.Getenv(Inputs)
	if search := flag.Lookup("test.fuzz"); text == "" || search != nil && search.Value.String() != "" {
		return 0, nil
	}
	n, err := strconv.Atoi(text)
	if err != nil || n < 0 {
		return 0, fmt.Errorf("%s is %q, want a number of inputs", Inputs, text)
	}
	return n, nil
}

// mutants returns n mutated copies of seeds, always the same for the same name and
// seeds.
func mutants(name string, seeds [][]any, n int) [][]any {
	if len(seeds) == 0 {
		return nil
	}
	h := fnv.New64a()
	_, _ = h.Write([]byte(name))
	m := mutator{rand.New(rand.NewPCG(h.Sum64(), 1))}
	all := make([][]any, 0, n)
	for range n {
		args := append([]any{}, seeds[m.IntN(len(seeds))]...)
		donor := seeds[m.IntN(len(seeds))]
		for range 1 + m.IntN(3) {
			i := m.IntN(len(args))
			args[i] = m.value(args[i], donor[i])
		}
		all = append(all, args)
	}
	return all
}
