// Package report shows a person who watches what is being done, how long it has taken
// so far, and what proves that it is done. It must not know what the steps are.
package report

import (
	"context"
	"fmt"
	"io"
	"strings"
	"sync"
	"time"
)

// quiet is how long a step may take before the reporter says that it is still at
// it, and how long between two such lines.
const quiet = 15 * time.Second

// Reporter prints steps to a writer, one at a time.
type Reporter struct {
	now  func() time.Time
	tick time.Duration

	mu     sync.Mutex // guards the following fields
	out    io.Writer
	detail string
}

// New returns a reporter that prints to out.
func New(out io.Writer) *Reporter {
	return &Reporter{out: out, now: time.Now, tick: quiet}
}

// Step does one step and prints how it ended: a check mark, what was done, and the
// evidence, or a cross. While it lasts, a line now and then says so. The error is
// the step's own, with its title before it.
func (r *Reporter) Step(ctx context.Context, title string, do func(ctx context.Context) (evidence string, err error)) error {
	start := r.now()
	r.setDetail("")
	stop := r.watch(title, start)
	evidence, err := do(ctx)
	stop()
	took := r.now().Sub(start).Round(100 * time.Millisecond)
	r.mu.Lock()
	defer r.mu.Unlock()
	if err != nil {
		_, _ = fmt.Fprintf(r.out, "✗ %s (%s)\n", title, took)
		return fmt.Errorf("%s: %w", title, err)
	}
	_, _ = fmt.Fprintf(r.out, "✓ %s (%s)\n%s", title, took, indent(evidence))
	return nil
}

// Detail says how far the present step is; the next progress line shows it. It
// fits as the target of a program's output: only the last line of it counts.
func (r *Reporter) Detail(line string) { r.setDetail(strings.TrimSpace(line)) }

// Section prints a heading.
func (r *Reporter) Section(title string) {
	r.mu.Lock()
	defer r.mu.Unlock()
	_, _ = fmt.Fprintf(r.out, "\n%s\n", title)
}

// Print prints text as it is, followed by a line feed.
func (r *Reporter) Print(text string) {
	r.mu.Lock()
	defer r.mu.Unlock()
	_, _ = fmt.Fprintln(r.out, text)
}

func (r *Reporter) setDetail(line string) {
	r.mu.Lock()
	defer r.mu.Unlock()
	r.detail = line
}

// watch prints a line at each tick until the function that it returns is called.
func (r *Reporter) watch(title string, start time.Time) (stop func()) {
	done := make(chan struct{})
	var ended sync.WaitGroup
	ended.Go(func() {
		tick := time.NewTicker(r.tick)
		defer tick.Stop()
		for {
			select {
			case <-done:
				return
			case <-tick.C:
				r.progress(title, start)
			}
		}
	})
	return func() {
		close(done)
		ended.Wait()
	}
}

func (r *Reporter) progress(title string, start time.Time) {
	r.mu.Lock()
	defer r.mu.Unlock()
	line := fmt.Sprintf("… %s, %s", title, r.now().Sub(start).Round(time.Second))
	if r.detail != "" {
		line += ": " + r.detail
	}
	_, _ = fmt.Fprintln(r.out, line)
}

// indent puts evidence below its step.
func indent(evidence string) string {
	evidence = strings.TrimRight(evidence, "\n")
	if evidence == "" {
		return ""
	}
	return "    " + strings.ReplaceAll(evidence, "\n", "\n    ") + "\n"
}
