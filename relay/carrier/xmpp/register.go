package xmpp

import (
	"context"
	"errors"
	"fmt"

	mellium "mellium.im/xmpp"

	"github.com/relaykeep/relaykeep/relay/carrier/xmpp/internal/stanza"
)

// errStepDone ends the library's negotiation where we are done early.
var errStepDone = errors.New("xmpp: done")

// Register makes the account at the server (XEP-0077), with a token first where
// the configuration has one (XEP-0445). ErrAccountExists and ErrRegistrationClosed
// are for good; other errors may pass.
func Register(ctx context.Context, c Config) error {
	c, err := c.withDefaults()
	if err != nil {
		return err
	}
	_, err = c.open(ctx, c.register)
	if errors.Is(err, errStepDone) {
		return nil
	}
	return fmt.Errorf("registering the carrier account: %w", err)
}

// register is the step that registers instead of logging in.
func (c Config) register(_ context.Context, s *mellium.Session, _ offer) error {
	if c.Registration == Token {
		if err := c.registerStep(s, "preauth", stanza.New(stanza.NSPreauth, "preauth", "token", c.RegistrationToken)); err != nil {
			return err
		}
	}
	query := stanza.New(stanza.NSRegister, "query").With(
		stanza.New(stanza.NSRegister, "username").WithText(c.Account.E164()),
		stanza.New(stanza.NSRegister, "password").WithText(c.Password))
	if err := c.registerStep(s, "register", query); err != nil {
		return err
	}
	return errStepDone
}

func (c Config) registerStep(s *mellium.Session, id string, payload *stanza.Element) error {
	answer, err := exchange(s, stanza.New(stanza.NSClient, "iq", "type", "set", "to", c.Domain, "id", id).With(payload))
	if err != nil {
		return err
	}
	if !answer.Is(stanza.NSClient, "iq") || answer.Attr("id") != id {
		return failed(ReasonProtocolError, errors.New("unexpected answer to registration"))
	}
	if answer.Attr("type") == "result" {
		return nil
	}
	refusal := stanza.ParseError(answer)
	switch {
	case refusal.Condition == "conflict":
		return failed(ReasonAccountTaken, ErrAccountExists)
	case refusal.Kind == "wait":
		return failed(ReasonRegistration, refusal)
	}
	return failed(ReasonRegistration, ErrRegistrationClosed)
}

// Unregister removes the account and all that the server keeps for it (XEP-0077,
// 3.2), and ends its links. ErrCredentials means that there is no such account, or
// that its password is another: the server does not tell which.
func Unregister(ctx context.Context, c Config) error {
	c, err := c.withDefaults()
	if err != nil {
		return err
	}
	c.Resource += "-erase" // beside a link that may be up still
	k, err := New(c)
	if err != nil {
		return err
	}
	if err := k.unregister(ctx); err != nil {
		return fmt.Errorf("removing the carrier account: %w", err)
	}
	return nil
}

func (c *Carrier) unregister(ctx context.Context) error {
	s, err := c.cfg.open(ctx, c.cfg.login)
	if err != nil {
		return err
	}
	l := newLink(s, c.cfg.MaxStanza, c.cfg.Idle)
	defer l.end(errStopped)
	ctx, cancel := context.WithTimeout(ctx, c.cfg.IQTimeout)
	defer cancel()
	stop := context.AfterFunc(ctx, func() { l.end(errStopped) })
	defer stop()
	if err := c.bind(l); err != nil {
		return err
	}
	request := stanza.New(stanza.NSClient, "iq", "type", "set", "id", "erase").With(
		stanza.New(stanza.NSRegister, "query").With(stanza.New(stanza.NSRegister, "remove")))
	if _, err := l.Write(request.Bytes()); err != nil {
		return err
	}
	return removed(l)
}

// removed waits for the server's answer. Servers may close the stream before or
// instead of answering; whether the account is gone then is seen by logging in.
func removed(l *link) error {
	for range 64 {
		answer, err := l.read()
		if err != nil {
			return err
		}
		if !answer.Is(stanza.NSClient, "iq") || answer.Attr("id") != "erase" {
			continue
		}
		if answer.Attr("type") == "result" {
			return nil
		}
		refusal := stanza.ParseError(answer)
		if refusal.Kind == "wait" {
			return refusal
		}
		return errors.Join(ErrRegistrationClosed, refusal)
	}
	return errors.New("no answer")
}
