package serve

import (
	"context"
	"fmt"
	"net"
	"time"
)

// drainTime is how long what runs may take to its end when the endpoint stops.
const drainTime = 10 * time.Second

// listen listens for the endpoint.
func (r *relay) listen(ctx context.Context) (net.Listener, error) {
	var lc net.ListenConfig
	listener, err := lc.Listen(ctx, "tcp", r.EndpointAddr)
	if err != nil {
		return nil, fmt.Errorf("listening for the endpoint: %w", err)
	}
	r.Listening("endpoint", listener.Addr())
	return listener, nil
}
