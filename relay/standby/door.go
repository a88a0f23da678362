// Package standby lets every replica of a relay take the endpoint's connections, although only one of them holds
// the store: the others pass connections on to it, byte by byte. A replica that is about to end does so, too, once it
// holds the store no more. It must not know TLS, HTTP, or what a store is.
package standby

import (
	"context"
	"errors"
	"io"
	"net"
	"sync"
	"syscall"
	"time"

	"golang.org/x/sys/unix"
)

// Limits of what is passed on.
const (
	// maxPassed is how many connections there are at once; for a further one that one ends that has been silent
	// for longest. Each costs about 70 kB.
	maxPassed = 512
	// patience is how long a connection waits for a replica that holds the store: longer than it takes
	// another to take over.
	patience = 20 * time.Second
	// again is after how long the holder is tried again.
	again = 100 * time.Millisecond
	// quiet is for how long nothing must have moved behind an answer until it counts as whole.
	quiet = 500 * time.Millisecond
	// staleTime is for how long a former holder's answer is waited for after anything last moved: it may only be stalled, and then
	// never answers. One that gave the store up in order passes on what it was passed.
	staleTime = 3 * time.Second
	// queueTime is for how long a door that drains takes what has connected already, and queueCheck how often it looks.
	queueTime  = time.Second
	queueCheck = time.Millisecond
	// dialTimeout bounds how long connecting to the holder may take.
	dialTimeout = 2 * time.Second
)

// Door is the endpoint's listener of one replica. While the replica stands by, Door passes each connection on to
// the holder; while it is open, connections are the replica's own. It is safe for concurrent use.
type Door struct {
	listener net.Listener
	slots    chan struct{}
	ran      chan struct{} // closed when Run has ended
	closed   chan struct{} // closed by Close
	close    func() error

	mu     sync.Mutex // guards the following fields
	holder string     // host:port of the replica that holds the store; empty while none is known
	passed map[*passage]struct{}
	own    *own          // who serves connections; nil before Open and after Leave
	opened chan struct{} // closed by Open
}

// passage is a connection on its way to the holder.
type passage struct {
	from, to net.Conn
	at       string // the holder to which it is connected

	mu       sync.Mutex // guards the following fields
	moved    time.Time  // when something was passed on last
	answered bool       // that came from the holder
}

// New returns a Door for a listener, which it closes in the end; call Run.
func New(l net.Listener) *Door {
	d := &Door{
		listener: l, slots: make(chan struct{}, maxPassed), ran: make(chan struct{}), closed: make(chan struct{}),
		passed: map[*passage]struct{}{}, opened: make(chan struct{}),
	}
	d.close = sync.OnceValue(func() error {
		close(d.closed)
		return l.Close()
	})
	return d
}

// Run takes connections until the listener is closed, by Close or by Drain. ctx ends what is passed on. It may be called
// once.
func (d *Door) Run(ctx context.Context) error {
	defer close(d.ran)
	for {
		c, err := d.listener.Accept()
		if errors.Is(err, net.ErrClosed) {
			return ctx.Err()
		}
		if err != nil { // too many open files, for example
			select {
			case <-time.After(again):
				continue
			case <-ctx.Done():
				return ctx.Err()
			}
		}
		if !d.admit() {
			_ = c.Close()
			continue
		}
		go func() {
			defer func() { <-d.slots }()
			d.take(ctx, c)
		}()
	}
}

// admit makes room for one more connection, and says whether there is any: those that wait for a holder stay.
func (d *Door) admit() bool {
	for {
		select {
		case d.slots <- struct{}{}:
			return true
		default:
		}
		if !d.cutSilent() {
			return false
		}
		select {
		case d.slots <- struct{}{}:
			return true
		case <-time.After(again):
		}
	}
}

// cutSilent cuts the connection that has been silent for longest, and says whether there was any.
func (d *Door) cutSilent() bool {
	d.mu.Lock()
	defer d.mu.Unlock()
	var silent *passage
	var since time.Time
	for p := range d.passed {
		if at := p.last(); silent == nil || at.Before(since) {
			silent, since = p, at
		}
	}
	if silent == nil {
		return false
	}
	silent.cut()
	delete(d.passed, silent)
	return true
}

// Addr is the listener's address.
func (d *Door) Addr() net.Addr { return d.listener.Addr() }

