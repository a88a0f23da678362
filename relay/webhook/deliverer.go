package webhook

import (
	"cmp"
	"context"
	"errors"
	"log/slog"
	"math/rand/v2"
	"sync"
	"time"

	"github.com/cenkalti/backoff/v5"
	"golang.org/x/sync/semaphore"

	"github.com/relaykeep/relaykeep/relay/queue"
)

// How deliveries are tried.
const (
	// concurrency is how many requests of one update are in flight at once.
	concurrency = 16
	// giveUp is the longest time for which a delivery is retried.
	giveUp = 7 * 24 * time.Hour
	// failing is after how many failures in a row the receiver counts as down.
	failing = 3
	// probeEvery is the least time between two probes.
	probeEvery = 10 * time.Second
	// firstProbe and lastProbe bound the back-off of handshakes.
	firstProbe = time.Second
	lastProbe  = 30 * time.Second
)

// TimeEnded is why a delivery is given up when nothing is known of its receiver, or that it takes others: nobody tried
// it before its time ended, because the relay was stopped.
const TimeEnded = "its time ended while it waited"

// deliveryPauses is how long to wait after each failed attempt: the first retry is made at
// once. The last entry is repeated.
func deliveryPauses() [7]time.Duration {
	return [...]time.Duration{
		0, 5 * time.Second, 15 * time.Second, time.Minute, 5 * time.Minute, 15 * time.Minute, time.Hour,
	}
}

// Outcome is what became of an attempt, for metrics.
type Outcome string

// The outcomes of an attempt.
const (
	Taken    Outcome = "taken"
	Refused  Outcome = "refused"
	Dead     Outcome = "dead" // not accepted in time: it is a dead letter now
	Deferred Outcome = "deferred"
)

// Outcomes lists all outcomes of an attempt.
func Outcomes() []Outcome { return []Outcome{Taken, Refused, Dead, Deferred} }

// Options say how a Deliverer works. Receiver, Finish, Bury and Recovered are required.
type Options struct {
	Receiver Receiver
	// Finish removes jobs from the queue for good, all or none.
	Finish func(ctx context.Context, jobs ...queue.Job) error
	// Bury makes a job a dead letter, after so many attempts, for a reason in the relay's own words, which is
	// never empty.
	Bury func(ctx context.Context, job queue.Job, attempts int, failure string) error
	// TriedFor is for how long a delivery is tried, if that is less than for the business's own.
	TriedFor time.Duration
	// Recovered is called when waiting deliveries should be attempted at once.
	Recovered func()
	// Encrypt returns what it is given as a JWE for the business. With it, no payload is sent
	// that it did not encrypt; nil sends payloads as they are.
	Encrypt func(plain []byte) (jwe string, err error)
	// MaxUpdates is how many jobs go in one request at most; 0 for one, at most MaxUpdates.
	MaxUpdates int
	// Retention is how long anything may be kept, and so how long deliveries are tried.
	Retention time.Duration
	// Recheck is how often Receiver.Own is read to see whether it changed; 0 for every ten seconds.
	Recheck time.Duration
	Now     func() time.Time
	Log     *slog.Logger
	Observe func(o Outcome, took time.Duration)
	// Answered is told how the receiver answered each handshake and each request that delivers.
	Answered func(Request, Answer)
}

// Deliverer delivers webhooks to one receiver. It is safe for concurrent use.
type Deliverer struct {
	o      Options
	client *client
	turns  *semaphore.Weighted // of requests
	probe  chan struct{}
	// markKey keys the marks of the receiver's own credentials.
	markKey []byte

	mu sync.Mutex // guards the following fields
	// verified says that the last handshake succeeded: without it nothing is sent.
	verified bool
	failures int   // in a row
	last     error // why the last handshake or delivery failed
	once     bool  // a handshake was made at all
	probed   time.Time
	former   bool   // the receiver has the former credentials
	shown    []byte // the mark of the receiver's own credentials in the last handshake; nil for none
}

