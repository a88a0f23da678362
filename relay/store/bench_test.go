package store_test

import (
	"context"
	"fmt"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/relaykeep/relaykeep/relay/carrier"
	"github.com/relaykeep/relaykeep/relay/phone"
	"github.com/relaykeep/relaykeep/relay/seal"
	"github.com/relaykeep/relaykeep/relay/seal/sealtest"
	"github.com/relaykeep/relaykeep/relay/store"
	"github.com/relaykeep/relaykeep/test/services/postgres"
)

// BenchmarkInbound does what a relay does for each message that comes in: find the
// customer, read and write the session, store the message, remember the ciphertext,
// queue the webhook, all durable; later the webhook is done.
func BenchmarkInbound(b *testing.B) {
	for _, callers := range []int{1, 16, 128} {
		b.Run(fmt.Sprintf("%d callers", callers), func(b *testing.B) { benchmarkInbound(b, callers) })
	}
	s := postgres.StartT(b, postgres.Options{Fsync: true})
	for _, callers := range []int{1, 16, 128} {
		b.Run(fmt.Sprintf("PostgreSQL, %d callers", callers), func(b *testing.B) {
			d := s.NewDatabaseT(b)
			benchmarkInbound(b, callers, store.OnServer(store.Server{
				Address: d.Address, Database: d.Name, CA: d.CA,
				Login: func(context.Context) (string, string, error) { return d.Name, d.Password, nil },
			}))
		})
	}
}

func benchmarkInbound(b *testing.B, callers int, opts ...store.Option) {
	k := seal.New(sealtest.New(), 24*time.Hour, time.Now)
	s, err := store.Open(b.Context(), b.TempDir(), [16]byte{1}, k, opts...)
	if err != nil {
		b.Fatal(err)
	}
	defer s.Close()
	const customers = 500
	numbers := make([]phone.Number, customers)
	record, body := make([]byte, 900), make([]byte, 300)
	for i := range numbers {
		numbers[i], _ = phone.Parse(fmt.Sprintf("+1555%07d", i))
		err := s.Update(b.Context(), func(tx *store.Tx) error {
			c := store.Customer{Number: numbers[i], Name: "Ada"}
			if err := tx.PutCustomer(&c); err != nil {
				return err
			}
			return tx.PutDevice(c.ID, store.Device{ID: carrier.DeviceID(i + 1), IdentityKey: record[:33]})
		})
		if err != nil {
			b.Fatal(err)
		}
	}
	var next atomic.Int64
	var group sync.WaitGroup
	b.ResetTimer()
	begun := time.Now()
	for range callers {
		group.Go(func() {
			for {
				n := next.Add(1)
				if n > int64(b.N) {
					return
				}
				job := inbound(b, s, numbers[n%customers], carrier.DeviceID(n%customers+1), n, record, body)
				if err := s.Update(b.Context(), func(tx *store.Tx) error { return tx.Finish(job) }); err != nil {
					b.Error(err)
				}
			}
		})
	}
	group.Wait()
	b.ReportMetric(float64(b.N)/time.Since(begun).Seconds(), "msgs/s")
}

func inbound(b *testing.B, s *store.Store, from phone.Number, device carrier.DeviceID, n int64, record, body []byte) (job int64) {
	err := s.Update(b.Context(), func(tx *store.Tx) error {
		c, err := tx.Customer(from)
		if err != nil {
			return err
		}
		if _, err := tx.SeenCiphertext([32]byte{byte(n), byte(n >> 8), byte(n >> 16), byte(n >> 24)}); err != nil {
			return err
		}
		if _, err := tx.Record(c.ID, device); err != nil {
			return err
		}
		if err := tx.PutRecord(c.ID, device, record); err != nil {
			return err
		}
		m := store.Message{
			ID: store.NewMessageID(), Direction: store.Inbound, Customer: c.ID, Type: "text", Body: body,
			CarrierID: store.NewMessageID(), State: "received", Created: time.Now(),
		}
		if err := tx.PutMessage(m); err != nil {
			return err
		}
		job, err = tx.Enqueue(store.Job{Queue: "webhook", Customer: c.ID, Message: m.ID, NotBefore: m.Created, Body: body})
		return err
	})
	if err != nil {
		b.Error(err)
	}
	return job
}
