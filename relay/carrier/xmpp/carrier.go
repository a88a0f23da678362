package xmpp

import (
	"context"
	"errors"
	"math/rand/v2"
	"sync"
	"time"

	"github.com/cenkalti/backoff/v5"

	"github.com/relaykeep/relaykeep/relay/carrier"
	"github.com/relaykeep/relaykeep/relay/carrier/xmpp/internal/stanza"
	"github.com/relaykeep/relaykeep/relay/phone"
)

// steady is how long a link must have lasted for the next attempt to be prompt.
const steady = 5 * time.Second

var _ carrier.Carrier = (*Carrier)(nil)

// Carrier is a link for one account. Make one with New.
type Carrier struct {
	cfg    Config
	addr   stanza.Addresses
	reader stanza.Reader
	slots  chan struct{} // room for what waits for an acknowledgement or an answer

	mu      sync.Mutex
	status  carrier.Status            // guarded by mu, as all below
	running bool                      // Run was called
	link    *link                     // nil while there is none
	session session                   // outlives links
	friends map[phone.Number]struct{} // whom we asked for presence
	upload  string                    // address of the upload service, "" while unknown
}

// New makes a Carrier, which does nothing before Run. The error is about the
// configuration.
func New(c Config) (*Carrier, error) {
	c, err := c.withDefaults()
	if err != nil {
		return nil, err
	}
	addr := stanza.Addresses{Own: c.Account, Domain: c.Domain}
	return &Carrier{
		cfg:     c,
		addr:    addr,
		reader:  stanza.Reader{Addresses: addr, AcceptUnencrypted: c.AcceptUnencrypted},
		slots:   make(chan struct{}, maxUnacked),
		status:  carrier.Status{State: carrier.Disconnected, Reason: ReasonNotStarted, Detail: detail(ReasonNotStarted), Since: time.Now()},
		session: session{questions: map[string]*question{}},
		friends: map[phone.Number]struct{}{},
	}, nil
}

// Status implements carrier.Carrier.
func (c *Carrier) Status() carrier.Status {
	c.mu.Lock()
	defer c.mu.Unlock()
	return c.status
}

func (c *Carrier) setStatus(s carrier.State, reason string) {
	c.mu.Lock()
	defer c.mu.Unlock()
	if c.status.State != s || c.status.Reason != reason {
		c.status = carrier.Status{State: s, Reason: reason, Detail: detail(reason), Since: time.Now()}
	}
}

// Run implements carrier.Carrier. It returns ctx's error; it may be called once
// at a time.
func (c *Carrier) Run(ctx context.Context, h carrier.Handler) error {
	c.mu.Lock()
	if c.running {
		c.mu.Unlock()
		return errors.New("xmpp: carrier runs already")
	}
	c.running = true
	c.mu.Unlock()
	c.setStatus(carrier.Connecting, ReasonConnecting)
	defer c.stopped()

	pauses := backoff.NewExponentialBackOff()
	pauses.InitialInterval, pauses.MaxInterval = c.cfg.MinBackoff, c.cfg.MaxBackoff
	mayRegister := c.cfg.Registration != Closed
	var unregistered *failure // why the account could not be registered
	for {
		begun := time.Now()
		up, err := c.connect(ctx, h)
		if up { // should the server lose the account later, it is made again
			mayRegister, unregistered = c.cfg.Registration != Closed, nil
		}
		if ctx.Err() != nil {
			return ctx.Err()
		}
		f := reasonOf(err)
		switch {
		case f.reason != ReasonCredentialsRefused:
		case mayRegister:
			if f = c.registerInstead(ctx); f == nil {
				mayRegister = false
				continue
			}
			// An account that is taken may be removed by the carrier's admin.
			mayRegister, unregistered = !errors.Is(f, carrier.ErrRejected) || f.reason == ReasonAccountTaken, f
		case unregistered != nil:
			f = unregistered
		}
		c.lost(f)
		if time.Since(begun) > steady {
			pauses.Reset()
		}
		pause := pauses.NextBackOff()
		if f.refused() {
			pause = jitter(c.cfg.MaxBackoff)
		}
		if !sleep(ctx, pause) {
			return ctx.Err()
		}
	}
}

// registerInstead makes the account that the server says it does not know. It
// returns nil when it did, else why there is no link.
func (c *Carrier) registerInstead(ctx context.Context) *failure {
	if err := Register(ctx, c.cfg); err != nil {
		return reasonOf(err)
	}
	c.cfg.Log.InfoContext(ctx, "registered the carrier account")
	return nil
}

// lost notes why there is no link.
func (c *Carrier) lost(f *failure) {
	state := carrier.Disconnected
	if f.refused() {
		state = carrier.Refused
	}
	c.cfg.Log.Warn("no link to the carrier", "reason", f.reason)
	c.setStatus(state, f.reason)
}

// stopped leaves nothing waiting behind Run.
func (c *Carrier) stopped() {
	c.mu.Lock()
	c.running = false
	c.session.discard(errUnconfirmed)
	c.session.stopTimer()
	c.mu.Unlock()
	c.setStatus(carrier.Disconnected, ReasonStopped)
}

// jitter returns 3/4 to 5/4 of d.
func jitter(d time.Duration) time.Duration {
	return d*3/4 + rand.N(d/2+1)
}

func sleep(ctx context.Context, d time.Duration) bool {
	t := time.NewTimer(d)
	defer t.Stop()
	select {
	case <-t.C:
		return true
	case <-ctx.Done():
		return false
	}
}

// connect makes one link and serves it until it ends. It returns why it ended, and
// whether it was up.
func (c *Carrier) connect(ctx context.Context, h carrier.Handler) (up bool, err error) {
	s, err := c.cfg.open(ctx, c.cfg.login)
	if err != nil {
		return false, err
	}
	l := newLink(s, c.cfg.MaxStanza, c.cfg.Idle)
	stop := context.AfterFunc(ctx, func() { l.end(errStopped) })
	resumed, err := c.establish(l)
	if !stop() || err != nil {
		l.end(errStopped)
		return false, failed(networkReason(err), err)
	}
	c.attach(l)
	c.cfg.Metrics.Linked(resumed)
	c.cfg.Log.InfoContext(ctx, "link to the carrier is up", "resumed", resumed)
	return true, c.serve(ctx, l, h)
}

// attach lets everybody use the link.
func (c *Carrier) attach(l *link) {
	c.mu.Lock()
	c.link = l
	c.session.stopTimer()
	c.mu.Unlock()
	c.setStatus(carrier.Online, "")
}

// detach takes the link away. The session stays for as long as it may be resumed.
func (c *Carrier) detach() {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.link, c.session.left = nil, c.cfg.Now()
	c.session.dismiss()
	if c.session.id == "" {
		c.session.discard(errUnconfirmed)
		return
	}
	c.session.stopTimer()
	c.session.timer = time.AfterFunc(resumeWait, func() {
		c.mu.Lock()
		defer c.mu.Unlock()
		if c.link == nil {
			c.session.giveUp(errUnconfirmed)
		}
	})
}

func (s *session) stopTimer() {
	if s.timer != nil {
		s.timer.Stop()
		s.timer = nil
	}
}