// New returns a Deliverer. Nothing is sent before Run has verified the receiver.
func New(o Options) (*Deliverer, error) {
	c, err := newClient(o.Receiver)
	if err != nil {
		return nil, err
	}
	if o.Now == nil {
		o.Now = time.Now
	}
	if o.Log == nil {
		o.Log = slog.New(slog.DiscardHandler)
	}
	if o.Observe == nil {
		o.Observe = func(Outcome, time.Duration) {}
	}
	if o.Answered == nil {
		o.Answered = func(Request, Answer) {}
	}
	o.MaxUpdates = min(max(1, o.MaxUpdates), MaxUpdates)
	if o.Recheck == 0 {
		o.Recheck = recheckEvery
	}
	return &Deliverer{o: o, client: c, turns: semaphore.NewWeighted(int64(requests(o.MaxUpdates))), probe: make(chan struct{}, 1), markKey: newMarkKey()}, nil
}

// Verified says whether deliveries may be made; it is a queue's Open.
func (d *Deliverer) Verified() bool {
	d.mu.Lock()
	defer d.mu.Unlock()
	return d.verified
}

// Run makes the handshake until the receiver is verified, and again whenever
// deliveries fail in a row or the receiver's own credentials change, until ctx ends.
func (d *Deliverer) Run(ctx context.Context) error {
	defer d.client.http.CloseIdleConnections()
	for {
		d.untilVerified(ctx)
		if err := d.watch(ctx); err != nil {
			return err
		}
	}
}

// untilVerified makes handshakes with back-off until one succeeds. If it took more than one,
// the receiver was down, and waiting deliveries are due at once.
func (d *Deliverer) untilVerified(ctx context.Context) {
	pauses := backoff.NewExponentialBackOff()
	pauses.InitialInterval, pauses.MaxInterval, pauses.Multiplier = firstProbe, lastProbe, 2
	_, _ = backoff.Retry(ctx, func() (struct{}, error) {
		err := d.verify(ctx)
		if ctx.Err() == nil {
			d.o.Answered(Handshake, answerOf(err))
			if d.handshake(err) {
				d.o.Recovered()
			}
		}
		return struct{}{}, err
	}, backoff.WithBackOff(pauses), backoff.WithMaxElapsedTime(0)) // an error is ctx's
}

// handshake makes a handshake, records its result and says whether deliveries may resume.
func (d *Deliverer) handshake(err error) (recovered bool) {
	d.mu.Lock()
	defer d.mu.Unlock()
	recovered = err == nil && !d.verified
	if was := d.verified; was != (err == nil) || !d.once {
		d.o.Log.LogAttrs(context.Background(), slog.LevelInfo, "webhook handshake",
			slog.Bool("verified", err == nil), slog.Any("error", err))
	}
	d.once, d.verified, d.probed = true, err == nil, d.o.Now()
	switch {
	case err != nil:
		d.last = err
	case recovered:
		d.failures, d.last = 0, nil
	}
	return recovered
}

// Work delivers jobs; it is a queue's BatchWorker.
func (d *Deliverer) Work(ctx context.Context, jobs []queue.Job) []queue.Result {
	results, open := make([]queue.Result, len(jobs)), []int{}
	for i, job := range jobs {
		switch {
		case d.o.Now().Sub(job.Created) > d.triedFor():
			results[i] = d.bury(ctx, job, job.Attempts, cmp.Or(d.Failure(), TimeEnded))
		case !d.Verified():
			d.o.Observe(Deferred, 0)
			results[i] = queue.Later(firstProbe) // Recovered makes it due
		default:
			open = append(open, i)
		}
	}
	for _, i := range open {
		results[i] = queue.Retry(lastProbe)
	}
	for _, p := range d.parcels(jobs, open) {
		d.deliver(ctx, jobs, p, results)
	}
	return results
}

// deliver sends one request and notes what becomes of its jobs.
func (d *Deliverer) deliver(ctx context.Context, jobs []queue.Job, p parcel, results []queue.Result) {
	note := func(res queue.Result) {
		for _, i := range p.jobs {
			results[i] = res
		}
	}
	if d.turns.Acquire(ctx, 1) != nil {
		note(queue.Later(0))
		return
	}
	if !d.Verified() { // no longer
		d.turns.Release(1)
		d.o.Observe(Deferred, 0)
		note(queue.Later(firstProbe))
		return
	}
	start := d.o.Now()
	err := d.send(ctx, p.payload)
	d.turns.Release(1)
	if errors.Is(err, context.Canceled) && ctx.Err() != nil {
		note(queue.Later(0)) // we are stopping; the receiver did nothing wrong
		return
	}
	d.delivered(err)
	d.o.Answered(Delivery, answerOf(err))
	if err == nil {
		d.o.Observe(Taken, d.o.Now().Sub(start))
		note(d.finish(ctx, jobs, p.jobs))
		return
	}
	d.o.Observe(Refused, d.o.Now().Sub(start))
	attempts := jobs[p.jobs[0]].Attempts
	for _, i := range p.jobs {
		attempts = min(attempts, jobs[i].Attempts)
	}
	wait := retryAfter(attempts) // the same for all, so that they are tried again together
	note(queue.Retry(wait))
	for _, i := range p.jobs {
		if start.Add(wait).Sub(jobs[i].Created) > d.triedFor() {
			results[i] = d.bury(ctx, jobs[i], jobs[i].Attempts+1, err.Error())
		}
	}
}

