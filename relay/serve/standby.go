package serve

import (
	"context"
	"fmt"
	"log/slog"
	"net"
	"net/netip"
	"sync"
	"time"

	"github.com/relaykeep/relaykeep/relay/standby"
	"github.com/relaykeep/relaykeep/relay/store"
)

const (
	// holderEvery is how often a replica that stands by looks who holds the store.
	holderEvery = time.Second
	// lameTime is for how long a replica that ends still takes connections: until the cluster leads nobody to its
	// pod any more, which Kubernetes does not say.
	lameTime = 5 * time.Second
)

// openDoor listens for the endpoint at once if the relay has several replicas: connections are passed on to
// the one that holds the store until this one does.
func (r *relay) openDoor(ctx context.Context) error {
	if !r.cfg.Replicated {
		return nil
	}
	listener, err := r.listen(ctx)
	if err != nil {
		return err
	}
	r.door = standby.New(listener)
	return nil
}

// findOwnAddress finds where other replicas reach this one's endpoint: at the address from which it reaches the
// database server, unless it listens at one address only. A relay that is alone has one, too: it may be about to get
// replicas.
func (r *relay) findOwnAddress(ctx context.Context) error {
	listens := r.EndpointAddr
	if r.door != nil {
		listens = r.door.Addr().String()
	}
	host, port, err := net.SplitHostPort(listens)
	if err != nil {
		return fmt.Errorf("reading the endpoint's address: %w", err)
	}
	if at, err := netip.ParseAddr(host); err == nil && !at.IsUnspecified() {
		r.ownAddress = listens
		return nil
	}
	var d net.Dialer
	way, err := d.DialContext(ctx, "udp", r.cfg.Server.Address) // sends nothing
	if err != nil {
		return fmt.Errorf("%w: no way to it is known: %w", store.ErrUnreachable, err)
	}
	defer func() { _ = way.Close() }()
	own, err := netip.ParseAddrPort(way.LocalAddr().String())
	if err != nil {
		return fmt.Errorf("reading this replica's own address: %w", err)
	}
	r.ownAddress = net.JoinHostPort(own.Addr().String(), port)
	return nil
}

// standBy passes connections on until nobody holds the store. It also returns when that cannot be found out:
// opening the store says why.
func (r *relay) standBy(ctx context.Context) {
	watch := store.NewWatch(r.server())
	defer watch.Close()
	defer func() {
		// Or what others already pass on to this one, which takes the store over, would go back to them.
		r.door.PassTo("")
		r.state.setHolder("")
	}()
	tick := time.NewTicker(holderEvery)
	defer tick.Stop()
	for {
		holder, held, err := watch.Holder(ctx)
		if err != nil || !held {
			return
		}
		if holder == "" { // of a release whose relays had no replicas: connections wait until that one is replaced
			r.state.setWaiting()
		}
		r.door.PassTo(holder)
		if r.state.setHolder(holder) {
			r.Log.LogAttrs(ctx, slog.LevelInfo, "standing by: another replica holds the store")
		}
		select {
		case <-tick.C:
		case <-ctx.Done():
			return
		}
	}
}

// leave passes connections on to the replica that holds the store next, until nobody is led to this one any more, and
// lets those end that are passed on. Without that, requests would be refused while a pod is replaced.
func (r *relay) leave(ctx context.Context) {
	ctx, cancel := context.WithTimeout(context.WithoutCancel(ctx), lameTime+drainTime)
	defer cancel()
	following, stop := context.WithCancel(ctx)
	var done sync.WaitGroup
	done.Go(func() { r.follow(following) })
	defer done.Wait()
	defer stop()
	lame := time.NewTimer(lameTime)
	defer lame.Stop()
	select {
	case <-lame.C:
	case <-ctx.Done():
	}
	if err := r.door.Drain(ctx); err != nil {
		r.Log.LogAttrs(ctx, slog.LevelWarn, "connections to another replica were cut", slog.Any("error", err))
	}
}

// follow passes connections on to the replica that holds the store, until ctx ends.
func (r *relay) follow(ctx context.Context) {
	watch := store.NewWatch(r.server())
	defer watch.Close()
	tick := time.NewTicker(holderEvery / 5) // somebody waits
	defer tick.Stop()
	for {
		// What goes wrong is not said: connections wait, and there is another look.
		if holder, held, err := watch.Holder(ctx); err == nil && held {
			r.door.PassTo(holder)
			r.state.setHolder(holder)
		}
		select {
		case <-tick.C:
		case <-ctx.Done():
			return
		}
	}
}
