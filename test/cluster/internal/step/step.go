// Package step runs a set of steps that depend on each other, as many at once as the dependencies allow, and says how far it is. It
// knows nothing of what the steps do: each one makes something so, whatever was so before, and therefore may be cut short at any
// moment and run again.
package step

import (
	"context"
	"errors"
	"fmt"
	"io"
	"strings"
	"sync"
	"time"
)

// Step is one thing to make so.
type Step struct {
	// Name says what, in a few words. Other steps refer to it by this.
	Name string
	// After are the steps that must have ended well before this one starts.
	After []string
	// Limit is how long it may take, a minute when zero.
	Limit time.Duration
	// Ensure makes it so and returns, in a word or two, what it had to do for that.
	Ensure func(ctx context.Context) (did string, err error)
}

// defaultLimit is how long a step may take that does not say so itself.
const defaultLimit = time.Minute

// waitingEvery is how often a line says what is being waited for.
const waitingEvery = 10 * time.Second

// Run runs all steps and reports to w, a line for each that ends and one now and then for what takes long. When a step fails the
// others are cut short and the first failure is returned.
func Run(ctx context.Context, w io.Writer, steps []Step) error {
	if err := check(steps); err != nil {
		return err
	}
	ctx, cancel := context.WithCancelCause(ctx)
	defer cancel(nil)
	r := &run{out: w, start: time.Now(), total: len(steps), running: make(map[string]time.Time)}
	done := make(map[string]chan struct{}, len(steps))
	for _, s := range steps {
		done[s.Name] = make(chan struct{})
	}
	var all sync.WaitGroup
	for _, s := range steps {
		all.Go(func() {
			for _, name := range s.After {
				select {
				case <-done[name]:
				case <-ctx.Done():
					return
				}
			}
			if err := r.one(ctx, s); err != nil {
				cancel(err)
				return
			}
			close(done[s.Name])
		})
	}
	stop := r.watch()
	all.Wait()
	stop()
	return context.Cause(ctx)
}

// check refuses steps that could never all run.
func check(steps []Step) error {
	known := make(map[string]bool, len(steps))
	for _, s := range steps {
		for _, name := range s.After {
			// Steps are listed in an order in which they could run, which rules cycles out.
			if !known[name] {
				return fmt.Errorf("step %q comes after %q, which is not listed before it", s.Name, name)
			}
		}
		if known[s.Name] {
			return fmt.Errorf("two steps are called %q", s.Name)
		}
		known[s.Name] = true
	}
	return nil
}

// run is one run's progress.
type run struct {
	start time.Time
	total int

	mu sync.Mutex
	// Guarded by mu.
	out     io.Writer
	ended   int
	running map[string]time.Time
}

func (r *run) one(ctx context.Context, s Step) error {
	if ctx.Err() != nil {
		return context.Cause(ctx)
	}
	limit := s.Limit
	if limit == 0 {
		limit = defaultLimit
	}
	r.mu.Lock()
	r.running[s.Name] = time.Now()
	r.mu.Unlock()
	own, cancel := context.WithTimeoutCause(ctx, limit, fmt.Errorf("not done within %s", limit))
	defer cancel()
	did, err := s.Ensure(own)
	r.mu.Lock()
	defer r.mu.Unlock()
	delete(r.running, s.Name)
	if err != nil {
		if cause := context.Cause(own); cause != nil && errors.Is(err, own.Err()) {
			err = fmt.Errorf("%w: %w", cause, err)
		}
		return fmt.Errorf("%s: %w", s.Name, err)
	}
	r.ended++
	fmt.Fprintf(r.out, "[%2d/%d] %5.1f s  %s: %s\n", r.ended, r.total, time.Since(r.start).Seconds(), s.Name, did)
	return nil
}

// watch says now and then what is being waited for, until the returned function is called.
func (r *run) watch() (stop func()) {
	ticker := time.NewTicker(waitingEvery)
	end, ended := make(chan struct{}), make(chan struct{})
	go func() {
		defer close(ended)
		for {
			select {
			case <-ticker.C:
				r.waiting()
			case <-end:
				return
			}
		}
	}()
	return func() {
		ticker.Stop()
		close(end)
		<-ended
	}
}

func (r *run) waiting() {
	r.mu.Lock()
	defer r.mu.Unlock()
	var names []string
	for name, since := range r.running {
		names = append(names, fmt.Sprintf("%s (%d s)", name, int(time.Since(since).Seconds())))
	}
	if len(names) > 0 {
		fmt.Fprintf(r.out, "[%2d/%d] %5.1f s  waiting for %s\n", r.ended, r.total, time.Since(r.start).Seconds(), strings.Join(names, ", "))
	}
}
