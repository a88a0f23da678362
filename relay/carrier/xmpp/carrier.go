package xmpp

import (
	"sync"
	"time"

	"github.com/relaykeep/relaykeep/relay/carrier"
	"github.com/relaykeep/relaykeep/relay/carrier/xmpp/internal/stanza"
	"github.com/relaykeep/relaykeep/relay/carrier/xmpp/internal/stream"
	"github.com/relaykeep/relaykeep/relay/phone"
)

var _ carrier.Carrier = (*Carrier)(nil)

// Carrier keeps one account connected to its server. Make one with New.
type Carrier struct {
	cfg       Config
	addr      stanza.Addresses
	reader    stanza.Reader
	stream    *stream.Stream
	questions *questions

	mu       sync.Mutex
	status   carrier.Status // guarded by mu, as all below
	running  bool           // Run was called
	progress progress
	contacts *contacts       // as read in this stream; nil before
	knocks   map[string]bool // messages that say nothing, by id: whether they came back
	upload   string          // address of the upload service, "" while unknown

	// newContacts are peers who let us see their presence: how many of these we still answer.
	newContacts map[phone.Number]int
}

// progress is how far the Handler got with what we asked for at the start of a stream. What
// it has not received when the link breaks is lost, and the server does not send it again by
// itself: a link that resumes the stream has to ask again.
type progress struct {
	announced  bool      // the Handler received Connected
	introduced bool      // our presence is sent and the Handler saw our device list
	caughtUp   bool      // the Handler received the archive up to this stream
	live       bool      // all that waited for the stream arrived
	left       time.Time // when its last link ended; zero before

	query  string // of the page of the archive that was asked for; empty for none
	wanted bool   // its messages go to the Handler
}

// New makes a Carrier, which does nothing before Run. It returns an error for an invalid
// configuration.
func New(c Config) (*Carrier, error) {
	c, err := c.withDefaults()
	if err != nil {
		return nil, err
	}
	addr, s := stanza.Addresses{Own: c.Account, Domain: c.Domain, Names: c.Names}, stream.New()
	return &Carrier{
		cfg:       c,
		addr:      addr,
		reader:    stanza.Reader{Addresses: addr, AcceptUnencrypted: c.AcceptUnencrypted},
		stream:    s,
		questions: newQuestions(c, addr, s),
		status:    carrier.Status{State: carrier.Disconnected, Reason: ReasonNotStarted, Detail: detail(ReasonNotStarted), Since: time.Now()},
		knocks:    map[string]bool{},

		newContacts: map[phone.Number]int{},
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

// reached returns how far the Handler got.
func (c *Carrier) reached() progress {
	c.mu.Lock()
	defer c.mu.Unlock()
	return c.progress
}

// post sends a stanza that nobody waits for, if there is a link.
func (c *Carrier) post(e *stanza.Element) error { return c.stream.Post(e.Bytes()) }
