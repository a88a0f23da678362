//go:build e2e

package e2e

import (
	"context"
	"crypto/rand"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net"
	"net/http"
	"strings"
	"sync"
	"syscall"
	"testing"
	"time"

	"github.com/relaykeep/relaykeep/relay/phone"
	"github.com/relaykeep/relaykeep/test/customers"
	"github.com/relaykeep/relaykeep/test/lab"
)

// load has a business and its customers write all the time, and counts what becomes of the business's requests.
type load struct {
	t        *testing.T
	people   []*customers.Client
	business phone.Number
	known    lab.Credentials
	mark     string
	done     chan struct{}
	workers  sync.WaitGroup

	mu       sync.Mutex // guards the following fields
	now      *tally
	accepted map[string]message // by text
	written  []string           // texts of the customers
}

// message is one that the relay accepted.
type message struct {
	id string
	to int // which of the customers
}

// tally counts the requests of a while.
type tally struct {
	under sync.WaitGroup // requests that were begun in this while

	mu                     sync.Mutex // guards the following fields
	answered, refused, cut int
	what                   map[string]int // how those that were not answered ended
	first                  time.Time      // when the first was answered
}

func (c *tally) String() string {
	c.mu.Lock()
	defer c.mu.Unlock()
	return fmt.Sprintf("%d requests answered, %d refused, %d cut %v", c.answered, c.refused, c.cut, c.what)
}

// startLoad starts writing: messages with an Idempotency-Key on connections that are kept, and requests on a fresh
// connection each.
func startLoad(t *testing.T, people []*customers.Client, business phone.Number, known lab.Credentials, kept, fresh *http.Client) *load {
	t.Helper()
	l := &load{
		t: t, people: people, business: business, known: known, mark: rand.Text()[:6], done: make(chan struct{}),
		now: newTally(), accepted: map[string]message{},
	}
	for i := range people {
		c := kept
		if i%2 == 0 {
			c = fresh
		}
		l.workers.Go(func() { l.writeTo(i, c) })
		l.workers.Go(func() { l.writeFrom(i) })
	}
	for range 2 {
		l.workers.Go(func() { l.ask(fresh) })
	}
	t.Cleanup(l.stop)
	return l
}

func newTally() *tally { return &tally{what: map[string]int{}} }

// stop ends the load once what is under way is answered.
func (l *load) stop() {
	l.mu.Lock()
	select {
	case <-l.done:
	default:
		close(l.done)
	}
	l.mu.Unlock()
	l.workers.Wait()
}

// pause says whether the load goes on, after a while.
func (l *load) pause(d time.Duration) bool {
	wait := time.NewTimer(d)
	defer wait.Stop()
	select {
	case <-wait.C:
		return true
	case <-l.done:
		return false
	}
}

// writeFrom has a customer write.
func (l *load) writeFrom(i int) {
	for n := 0; l.pause(2 * time.Second); n++ {
		text := fmt.Sprintf("%s, customer %d writes %d", l.mark, i, n)
		if _, err := l.people[i].Send(context.Background(), l.business, text); err != nil {
			l.t.Errorf("a customer could not write: %v", err)
			return
		}
		l.mu.Lock()
		l.written = append(l.written, text)
		l.mu.Unlock()
	}
}

// writeTo has the business write to a customer: each message with one key until it is accepted.
func (l *load) writeTo(i int, c *http.Client) {
	for n := 0; l.pause(time.Second); n++ {
		text, key := fmt.Sprintf("%s, the business writes %d to customer %d", l.mark, n, i), rand.Text()
		deadline := time.Now().Add(time.Minute)
		id, err := l.request(c, http.MethodPost, "/messages", key, textTo(l.people[i], text), i%2 == 0)
		for err != nil && time.Now().Before(deadline) {
			id, err = l.request(c, http.MethodPost, "/messages", key, textTo(l.people[i], text), i%2 == 0)
		}
		if err != nil {
			l.t.Errorf("the business could not write: %v", err)
			return
		}
		l.mu.Lock()
		l.accepted[text] = message{id, i}
		l.mu.Unlock()
	}
}

