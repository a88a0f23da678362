package stream

import (
	"context"
	"errors"
	"time"

	mellium "mellium.im/xmpp"

	"github.com/relaykeep/relaykeep/relay/carrier/xmpp/internal/stanza"
)

// errStepDone ends the library's negotiation where we are done early.
var errStepDone = errors.New("xmpp: done")

// Register creates the account at the server (XEP-0077). Before that it presents the token,
// if there is one (XEP-0445). ErrAccountExists and ErrRegistrationClosed are permanent; other
// errors may be temporary.
func Register(ctx context.Context, c Config, token *string) error {
	_, err := c.negotiate(ctx, func(_ context.Context, s *mellium.Session, _ offer) error {
		if token != nil {
			if err := c.registerStep(s, "preauth", stanza.New(stanza.NSPreauth, "preauth", "token", *token)); err != nil {
				return err
			}
		}
		query := stanza.New(stanza.NSRegister, "query").With(
			stanza.New(stanza.NSRegister, "username").WithText(c.Account.Local()),
			stanza.New(stanza.NSRegister, "password").WithText(c.Password))
		if err := c.registerStep(s, "register", query); err != nil {
			return err
		}
		return errStepDone
	})
	if errors.Is(err, errStepDone) {
		return nil
	}
	return err
}

func (c Config) registerStep(s *mellium.Session, id string, payload *stanza.Element) error {
	answer, err := exchange(s, stanza.New(stanza.NSClient, "iq", "type", "set", "to", c.Domain, "id", id).With(payload))
	if err != nil {
		return err
	}
	if !answer.Is(stanza.NSClient, "iq") || answer.Attr("id") != id {
		return Failed(ReasonProtocolError, errors.New("unexpected answer to registration"))
	}
	if answer.Attr("type") == "result" {
		return nil
	}
	refusal := stanza.ParseError(answer)
	switch {
	case refusal.Condition == "conflict":
		return Failed(ReasonAccountTaken, ErrAccountExists)
	case refusal.Kind == "wait":
		return Failed(ReasonRegistration, refusal)
	}
	return Failed(ReasonRegistration, ErrRegistrationClosed)
}

// Unregister logs in and removes the account and all that the server keeps for it (XEP-0077,
// 3.2), which ends its links. ErrCredentials means that there is no such account or that the
// password is wrong. After the login the server must answer within that time.
func Unregister(ctx context.Context, c Config, within time.Duration) error {
	l, err := open(ctx, c)
	if err != nil {
		return err
	}
	defer l.End(ErrStopped)
	ctx, cancel := context.WithTimeout(ctx, within)
	defer cancel()
	stop := context.AfterFunc(ctx, func() { l.End(ErrStopped) })
	defer stop()
	if err := l.bind(); err != nil {
		return err
	}
	request := stanza.New(stanza.NSClient, "iq", "type", "set", "id", "erase").With(
		stanza.New(stanza.NSRegister, "query").With(stanza.New(stanza.NSRegister, "remove")))
	if err := l.sendNow(request); err != nil {
		return err
	}
	return l.removed()
}

// removed waits for the server's answer. Servers may close the stream before they answer or
// instead; then only another login shows whether the account is gone.
func (l *Link) removed() error {
	for range maxBefore {
		answer, err := l.next()
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
