package step

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"strings"
	"sync"
	"testing"
	"testing/synctest"
	"time"
)

// world is what steps make so: a step needs what it comes after, and does nothing when its own part is there.
type world struct {
	mu sync.Mutex
	// made says how often each part was made.
	made map[string]int
	// failAt is the part whose making is cut short, none when empty.
	failAt string
}

var errCut = errors.New("cut short")

func (w *world) step(name string, after ...string) Step {
	return Step{Name: name, After: after, Ensure: func(context.Context) (string, error) {
		w.mu.Lock()
		defer w.mu.Unlock()
		for _, need := range after {
			if w.made[need] == 0 {
				return "", fmt.Errorf("%s is made before %s", name, need)
			}
		}
		if w.failAt == name {
			return "", errCut
		}
		if w.made[name] > 0 {
			return "there already", nil
		}
		w.made[name]++
		return "made", nil
	}}
}

func (w *world) steps() []Step {
	return []Step{
		w.step("network"),
		w.step("store"),
		w.step("server", "network", "store"),
		w.step("first node", "server"),
		w.step("second node", "server"),
		w.step("names", "first node", "second node"),
	}
}

func TestRunDoesEveryStepAfterThoseThatItNeeds(t *testing.T) {
	w := &world{made: make(map[string]int)}
	var out bytes.Buffer
	if err := Run(t.Context(), &out, w.steps()); err != nil {
		t.Fatal(err)
	}
	if len(w.made) != len(w.steps()) {
		t.Errorf("made %v", w.made)
	}
	if got := strings.Count(out.String(), ": made\n"); got != len(w.steps()) {
		t.Errorf("%d steps reported, want %d:\n%s", got, len(w.steps()), out.String())
	}
	if !strings.Contains(out.String(), "[ 6/6]") {
		t.Errorf("the report does not count: %s", out.String())
	}
}

func TestRunCutShortAnywhereAndRepeatedMakesEverythingOnce(t *testing.T) {
	for _, s := range (&world{}).steps() {
		w := &world{made: make(map[string]int), failAt: s.Name}
		if err := Run(t.Context(), &bytes.Buffer{}, w.steps()); !errors.Is(err, errCut) {
			t.Fatalf("cut at %q: %v", s.Name, err)
		}
		if w.made["names"] != 0 {
			t.Errorf("cut at %q, the last step was done", s.Name)
		}
		w.failAt = ""
		for range 2 {
			if err := Run(t.Context(), &bytes.Buffer{}, w.steps()); err != nil {
				t.Fatalf("again after %q: %v", s.Name, err)
			}
		}
		for name, times := range w.made {
			if times != 1 {
				t.Errorf("cut at %q: %q was made %d times", s.Name, name, times)
			}
		}
		if len(w.made) != len(w.steps()) {
			t.Errorf("cut at %q: made only %v", s.Name, w.made)
		}
	}
}

func TestRunNamesTheStepThatFailsAndEndsTheOthers(t *testing.T) {
	ended := make(chan struct{})
	err := Run(t.Context(), &bytes.Buffer{}, []Step{
		{Name: "waits", Ensure: func(ctx context.Context) (string, error) {
			<-ctx.Done()
			close(ended)
			return "", ctx.Err()
		}},
		{Name: "fails", Ensure: func(context.Context) (string, error) { return "", errCut }},
	})
	<-ended
	if !errors.Is(err, errCut) || !strings.HasPrefix(err.Error(), "fails: ") {
		t.Errorf("got %v", err)
	}
}

func TestRunEndsWithItsCaller(t *testing.T) {
	ctx, cancel := context.WithCancelCause(t.Context())
	interrupted := errors.New("interrupted")
	err := Run(ctx, &bytes.Buffer{}, []Step{{Name: "waits", Ensure: func(ctx context.Context) (string, error) {
		cancel(interrupted)
		<-ctx.Done()
		return "", ctx.Err()
	}}})
	if !errors.Is(err, interrupted) {
		t.Errorf("got %v", err)
	}
}

func TestRunGivesUpOnAStepAtItsLimitAndSaysWhatItWaitsFor(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		var out bytes.Buffer
		err := Run(t.Context(), &out, []Step{{
			Name: "server", Limit: 25 * time.Second,
			Ensure: func(ctx context.Context) (string, error) {
				<-ctx.Done()
				return "", fmt.Errorf("asking: %w", ctx.Err())
			},
		}})
		if err == nil || !strings.HasPrefix(err.Error(), "server: not done within 25s: asking: ") {
			t.Errorf("got %v", err)
		}
		if got := strings.Count(out.String(), "waiting for server"); got != 2 {
			t.Errorf("said %d times what it waits for:\n%s", got, out.String())
		}
	})
}

func TestRunRefusesStepsThatCouldNeverRun(t *testing.T) {
	nothing := func(context.Context) (string, error) { return "", nil }
	for name, steps := range map[string][]Step{
		"comes after": {{Name: "a", After: []string{"b"}, Ensure: nothing}, {Name: "b", After: []string{"a"}, Ensure: nothing}},
		"are called":  {{Name: "a", Ensure: nothing}, {Name: "a", Ensure: nothing}},
	} {
		if err := Run(t.Context(), &bytes.Buffer{}, steps); err == nil || !strings.Contains(err.Error(), name) {
			t.Errorf("got %v, want one that says %q", err, name)
		}
	}
}