// Close closes the listener and ends connections that wait.
func (d *Door) Close() error { return d.close() }

// PassTo says who holds the store; empty for nobody. Connections to a former holder are cut as soon as its answer
// is whole, or has not come for staleTime.
func (d *Door) PassTo(holder string) {
	d.mu.Lock()
	defer d.mu.Unlock()
	if d.holder == holder {
		return
	}
	d.holder = holder
	if holder != "" {
		d.cutFormer()
	}
}

// cutFormer cuts what was passed to others than the holder, each once it is over. The caller holds the lock.
func (d *Door) cutFormer() {
	for p := range d.passed {
		if p.at != d.holder {
			p.cutWhenOver()
		}
	}
}

// Open has the replica serve the connections itself from now on, those that wait for a holder first, until Leave. It
// may be called once.
func (d *Door) Open() net.Listener {
	d.mu.Lock()
	defer d.mu.Unlock()
	d.own = newOwn(d)
	d.holder = "" // was another
	close(d.opened)
	d.cutFormer()
	return d.own
}

// Leave gives no further connections to Open's listener: they wait and are passed on again, so that who is led to a
// replica that ends is not refused. Closing that listener does the same.
func (d *Door) Leave() {
	d.mu.Lock()
	defer d.mu.Unlock()
	d.own = nil
}

// Drain closes the listener and returns when nothing is passed on any more and nothing waits to be, or when ctx ends.
// It cuts a connection once the holder's last answer is whole, as far as can be told from outside.
func (d *Door) Drain(ctx context.Context) error {
	d.emptyQueue(ctx)
	err := d.listener.Close()
	select {
	case <-d.ran: // with the last connection that the listener gave
	case <-ctx.Done():
		return errors.Join(err, ctx.Err())
	}
	tick := time.NewTicker(again)
	defer tick.Stop()
	for d.cutQuiet() > 0 {
		select {
		case <-tick.C:
		case <-ctx.Done():
			return errors.Join(err, ctx.Err())
		}
	}
	return err
}

// emptyQueue waits until Run has taken the connections that the kernel holds for it: closing the listener resets them,
// although their clients have been told that they are connected. It gives up after queueTime, for new ones may come as
// fast as they are taken.
func (d *Door) emptyQueue(ctx context.Context) {
	listener, ok := d.listener.(syscall.Conn)
	if !ok {
		return
	}
	ctx, cancel := context.WithTimeout(ctx, queueTime)
	defer cancel()
	tick := time.NewTicker(queueCheck)
	defer tick.Stop()
	for queued(listener) {
		select {
		case <-tick.C:
		case <-ctx.Done():
			return
		}
	}
}

// queued says whether a connection waits to be accepted. A listener that is closed has none.
func queued(listener syscall.Conn) bool {
	raw, err := listener.SyscallConn()
	if err != nil {
		return false
	}
	var n int
	if raw.Control(func(fd uintptr) {
		n, _ = unix.Poll([]unix.PollFd{{Fd: int32(fd), Events: unix.POLLIN}}, 0)
	}) != nil {
		return false
	}
	return n > 0
}

// cutQuiet cuts what is quiet, and says how many connections are left.
func (d *Door) cutQuiet() int {
	d.mu.Lock()
	defer d.mu.Unlock()
	for p := range d.passed {
		if p.quiet() {
			p.cut()
		}
	}
	return len(d.slots)
}

// take gives a connection to who serves it.
func (d *Door) take(ctx context.Context, c net.Conn) {
	wait, cancel := context.WithTimeout(ctx, patience)
	defer cancel()
	tick := time.NewTicker(again)
	defer tick.Stop()
	opened := d.opened
	for {
		if d.deliver(wait, c) || d.pass(wait, c) {
			return
		}
		select {
		case <-tick.C:
		case <-opened:
			opened = nil // once is enough to wake up
		case <-d.closed:
			_ = c.Close()
			return
		case <-wait.Done():
			_ = c.Close()
			return
		}
	}
}

// deliver gives a connection to Open's listener, and says whether that took it.
func (d *Door) deliver(ctx context.Context, c net.Conn) bool {
	own := d.server()
	if own == nil {
		return false
	}
	select {
	case own.conns <- c:
		return true
	case <-own.closed:
	case <-d.closed:
	case <-ctx.Done():
	}
	return false
}

