package mutation

import (
	"os"
	"path/filepath"
	"reflect"
	"testing"
)

func TestMutants_AreTheSameInEachRunAndDifferFromTheirSeeds(t *testing.T) {
	seeds := func() [][]any {
		return [][]any{
			{[]byte("first"), "text", uint32(7), false},
			{[]byte(nil), "", uint32(0), true},
		}
	}
	once, again := mutants("FuzzX", seeds(), 500), mutants("FuzzX", seeds(), 500)
	if len(once) != 500 || !reflect.DeepEqual(once, again) {
		t.Fatalf("%d inputs, not the same twice", len(once))
	}
	if reflect.DeepEqual(once, mutants("FuzzY", seeds(), 500)) {
		t.Error("two targets get the same inputs")
	}
	original, kept := seeds(), 0
	for _, args := range once {
		for _, seed := range original {
			if reflect.DeepEqual(args, seed) {
				kept++
			}
		}
	}
	if kept > 50 {
		t.Errorf("%d of 500 are their seeds", kept)
	}
}

func TestMutants_LeaveTheirSeedsAlone(t *testing.T) {
	seed := []byte("a seed that must not change")
	mutants("FuzzX", [][]any{{seed}}, 200)
	if string(seed) != "a seed that must not change" {
		t.Errorf("the seed is %q", seed)
	}
}

func TestCorpus_IsReadAsGoWritesIt(t *testing.T) {
	folder := t.TempDir()
	text := "go test fuzz v1\n[]byte(\"\\x00a\")\nstring(\"b\\n\")\nuint32(7)\nbool(true)\n"
	if err := os.WriteFile(filepath.Join(folder, "0123"), []byte(text), 0o600); err != nil {
		t.Fatal(err)
	}
	got, err := readCorpus(folder)
	if want := [][]any{{[]byte("\x00a"), "b\n", uint32(7), true}}; err != nil || !reflect.DeepEqual(got, want) {
		t.Errorf("read %v, %v, want %v", got, err, want)
	}
	if got, err := readCorpus(filepath.Join(folder, "none")); err != nil || got != nil {
		t.Errorf("without a folder: %v, %v", got, err)
	}
}

func TestCorpus_DamagedIsAnError(t *testing.T) {
	for _, text := range []string{"", "go test fuzz v2\nstring(\"a\")\n", "go test fuzz v1\nstring(\"a\n", "go test fuzz v1\n7\n", "go test fuzz v1\nfloat64(1)\n"} {
		if args, err := parseInput(text); err == nil {
			t.Errorf("%q is read as %v", text, args)
		}
	}
}

// FuzzCounts is a target of this package's own.
func FuzzCounts(tf *testing.F) {
	tf.Setenv(Inputs, "300")
	f, ran := Of(tf), 0
	f.Add("a", []byte("b"))
	defer func() {
		if ran < 301 {
			tf.Errorf("%d inputs ran, want 301", ran)
		}
	}()
	f.Fuzz(func(*testing.T, string, []byte) { ran++ })
}