// triedFor is for how long a delivery is tried.
func (d *Deliverer) triedFor() time.Duration {
	most := TriedFor(d.o.Retention)
	if d.o.TriedFor > 0 {
		most = min(most, d.o.TriedFor)
	}
	return most
}

// Failure says why the last handshake or delivery failed; empty if it did not.
func (d *Deliverer) Failure() string {
	d.mu.Lock()
	defer d.mu.Unlock()
	if d.last == nil {
		return ""
	}
	return d.last.Error()
}

// bury makes a job a dead letter.
func (d *Deliverer) bury(ctx context.Context, job queue.Job, attempts int, failure string) queue.Result {
	if err := d.o.Bury(ctx, job, attempts, failure); err != nil {
		d.o.Log.LogAttrs(ctx, slog.LevelWarn, "making a webhook a dead letter failed", slog.Any("error", err))
		return queue.Later(lastProbe)
	}
	d.o.Observe(Dead, 0)
	d.o.Log.LogAttrs(ctx, slog.LevelWarn, "a webhook was given up: the receiver did not accept it in time",
		slog.Int("attempts", attempts))
	return queue.Done()
}

// send posts a payload, encrypted if the business has a key. It encrypts at each attempt: the key may
// have changed since the job was stored.
func (d *Deliverer) send(ctx context.Context, payload []byte) (err error) {
	if d.o.Encrypt != nil {
		if payload, err = encryptPayload(payload, d.o.Encrypt); err != nil {
			return err
		}
	}
	return d.post(ctx, payload)
}

// finish removes jobs. When that fails they are delivered again: at least once.
func (d *Deliverer) finish(ctx context.Context, jobs []queue.Job, places []int) queue.Result {
	done := make([]queue.Job, len(places))
	for i, place := range places {
		done[i] = jobs[place]
	}
	if err := d.o.Finish(ctx, done...); err != nil {
		d.o.Log.LogAttrs(ctx, slog.LevelWarn, "removing delivered webhooks failed", slog.Any("error", err))
		return queue.Retry(firstProbe)
	}
	return queue.Done()
}

// delivered notes the result of a delivery.
func (d *Deliverer) delivered(err error) {
	d.mu.Lock()
	defer d.mu.Unlock()
	if err == nil {
		if d.failures >= failing {
			defer d.o.Recovered()
		}
		d.failures, d.last = 0, nil
		return
	}
	d.failures++
	d.last = err
	if d.failures >= failing && d.o.Now().Sub(d.probed) > probeEvery {
		select {
		case d.probe <- struct{}{}:
		default:
		}
	}
}

// answerOf classifies the error of a handshake or of a delivery.
func answerOf(err error) Answer {
	var status StatusError
	credentials := (*CredentialsError)(nil)
	switch {
	case err == nil:
		return Accepted
	case errors.As(err, &status):
		return answerOfStatus(int(status))
	case errors.Is(err, ErrChallenge):
		return NoChallenge
	case errors.Is(err, ErrUntrusted):
		return Untrusted
	case errors.As(err, &credentials):
		return NotAsked
	case errors.Is(err, ErrNotEncrypted), errors.Is(err, ErrNotPayload):
		return NotEncrypted
	}
	return Unreachable
}

// retryAfter is the back-off after an attempt that followed so many failed ones.
func retryAfter(attempts int) time.Duration {
	waits := deliveryPauses()
	return jitter(waits[min(max(attempts, 0), len(waits)-1)])
}

// jitter spreads a wait by a fifth to both sides.
func jitter(d time.Duration) time.Duration {
	return time.Duration(float64(d) * (0.8 + 0.4*rand.Float64()))
}
