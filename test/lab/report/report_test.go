package report

import (
	"context"
	"errors"
	"strings"
	"testing"
	"testing/synctest"
	"time"
)

func TestStepPrintsItsEvidenceBelowIt(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		var out strings.Builder
		err := New(&out).Step(t.Context(), "two nodes", func(context.Context) (string, error) {
			time.Sleep(1200 * time.Millisecond)
			return "na-1 Ready\neu-1 Ready\n", nil
		})
		if err != nil {
			t.Fatal(err)
		}
		const want = "✓ two nodes (1.2s)\n    na-1 Ready\n    eu-1 Ready\n"
		if out.String() != want {
			t.Errorf("got %q, want %q", out.String(), want)
		}
	})
}

func TestFailedStepIsMarkedAndItsErrorNamesIt(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		var out strings.Builder
		cause := errors.New("no route")
		err := New(&out).Step(t.Context(), "two nodes", func(context.Context) (string, error) { return "half", cause })
		if !errors.Is(err, cause) || err.Error() != "two nodes: no route" {
			t.Errorf("got %v", err)
		}
		if out.String() != "✗ two nodes (0s)\n" {
			t.Errorf("got %q", out.String())
		}
	})
}

func TestLongStepSaysThatItIsStillAtIt(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		var out strings.Builder
		r := New(&out)
		err := r.Step(t.Context(), "building", func(context.Context) (string, error) {
			time.Sleep(20 * time.Second)
			r.Detail(" 7 of 9 \n")
			time.Sleep(20 * time.Second)
			return "", nil
		})
		if err != nil {
			t.Fatal(err)
		}
		const want = "… building, 15s\n… building, 30s: 7 of 9\n✓ building (40s)\n"
		if out.String() != want {
			t.Errorf("got %q, want %q", out.String(), want)
		}
	})
}

func TestDetailOfOneStepDoesNotShowInTheNext(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		var out strings.Builder
		r := New(&out)
		for range 2 {
			err := r.Step(t.Context(), "step", func(context.Context) (string, error) {
				time.Sleep(16 * time.Second)
				r.Detail("old news")
				return "", nil
			})
			if err != nil {
				t.Fatal(err)
			}
		}
		if strings.Contains(out.String(), "old news") {
			t.Errorf("got %q", out.String())
		}
	})
}
