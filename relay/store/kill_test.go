package store_test

import (
	"bufio"
	"context"
	"encoding/json"
	"fmt"
	"os"
	"os/exec"
	"slices"
	"strconv"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/relaykeep/relaykeep/relay/phone"
	"github.com/relaykeep/relaykeep/relay/seal"
	"github.com/relaykeep/relaykeep/relay/store"
	"github.com/relaykeep/relaykeep/test/services/postgres"
)

// killed has a process write to a store until it is killed. It is a toKill in JSON.
const killed = "RELAYKEEP_TEST_KILLED"

// toKill says where such a process has its store, and whether content is in its memory only.
type toKill struct {
	Dir      string
	Server   *postgres.Database // nil: it is in Dir
	InMemory bool
	First    int // number that is written
}

func (k toKill) open(ctx context.Context) (*store.Store, error) {
	var opts []store.Option
	if k.InMemory {
		opts = append(opts, inMemory())
	}
	w := world{server: k.Server}
	return store.Open(ctx, k.Dir, [16]byte{4}, seal.New(fixed{}, 24*time.Hour, time.Now), w.options(opts...)...)
}

// put writes a message, its job and a setting of a number.
func (k toKill) put(tx *store.Tx, n int, from phone.Number) error {
	c, err := tx.Customer(from)
	if err != nil {
		c = store.Customer{Number: from}
		if err := tx.PutCustomer(&c); err != nil {
			return err
		}
	}
	id, body := strconv.Itoa(n), []byte(fmt.Sprintf("%d:content of %d", n, n))
	if err := tx.PutMessage(store.Message{
		ID: id, Direction: store.Inbound, Customer: c.ID, Type: "text", Body: body, State: "received", Created: time.Now(),
	}); err != nil {
		return err
	}
	if _, err := tx.Enqueue(store.Job{Queue: "q", Customer: c.ID, Message: id, NotBefore: time.Now(), Body: body}); err != nil {
		return err
	}
	return tx.PutSetting(id, []byte(id))
}

// writeUntilKilled is the process: many write at once, and each number is printed only once it was acknowledged.
func writeUntilKilled(ctx context.Context, where string) (code int) {
	var k toKill
	var s *store.Store
	from, err := phone.Parse("+15551234567")
	if err == nil {
		err = json.Unmarshal([]byte(where), &k)
	}
	if err == nil {
		s, err = k.open(ctx)
	}
	if err != nil {
		fmt.Fprintln(os.Stderr, err)
		return 1
	}
	var printing sync.Mutex
	var group sync.WaitGroup
	for writer := range 8 {
		group.Go(func() {
			for n := k.First + writer; ; n += 8 {
				if err := s.Update(ctx, func(tx *store.Tx) error { return k.put(tx, n, from) }); err != nil {
					fmt.Fprintln(os.Stderr, err)
					os.Exit(1)
				}
				printing.Lock()
				fmt.Fprintln(os.Stdout, n)
				printing.Unlock()
			}
		})
	}
	group.Wait()
	return 0
}

// killAfter runs such a process, kills it once it has printed so many numbers, and returns all that it printed.
func (k toKill) killAfter(t *testing.T, numbers int) (acknowledged []string) {
	t.Helper()
	where, err := json.Marshal(k)
	if err != nil {
		t.Fatal(err)
	}
	child := exec.CommandContext(t.Context(), os.Args[0])
	child.Env = append(os.Environ(), killed+"="+string(where))
	child.Stderr = os.Stderr
	out, err := child.StdoutPipe()
	if err != nil {
		t.Fatal(err)
	}
	if err := child.Start(); err != nil {
		t.Fatal(err)
	}
	for lines := bufio.NewScanner(out); lines.Scan(); {
		if acknowledged = append(acknowledged, lines.Text()); len(acknowledged) == numbers {
			if err := child.Process.Kill(); err != nil { // what it printed meanwhile is read on
				t.Fatal(err)
			}
		}
	}
	_ = child.Wait()
	return acknowledged
}

// TestKill_KeepsAllThatWasAcknowledged kills a process that writes, again and again, and looks for each number by its id:
// with its content, or, where that was in the process's memory only, as one whose content is lost.
func TestKill_KeepsAllThatWasAcknowledged(t *testing.T) {
	for name, memory := range map[string]bool{"stored": false, "in memory": true} {
		t.Run(name, func(t *testing.T) {
			w := newPlace(t)
			k := toKill{Dir: w.dir, Server: w.server, InMemory: memory}
			var acknowledged []string
			for round := range 3 {
				k.First = round * 1_000_000
				acknowledged = append(acknowledged, k.killAfter(t, 150+70*round)...)
			}
			s, err := k.open(t.Context())
			if err != nil {
				t.Fatal(err)
			}
			defer s.Close()
			if err := s.View(t.Context(), func(tx *store.Tx) error { return k.holdsAll(t, tx, acknowledged) }); err != nil {
				t.Error(err)
			}
			if len(acknowledged) < 600 {
				t.Errorf("only %d were acknowledged in three rounds", len(acknowledged))
			}
		})
	}
}

func (k toKill) holdsAll(t *testing.T, tx *store.Tx, acknowledged []string) error {
	t.Helper()
	queued, err := tx.Due("q", time.Now(), store.Place{}, 1<<20)
	if err != nil {
		return err
	}
	jobs := map[string][]store.Job{}
	for _, j := range queued {
		jobs[j.Message] = append(jobs[j.Message], j)
	}
	for _, n := range acknowledged {
		body := n + ":content of " + n
		if k.InMemory {
			body = n
		}
		if got, err := tx.Setting(n); err != nil || string(got) != n {
			t.Errorf("setting %s is %q, %v", n, got, err)
		}
		if m, err := tx.Message(n); err != nil || string(m.Body) != body || m.Lost != k.InMemory {
			t.Errorf("message %s is %+v, %v", n, m, err)
		}
		if found := jobs[n]; len(found) != 1 || string(found[0].Body) != body || found[0].Lost != k.InMemory {
			t.Errorf("the jobs of message %s are %+v", n, found)
		}
	}
	// What was written and not acknowledged is there as a whole, or not at all.
	for id, found := range jobs {
		if m, err := tx.Message(id); err != nil || len(found) != 1 || !slices.Equal(strings.Split(string(m.Body), ":")[:1], []string{id}) {
			t.Errorf("message %s is %+v, %v, with %d jobs", id, m, err, len(found))
		}
	}
	return nil
}
