package message_test

import (
	"fmt"
	"os"
	"path/filepath"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"golang.org/x/sys/unix"

	"github.com/relaykeep/relaykeep/relay/carrier"
	"github.com/relaykeep/relaykeep/relay/omemo"
)

// What the floor of durability writes for a message: the store makes three commits for one, that it was accepted,
// sent and told, of some six pages in all.
const (
	floorCommits = 3
	floorBytes   = 8 << 10 // of each
)

// BenchmarkRouteFloor is what no relay does without: the cryptography of a text to one device, and the commits of a
// message's bytes to a plain file, shared by all that wait for one. An operation is one message.
func BenchmarkRouteFloor(b *testing.B) {
	b.Run("of=crypto", func(b *testing.B) {
		writers := newWriters(b)
		b.ResetTimer()
		begun := processorTime(b)
		for i := range b.N {
			w := writers[i%len(writers)]
			if _, err := w.account.Seal(w, carrier.Legacy, w.peer, []carrier.DeviceID{4711}, omemo.Text([]byte(routeText)), time.Now()); err != nil {
				b.Fatal(err)
			}
		}
		b.ReportMetric(float64(processorTime(b)-begun)/float64(b.N), "cpu-ns/op")
	})
	for _, clients := range []int{1, 128} {
		b.Run(fmt.Sprintf("of=commits/clients=%d", clients), func(b *testing.B) {
			f, err := os.Create(filepath.Join(b.TempDir(), "log"))
			check(b, err)
			record := make([]byte, floorBytes)
			benchmarkCommits(b, clients, func(n int) error {
				for range n {
					if _, err := f.Write(record); err != nil {
						return err
					}
				}
				return unix.Fdatasync(int(f.Fd()))
			})
			check(b, f.Close())
		})
	}
}

// benchmarkCommits has so many clients at once wait for floorCommits commits a message. Commit makes n records durable.
func benchmarkCommits(b *testing.B, clients int, commit func(n int) error) {
	shared := &commits{commit: commit, wants: make(chan chan error, clients)}
	go shared.run()
	b.ResetTimer()
	begun := processorTime(b)
	var group sync.WaitGroup
	var next atomic.Int64
	for range clients {
		group.Go(func() {
			done := make(chan error, 1)
			for int(next.Add(1)) <= b.N {
				for range floorCommits {
					shared.wants <- done
					if err := <-done; err != nil {
						b.Error(err)
						return
					}
				}
			}
		})
	}
	group.Wait()
	b.StopTimer()
	close(shared.wants)
	b.ReportMetric(float64(processorTime(b)-begun)/float64(b.N), "cpu-ns/op")
	b.ReportMetric(float64(b.N)/b.Elapsed().Seconds(), "told/s")
}

// newWriters returns customers with a session with the business.
func newWriters(b *testing.B) []*writer {
	r := newRoute(b, newReceiver(b, &receiver{}))
	return r.customers
}

// commits makes one commit for all that wait for one.
type commits struct {
	commit func(n int) error
	wants  chan chan error
}

func (c *commits) run() {
	for first := range c.wants {
		waiting := []chan error{first}
		for more := true; more; {
			select {
			case w, ok := <-c.wants:
				if more = ok; ok {
					waiting = append(waiting, w)
				}
			default:
				more = false
			}
		}
		err := c.commit(len(waiting))
		for _, w := range waiting {
			w <- err
		}
	}
}
