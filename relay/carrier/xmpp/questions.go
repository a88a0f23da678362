package xmpp

import (
	"context"
	"crypto/rand"
	"errors"
	"fmt"
	"sync"
	"time"

	"github.com/relaykeep/relaykeep/relay/carrier"
	"github.com/relaykeep/relaykeep/relay/carrier/xmpp/internal/stanza"
	"github.com/relaykeep/relaykeep/relay/carrier/xmpp/internal/stream"
)

// question is an <iq/> of ours that waits for its answer. It ends with its link, so that a
// Handler that waits for an answer does not hold up the next link.
type question struct {
	to     string               // whom we asked; empty: the server about our account
	answer chan *stanza.Element // with room for one; closed when none will come
	list   *stanza.LongList     // reads an answer that may be long; nil for any other
	then   func()               // called before anything after the answer is read; may be nil
}

// errLongAnswer means that the answer was too large to be read.
var errLongAnswer = errors.New("xmpp: answer is larger than is read")

// questions are those that we asked on the present link and that have no answer yet.
type questions struct {
	stream  *stream.Stream
	addr    stanza.Addresses
	full    string // our own address, with resource
	within  time.Duration
	metrics Metrics

	mu   sync.Mutex
	open map[string]*question // guarded by mu, by the id
}

func newQuestions(c Config, addr stanza.Addresses, s *stream.Stream) *questions {
	return &questions{
		stream: s, addr: addr, full: addr.Of(addr.Own) + "/" + c.Resource,
		within: c.IQTimeout, metrics: c.Metrics, open: map[string]*question{},
	}
}

// set asks our server to change something about our own account.
func (qs *questions) set(ctx context.Context, payload *stanza.Element) (*stanza.Element, error) {
	return qs.ask(ctx, "", "set", payload)
}

// ask sends a question and waits for the answer: its whole <iq/>, or a stanza.Error.
func (qs *questions) ask(ctx context.Context, to, kind string, payload *stanza.Element) (*stanza.Element, error) {
	return qs.put(ctx, &question{to: to}, kind, payload)
}

// put is ask for a question with a list or a then.
func (qs *questions) put(ctx context.Context, q *question, kind string, payload *stanza.Element) (*stanza.Element, error) {
	ctx, cancel := context.WithTimeout(ctx, qs.within)
	defer cancel()
	release, err := qs.stream.Reserve(ctx)
	if err != nil {
		return nil, err
	}
	defer release()
	id := rand.Text()
	q.answer = make(chan *stanza.Element, 1)
	iq := stanza.New(stanza.NSClient, "iq", "type", kind, "to", q.to, "id", id).With(payload)

	qs.mu.Lock()
	qs.open[id] = q // before it is sent: the answer may come at once
	qs.mu.Unlock()
	defer func() {
		qs.mu.Lock()
		delete(qs.open, id)
		qs.mu.Unlock()
	}()
	if err := qs.stream.Post(iq.Bytes()); err != nil {
		return nil, err
	}
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

// receive passes an answer to its question. Only the address that we asked may answer.
func (qs *questions) receive(iq *stanza.Element) {
	id := iq.Attr("id")
	qs.mu.Lock()
	q := qs.open[id]
	if q != nil && qs.mayAnswer(q.to, iq.Attr("from")) {
		delete(qs.open, id)
	} else {
		q = nil
	}
	qs.mu.Unlock()
	if q == nil {
		qs.metrics.Dropped(stanza.DropUnasked)
		return
	}
	if q.then != nil {
		q.then()
	}
	q.answer <- iq
}

// long returns the reader of an answer that may be long; nil for any other.
func (qs *questions) long(answer *stanza.Element) *stanza.LongList {
	if !answer.Is(stanza.NSClient, "iq") || answer.Attr("type") != "result" {
		return nil
	}
	qs.mu.Lock()
	defer qs.mu.Unlock()
	if q := qs.open[answer.Attr("id")]; q != nil && qs.mayAnswer(q.to, answer.Attr("from")) {
		return q.list
	}
	return nil
}

// mayAnswer reports whether an answer from one address may answer a question to the other
// (RFC 6120, 8.1.2.1).
func (qs *questions) mayAnswer(to, from string) bool {
	if to != "" {
		return from == to
	}
	origin, _ := qs.addr.Origin(from)
	return origin == stanza.FromOwn || origin == stanza.FromServer || from == qs.full
}

// dismiss tells those who wait for an answer that none will come.
func (qs *questions) dismiss() {
	qs.mu.Lock()
	defer qs.mu.Unlock()
	for id, q := range qs.open {
		close(q.answer)
		delete(qs.open, id)
	}
}