// ask asks something on a fresh connection each time.
func (l *load) ask(c *http.Client) {
	for l.pause(50 * time.Millisecond) {
		_, _ = l.request(c, http.MethodGet, "", "", "", true)
	}
}

// errRefused is an answer that is not the one that was asked for.
var errRefused = errors.New("refused")

// request makes a request once, counts what became of it, and returns the id of the message that it sent.
func (l *load) request(c *http.Client, method, path, key, body string, fresh bool) (string, error) {
	l.mu.Lock()
	count := l.now
	count.under.Add(1)
	l.mu.Unlock()
	defer count.under.Done()
	id, err := l.once(c, method, path, key, body, fresh)
	count.mu.Lock()
	defer count.mu.Unlock()
	if err == nil {
		count.answered++
		if count.first.IsZero() {
			count.first = time.Now()
		}
		return id, nil
	}
	if timeout, ok := errors.AsType[net.Error](err); refused(err) || ok && timeout.Timeout() {
		count.refused++
	} else {
		count.cut++
	}
	said := err.Error()
	count.what[said[strings.LastIndex(said, ": ")+1:]]++
	return "", err
}

// refused tells a request that was turned away from one whose connection was cut.
func refused(err error) bool {
	if errors.Is(err, errRefused) || errors.Is(err, syscall.ECONNREFUSED) {
		return true
	}
	op, ok := errors.AsType[*net.OpError](err)
	return ok && op.Op == "dial"
}

func (l *load) once(c *http.Client, method, path, key, body string, fresh bool) (string, error) {
	req, err := http.NewRequestWithContext(context.Background(), method, l.known.Endpoint+"/v23.0/"+l.known.PhoneNumberID+path, strings.NewReader(body))
	if err != nil {
		return "", err
	}
	req.Header.Set("Authorization", "Bearer "+l.known.AccessToken)
	req.Close = fresh
	if key != "" {
		req.Header.Set("Content-Type", "application/json")
		req.Header.Set("Idempotency-Key", key)
	}
	res, err := c.Do(req)
	if err != nil {
		return "", err
	}
	defer func() { _ = res.Body.Close() }()
	data, err := io.ReadAll(io.LimitReader(res.Body, 1<<20))
	if err != nil {
		return "", err
	}
	var got answered
	if err := json.Unmarshal(data, &got); err != nil || res.StatusCode != http.StatusOK || key != "" && len(got.Messages) != 1 {
		return "", fmt.Errorf("%w: %s", errRefused, res.Status)
	}
	if key == "" {
		return "", nil
	}
	return got.Messages[0].ID, nil
}

// begin begins another while, and returns the former once its requests have ended.
func (l *load) begin() *tally {
	l.mu.Lock()
	former := l.now
	l.now = newTally()
	l.mu.Unlock()
	former.under.Wait()
	return former
}

// refusedNothing wants every request of the while that began last to be answered, or its connection to be cut at the
// switch to another holder.
func (l *load) refusedNothing(t *testing.T, took time.Duration) {
	t.Helper()
	count := l.begin()
	t.Logf("%s in %s", count, took.Round(time.Millisecond))
	if count.refused > 0 || count.answered == 0 {
		t.Error("requests were refused")
	}
}

// answeredAgain fails until a request that was begun in this while was answered.
func (l *load) answeredAgain() error {
	l.mu.Lock()
	count := l.now
	l.mu.Unlock()
	count.mu.Lock()
	defer count.mu.Unlock()
	if count.first.IsZero() {
		return errors.New("no request was answered")
	}
	return nil
}

// takeover returns how long after an event the first request was answered, and what became of the others.
func (l *load) takeover(since time.Time) (time.Duration, string) {
	count := l.begin()
	return count.first.Sub(since), count.String()
}
