package stream

import (
	"bytes"
	"encoding/xml"
	"fmt"
	"net"
	"runtime"
	"sync"
	"time"

	"github.com/relaykeep/relaykeep/relay/carrier/xmpp/internal/stanza"
)

const (
	// maxBuffered is how much may wait to be written to one link, in bytes. When more waits,
	// the server makes us answer but reads too slowly.
	maxBuffered = 8 << 20
	// goodbyeTimeout bounds a write that is under way when the link is stopped.
	goodbyeTimeout = 2 * time.Second
)

// Link is one connection, from login to its end. One goroutine calls Next and another
// RunWriter. Any goroutine may call the other methods.
type Link struct {
	// Long returns the reader for an element that begins like start and may be longer than a
	// stanza; nil for any other. It is set before the first call of Next.
	Long func(start *stanza.Element) *stanza.LongList

	cfg        Config
	conn       *wire
	management bool // the server offers stream management
	dec        *xml.Decoder
	frames     *framer

	writing sync.Mutex // held while bytes are collected and written, to keep them in order

	mu        sync.Mutex
	out       bytes.Buffer // guarded by mu: what is written next
	request   bool         // guarded by mu: stanzas were sent and no request for an acknowledgement after them
	requested bool         // guarded by mu: such a request has no answer yet
	closing   bool         // guarded by mu: nothing more is written
	proof     *time.Timer  // guarded by mu: ends the link, until the server has acknowledged something; may be nil

	kick  chan struct{} // room for one: there is something to write
	ended chan struct{} // closed by End
	once  sync.Once
	err   error // why, once ended is closed
}

// NewLink makes a link over a connection on which the account has logged in already, to a
// server that offers stream management.
func NewLink(conn net.Conn, c Config) *Link {
	return newLink(&negotiated{wire: newWire(conn, 2*c.Idle), management: true}, c)
}

func newLink(n *negotiated, c Config) *Link {
	l := &Link{
		Long:       func(*stanza.Element) *stanza.LongList { return nil },
		cfg:        c,
		conn:       n.wire,
		management: n.management,
		frames:     newFramer(n.wire, c.MaxStanza, c.maxWire()),
		kick:       make(chan struct{}, 1),
		ended:      make(chan struct{}),
	}
	l.decode()
	return l
}

// decode starts a new decoder at the wire's position, before the next stanza.
func (l *Link) decode() { l.dec = xml.NewDecoder(&primed{header: streamHeader, r: l.frames}) }

// End closes the link. The first reason given counts.
func (l *Link) End(err error) {
	l.once.Do(func() {
		l.err = err
		close(l.ended)
		_ = l.conn.Close()
		l.mu.Lock()
		defer l.mu.Unlock()
		if l.proof != nil {
			l.proof.Stop()
		}
	})
}

// Ended returns a channel that is closed once the link has ended.
func (l *Link) Ended() <-chan struct{} { return l.ended }

// Err is why the link ended. It may be called once the link has.
func (l *Link) Err() error { return l.err }

// RequestAck asks the server for its count (XEP-0198, 4).
func (l *Link) RequestAck() { l.send([]byte(ackRequest), false) }

const ackRequest = "<r xmlns='" + stanza.NSSM + "'/>"

// sendNow writes an element before RunWriter runs.
func (l *Link) sendNow(e *stanza.Element) error {
	_, err := l.conn.Write(e.Bytes())
	return err
}

// send makes RunWriter write b, and after a stanza a request to acknowledge it.
func (l *Link) send(b []byte, stanza bool) {
	l.mu.Lock()
	defer l.mu.Unlock()
	if l.closing {
		return
	}
	if l.out.Len() > maxBuffered {
		go l.End(errStalled)
		return
	}
	l.out.Write(b)
	l.request = l.request || stanza
	l.poke()
}

func (l *Link) poke() {
	select {
	case l.kick <- struct{}{}:
	default:
	}
}

// confirmed notes an acknowledgement from the server. More says that the server has not
// acknowledged everything yet, so that we ask it again.
func (l *Link) confirmed(more bool) {
	l.mu.Lock()
	defer l.mu.Unlock()
	l.requested = false
	if l.proof != nil {
		l.proof.Stop()
		l.proof = nil
	}
	l.request = l.request || more
	if l.request {
		l.poke()
	}
}

// pending returns what to write now. However many stanzas there are, at most one request for
// an acknowledgement is in flight.
func (l *Link) pending() []byte {
	l.mu.Lock()
	defer l.mu.Unlock()
	if l.request && !l.requested {
		l.out.WriteString(ackRequest)
		l.request, l.requested = false, true
	}
	b := bytes.Clone(l.out.Bytes())
	l.out.Reset()
	return b
}

// RunWriter writes until the link ends. When there has been nothing to write for a while, it
// asks the server for a sign of life; without one, the reader's deadline ends the link.
func (l *Link) RunWriter() {
	idle := time.NewTimer(l.cfg.Idle)
	defer idle.Stop()
	for {
		select {
		case <-l.ended:
			return
		case <-idle.C:
			l.RequestAck()
		case <-l.kick:
			runtime.Gosched() // so that what others are about to write goes into the same packet
		}
		idle.Reset(l.cfg.Idle)
		if err := l.Flush(); err != nil {
			l.End(fmt.Errorf("writing: %w", err))
			return
		}
	}
}

// Flush writes what there is to write.
func (l *Link) Flush() error {
	l.writing.Lock()
	defer l.writing.Unlock()
	b := l.pending()
	if len(b) == 0 {
		return nil
	}
	_, err := l.conn.Write(b)
	return err
}

// Close writes what is left, closes the stream and ends the link with ErrStopped. After an
// orderly end the server stores at once, for later, what it has no report for.
func (l *Link) Close() {
	l.send([]byte("</stream:stream>"), false)
	l.mu.Lock()
	l.closing = true
	l.mu.Unlock()
	// A write that hangs is not waited for.
	_ = l.conn.SetWriteDeadline(time.Now().Add(goodbyeTimeout))
	_ = l.Flush()
	l.End(ErrStopped)
}
