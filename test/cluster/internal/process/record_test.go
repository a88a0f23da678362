package process

import (
	"errors"
	"io/fs"
	"os"
	"os/exec"
	"path/filepath"
	"strconv"
	"strings"
	"testing"
)

func stat(name, state, started string) []byte {
	fields := []string{"4711", "(" + name + ")", state}
	for i := 4; i < 22; i++ {
		fields = append(fields, strconv.Itoa(i))
	}
	return []byte(strings.Join(append(fields, started, "23", "24"), " ") + "\n")
}

func TestParseStatFindsTheStartTimeBehindAnyName(t *testing.T) {
	for _, name := range []string{"etcd", "a b", "a) S 1 (b", ")", "((", ""} {
		got, err := parseStat(stat(name, "S", "123456"))
		if err != nil || got != 123456 {
			t.Errorf("%q: got %d, %v", name, got, err)
		}
	}
}

func TestParseStatTakesAZombieForGone(t *testing.T) {
	for _, state := range []string{"Z", "X"} {
		if _, err := parseStat(stat("etcd", state, "1")); !errors.Is(err, errGone) {
			t.Errorf("state %s: got %v", state, err)
		}
	}
}

func TestParseStatRefusesWhatIsNoStatus(t *testing.T) {
	for _, content := range []string{"", "4711", "4711 (etcd", "4711 (etcd) S 1 2 3", string(stat("etcd", "S", "-1"))} {
		if got, err := parseStat([]byte(content)); err == nil {
			t.Errorf("%q: got %d", content, got)
		}
	}
}

func FuzzParseStat(f *testing.F) {
	f.Add(stat("etcd", "S", "123456"))
	f.Add([]byte("1 (a) b)"))
	f.Fuzz(func(t *testing.T, content []byte) {
		started, err := parseStat(content)
		if err == nil && !strings.Contains(string(content), strconv.FormatUint(started, 10)) && started != 0 {
			// Leading zeros and signs are the only other way of writing a number.
			if !strings.ContainsAny(string(content), "0+_") {
				t.Errorf("%d is not in %q", started, content)
			}
		}
	})
}

func TestRecord_OfThisProcessIsAlive(t *testing.T) {
	r, err := self("test", "f")
	if err != nil {
		t.Fatal(err)
	}
	if !r.Alive() {
		t.Errorf("%+v is not alive", r)
	}
}

func TestRecord_OfAnotherStartOrBootIsNotAlive(t *testing.T) {
	r, err := self("test", "f")
	if err != nil {
		t.Fatal(err)
	}
	reused := r
	reused.Started--
	rebooted := r
	rebooted.Boot = "00000000-0000-0000-0000-000000000000"
	everything := r
	everything.PID = 1
	for _, other := range []Record{reused, rebooted, everything, {}, {PID: -1, Boot: r.Boot}} {
		if other.Alive() {
			t.Errorf("%+v is alive", other)
		}
	}
}

func TestProcess_EndedIsNotAlive(t *testing.T) {
	cmd := exec.Command("sleep", "60")
	if err := cmd.Start(); err != nil {
		t.Fatal(err)
	}
	r := recordOf(t, cmd.Process.Pid)
	if !r.Alive() {
		t.Fatal("it is not alive while it runs")
	}
	if err := cmd.Process.Kill(); err != nil {
		t.Fatal(err)
	}
	_ = cmd.Wait()
	if r.Alive() {
		t.Error("it is alive after its end")
	}
}

// recordOf is the record of a process that the test started.
func recordOf(t *testing.T, pid int) Record {
	t.Helper()
	started, err := startTime(pid)
	if err != nil {
		t.Fatal(err)
	}
	boot, err := bootID()
	if err != nil {
		t.Fatal(err)
	}
	return Record{Name: "test", PID: pid, Started: started, Boot: boot}
}

func TestRecord_SurvivesWritingAndReading(t *testing.T) {
	path := filepath.Join(t.TempDir(), "r.json")
	want := Record{Name: "etcd", PID: 4711, Started: 1 << 60, Boot: "b", Fingerprint: "f"}
	if err := writeJSON(path, want); err != nil {
		t.Fatal(err)
	}
	if got, err := readRecord(path); err != nil || got != want {
		t.Errorf("got %+v, %v", got, err)
	}
}

func TestRecord_IncompleteIsNone(t *testing.T) {
	path := filepath.Join(t.TempDir(), "r.json")
	for _, content := range []string{"", "{", `{"pid":"x"}`, "\x00"} {
		if err := os.WriteFile(path, []byte(content), 0o600); err != nil {
			t.Fatal(err)
		}
		if _, err := readRecord(path); !errors.Is(err, fs.ErrNotExist) {
			t.Errorf("%q: got %v", content, err)
		}
	}
}
