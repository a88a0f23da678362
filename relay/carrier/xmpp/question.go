package xmpp

import (
	"context"
	"crypto/rand"
	"errors"
	"fmt"

	"github.com/relaykeep/relaykeep/relay/carrier"
	"github.com/relaykeep/relaykeep/relay/carrier/xmpp/internal/stanza"
)

// question is an <iq/> that waits for its answer. It ends with its link: a Handler
// that asks must not hold up the next one.
type question struct {
	to     string               // whom it was asked; empty: the server about our account
	answer chan *stanza.Element // with room for one; closed when none will come
	list   *stanza.Taker        // of an answer that may be long; nil for none
	then   func()               // called with Carrier.mu held, before anything behind the answer is read; may be nil
}

// errLongAnswer means that there was an answer, of which too much was sent.
var errLongAnswer = errors.New("xmpp: answer is larger than is read")

// instruct has our server change something about our own account.
func (c *Carrier) instruct(ctx context.Context, payload *stanza.Element) (*stanza.Element, error) {
	return c.ask(ctx, "", "set", payload)
}

// ask sends a question and waits for the answer: its whole <iq/>, or a stanzaError.
func (c *Carrier) ask(ctx context.Context, to, kind string, payload *stanza.Element) (*stanza.Element, error) {
	return c.put(ctx, &question{to: to}, kind, payload)
}

// put is ask for a question that was made for it.
func (c *Carrier) put(ctx context.Context, q *question, kind string, payload *stanza.Element) (*stanza.Element, error) {
	ctx, cancel := context.WithTimeout(ctx, c.cfg.IQTimeout)
	defer cancel()
	if err := c.acquire(ctx); err != nil {
		return nil, err
	}
	defer c.release()
	id := rand.Text()
	q.answer = make(chan *stanza.Element, 1)
	iq := stanza.New(stanza.NSClient, "iq", "type", kind, "to", q.to, "id", id).With(payload)

	c.mu.Lock()
	err := c.push(&sent{bytes: iq.Bytes()})
	if err == nil {
		c.session.questions[id] = q
	}
	c.mu.Unlock()
	if err != nil {
		return nil, err
	}
	defer func() {
		c.mu.Lock()
		delete(c.session.questions, id)
		c.mu.Unlock()
	}()
	select {
	case answer, ok := <-q.answer:
		switch {
		case !ok:
			return nil, carrier.ErrOffline
		case answer.Over != "":
			return nil, errLongAnswer
		case answer.Attr("type") == "error":
			return nil, stanza.ParseError(answer)
		}
		return answer, nil
	case <-ctx.Done():
		return nil, fmt.Errorf("waiting for an answer: %w", ctx.Err())
	}
}

// answered hands an answer to who asked. Only the one who was asked may answer.
func (c *Carrier) answered(iq *stanza.Element) {
	c.mu.Lock()
	q := c.session.questions[iq.Attr("id")]
	if q != nil && c.asked(q.to, iq.Attr("from")) {
		delete(c.session.questions, iq.Attr("id"))
		if q.then != nil {
			q.then()
		}
	} else {
		q = nil
	}
	c.mu.Unlock()
	if q == nil {
		c.cfg.Metrics.Dropped(stanza.DropUnasked)
		return
	}
	q.answer <- iq
}

// wanted returns how the answer to a question is read that may be long; nil for any
// other.
func (c *Carrier) wanted(answer *stanza.Element) *stanza.Taker {
	if !answer.Is(stanza.NSClient, "iq") || answer.Attr("type") != "result" {
		return nil
	}
	c.mu.Lock()
	defer c.mu.Unlock()
	if q := c.session.questions[answer.Attr("id")]; q != nil && c.asked(q.to, answer.Attr("from")) {
		return q.list
	}
	return nil
}

// asked reports whether an answer from that address answers a question to that
// one (RFC 6120, 8.1.2.1).
func (c *Carrier) asked(to, from string) bool {
	if to != "" {
		return from == to
	}
	origin, _ := c.addr.Origin(from)
	return origin == stanza.FromOwn || origin == stanza.FromServer || from == c.cfg.bare()+"/"+c.cfg.Resource
}

// acquire waits until another stanza may be under way.
func (c *Carrier) acquire(ctx context.Context) error {
	select {
	case c.slots <- struct{}{}:
		return nil
	case <-ctx.Done():
		return fmt.Errorf("waiting for earlier messages: %w", ctx.Err())
	}
}

func (c *Carrier) release() { <-c.slots }

// push writes a stanza to the link and keeps it until the server acknowledged it.
// c.mu is held.
func (c *Carrier) push(s *sent) error {
	if c.link == nil || len(c.session.unacked) >= 4*maxUnacked {
		return carrier.ErrOffline
	}
	c.session.push(s)
	c.link.write(s.bytes, true)
	return nil
}

// tell sends a stanza that nobody waits for, if there is a link.
func (c *Carrier) tell(e *stanza.Element) error {
	c.mu.Lock()
	defer c.mu.Unlock()
	return c.push(&sent{bytes: e.Bytes()})
}
