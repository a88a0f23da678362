package carriertest_test

import (
	"context"
	"sync"
	"testing"

	"github.com/relaykeep/relaykeep/relay/carrier"
	"github.com/relaykeep/relaykeep/relay/carrier/carriertest"
	"github.com/relaykeep/relaykeep/relay/phone"
)

// handler is a carrier.Handler that is a function of the events.
type handler func([]carrier.Event)

func (h handler) Receive(_ context.Context, events []carrier.Event) error {
	h(events)
	return nil
}

func TestTwoLinksOfAnAccount_MayHaveOneEventAtOnceAndTheNextComesAsWell(t *testing.T) {
	hub := carriertest.NewHub()
	number, err := phone.Parse("+4930111111")
	if err != nil {
		t.Fatal(err)
	}
	ctx, cancel := context.WithCancel(t.Context())
	var links sync.WaitGroup
	both, last := make(chan struct{}), make(chan struct{}, 2)
	var meeting sync.WaitGroup
	meeting.Add(2)
	go func() { meeting.Wait(); close(both) }()
	hub.Deliver(number, carrier.Typing{From: number})
	for range 2 {
		first := true
		links.Go(func() {
			_ = hub.Carrier(number).Run(ctx, handler(func(events []carrier.Event) {
				if _, ok := events[0].(carrier.Typing); !ok {
					return
				}
				if first {
					first = false
					meeting.Done()
					<-both
					return
				}
				last <- struct{}{}
			}))
		})
	}
	<-both
	hub.Deliver(number, carrier.Typing{From: number})
	<-last
	cancel()
	links.Wait()
}
