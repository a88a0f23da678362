package message_test

import (
	"context"
	"fmt"
	"net/http/httptest"
	"testing"
	"time"

	"github.com/jackc/pgx/v5/pgconn"
	"golang.org/x/time/rate"

	"github.com/relaykeep/relaykeep/relay/message"
	"github.com/relaykeep/relaykeep/relay/store"
	"github.com/relaykeep/relaykeep/test/services/postgres"
)

// BenchmarkRouteOtherwise is BenchmarkRoute for relays that are not as they come: with webhooks of up to 100 updates,
// with the data keys of 30 days, with content in memory only, at half of what they can do, and with the store in PostgreSQL, which commits to the disk as it does where it is
// operated. Beside the latter stands its floor: the same bytes as bare inserts, in a commit for all that wait for one.
func BenchmarkRouteOtherwise(b *testing.B) {
	for _, way := range []string{"out", "in"} {
		b.Run(fmt.Sprintf("kind=updates/way=%s/clients=128", way), func(b *testing.B) {
			benchmarkRoute(b, routeKind{maxUpdates: 100}.open, way, 128)
		})
		b.Run(fmt.Sprintf("kind=days/way=%s/clients=128", way), func(b *testing.B) {
			got := &receiver{}
			r := openRoute(b, func(b *testing.B, s *httptest.Server) *route {
				r := routeKind{days: 30}.open(b, s)
				r.late.Store(int64(time.Hour)) // so that sessions are an hour old: in a new one a client may send again what is of any day
				return r
			}, got)
			r.late.Store(0)
			if way == "out" {
				goRoute(b, r, got, b.N, 0, 128, rate.Inf)
			} else {
				goRoute(b, r, got, 0, b.N, 128, rate.Inf)
			}
		})
		b.Run(fmt.Sprintf("kind=memory/way=%s/clients=128", way), func(b *testing.B) {
			benchmarkRoute(b, routeKind{store: []store.Option{message.ContentInMemory(time.Hour)}}.open, way, 128)
		})
	}
	b.Run("kind=half/way=out/clients=128", func(b *testing.B) {
		got := &receiver{}
		r := openRoute(b, newRoute, got)
		told := goRoute(b, r, got, b.N, 0, 128, rate.Inf)
		goRoute(b, r, got, b.N, 0, 128, rate.Limit(told/2))
	})
	server := postgres.StartT(b, postgres.Options{Fsync: true})
	for _, way := range []string{"out", "in", "both"} {
		for _, clients := range []int{1, 16, 128} {
			b.Run(fmt.Sprintf("kind=postgres/way=%s/clients=%d", way, clients), func(b *testing.B) {
				d := server.NewDatabaseT(b)
				benchmarkRoute(b, routeKind{store: []store.Option{store.OnServer(store.Server{
					Address: d.Address, Database: d.Name, CA: d.CA,
					Login: func(context.Context) (string, string, error) { return d.Name, d.Password, nil },
				})}}.open, way, clients)
			})
		}
	}
	for _, clients := range []int{1, 128} {
		b.Run(fmt.Sprintf("kind=postgres/of=commits/clients=%d", clients), func(b *testing.B) {
			conn, err := server.NewDatabaseT(b).Connect(b.Context())
			check(b, err)
			defer conn.Close(context.WithoutCancel(b.Context()))
			check(b, conn.Exec(b.Context(), "CREATE TABLE log (id bigserial PRIMARY KEY, record bytea NOT NULL)").Close())
			record := make([]byte, floorBytes)
			benchmarkCommits(b, clients, func(n int) error {
				batch := &pgconn.Batch{} // one transaction
				for range n {
					batch.ExecParams("INSERT INTO log (record) VALUES ($1)", [][]byte{record}, nil, []int16{1}, nil)
				}
				return conn.ExecBatch(b.Context(), batch).Close()
			})
		})
	}
}