// server is Open's listener; nil while connections are passed on.
func (d *Door) server() *own {
	d.mu.Lock()
	defer d.mu.Unlock()
	return d.own
}

// pass passes a connection on until either end closes it, and says whether it was connected to a holder.
func (d *Door) pass(ctx context.Context, c net.Conn) bool {
	d.mu.Lock()
	holder := d.holder
	d.mu.Unlock()
	if holder == "" {
		return false
	}
	dialer := net.Dialer{Timeout: dialTimeout}
	to, err := dialer.DialContext(ctx, "tcp", holder)
	if err != nil {
		return false
	}
	p := &passage{from: c, to: to, at: holder, moved: time.Now()}
	if !d.begin(p) {
		_ = to.Close()
		return false
	}
	defer d.end(p)
	p.run()
	return true
}

// begin notes a passage, unless it leads to somebody who is the holder no more.
func (d *Door) begin(p *passage) bool {
	d.mu.Lock()
	defer d.mu.Unlock()
	if d.own != nil || d.holder != "" && d.holder != p.at {
		return false
	}
	d.passed[p] = struct{}{}
	return true
}

func (d *Door) end(p *passage) {
	p.cut()
	d.mu.Lock()
	defer d.mu.Unlock()
	delete(d.passed, p)
}

// cut closes both ends.
func (p *passage) cut() {
	_ = p.from.Close()
	_ = p.to.Close()
}

// cutWhenOver closes both ends, now or later: between a client's requests, which may follow each other for as long as the
// former holder passes them on. Nothing moves in one that has ended meanwhile, so that is soon over, too.
func (p *passage) cutWhenOver() {
	if p.quiet() || p.stale() {
		p.cut()
		return
	}
	time.AfterFunc(again, p.cutWhenOver)
}

// run copies both ways until both ends have said all that they had to say.
func (p *passage) run() {
	var ways sync.WaitGroup
	ways.Go(func() { p.copy(p.to, p.from, false) })
	ways.Go(func() { p.copy(p.from, p.to, true) })
	ways.Wait()
}

// copy copies until from has ended, and says so to the other end.
func (p *passage) copy(to, from net.Conn, answer bool) {
	_, err := io.Copy(noting{to, func() { p.note(answer) }}, from)
	half, ok := to.(interface{ CloseWrite() error })
	if !ok || err != nil || half.CloseWrite() != nil {
		p.cut()
	}
}

// note notes that something was passed on.
func (p *passage) note(answer bool) {
	p.mu.Lock()
	defer p.mu.Unlock()
	p.moved, p.answered = time.Now(), answer
}

// quiet says whether nothing has moved since the holder's last answer, for a while.
func (p *passage) quiet() bool {
	p.mu.Lock()
	defer p.mu.Unlock()
	return p.answered && time.Since(p.moved) >= quiet
}

// stale says whether the holder owes an answer, or the client a request, and nothing has moved for staleTime.
func (p *passage) stale() bool {
	p.mu.Lock()
	defer p.mu.Unlock()
	return !p.answered && time.Since(p.moved) >= staleTime
}

// last is when something was passed on last.
func (p *passage) last() time.Time {
	p.mu.Lock()
	defer p.mu.Unlock()
	return p.moved
}

// noting is a Writer that notes each write.
type noting struct {
	io.Writer
	note func()
}

func (n noting) Write(b []byte) (int, error) {
	n.note()
	return n.Writer.Write(b)
}

// own is the listener of a door that is open.
type own struct {
	door   *Door
	conns  chan net.Conn
	closed chan struct{}
	close  func()
}

func newOwn(d *Door) *own {
	o := &own{door: d, conns: make(chan net.Conn), closed: make(chan struct{})}
	o.close = sync.OnceFunc(func() { close(o.closed) })
	return o
}

// Accept returns the next connection.
func (o *own) Accept() (net.Conn, error) {
	select {
	case c := <-o.conns:
		return c, nil
	case <-o.closed:
		return nil, net.ErrClosed
	case <-o.door.closed:
		return nil, net.ErrClosed
	}
}

// Addr is the door's address.
func (o *own) Addr() net.Addr { return o.door.Addr() }

// Close has the door pass connections on again.
func (o *own) Close() error {
	o.door.Leave()
	o.close()
	return nil
}
