package message_test

import (
	"encoding/binary"
	"fmt"
	"os"
	"strconv"
	"testing"
	"time"

	"golang.org/x/time/rate"

	"github.com/relaykeep/relaykeep/relay/store"
)

// routeDay is how many messages a busy business keeps of a day.
const routeDay = 100_000

// keptVariable names how many days the longest history has, of 100 at most, which takes 10 GB below TMPDIR and ten minutes.
const keptVariable = "RELAYKEEP_BENCH_DAYS"

// BenchmarkRouteKept is BenchmarkRoute, out, beside the messages of 1 and 10 days that are kept, or as many as
// RELAYKEEP_BENCH_DAYS says.
func BenchmarkRouteKept(b *testing.B) {
	most := 10
	if text := os.Getenv(keptVariable); text != "" {
		n, err := strconv.Atoi(text)
		if err != nil || n < 1 || n > 100 {
			b.Fatalf("%s must be a number of days from 1 to 100", keptVariable)
		}
		most = n
	}
	got := &receiver{}
	r := openRoute(b, newRoute, got)
	kept := 0
	for days := 1; days <= most; days *= 10 {
		b.Run(fmt.Sprintf("days=%d/clients=%d", days, routeCustomers), func(b *testing.B) {
			for ; kept < days*routeDay; kept += keepOnce {
				keep(b, r.store, kept)
			}
			goRoute(b, r, got, b.N, 0, routeCustomers, rate.Inf)
		})
	}
}

// keepOnce is how many messages keep stores in one commit.
const keepOnce = 5000

// keep stores messages of all customers as they are a while after they were sent and read, each with what finds it, and
// every other one with the ciphertext that it came in.
func keep(b *testing.B, s *store.Store, first int) {
	check(b, s.Update(b.Context(), func(tx *store.Tx) error {
		var customers [routeCustomers]store.CustomerID
		for i := range customers {
			c, err := tx.Customer(routePhone(b, i))
			if err != nil {
				return err
			}
			customers[i] = c.ID
		}
		body := []byte(`{"text":{"body":"` + routeText + `"}}`)
		now := time.Now()
		for i := range keepOnce {
			m := store.Message{
				ID: store.NewMessageID(), Direction: store.Outbound, Customer: customers[i%routeCustomers], Type: "text", Body: body,
				CarrierID: store.NewMessageID(), State: "read", Created: now, Updated: now, Sent: now, Delivered: now,
			}
			if i%2 == 1 {
				m.Direction, m.State = store.Inbound, "received"
				if _, err := tx.SeenCiphertext([32]byte(binary.BigEndian.AppendUint64(make([]byte, 24), uint64(first+i)))); err != nil {
					return err
				}
			}
			if err := tx.PutMessage(m); err != nil {
				return err
			}
		}
		return nil
	}))
}
