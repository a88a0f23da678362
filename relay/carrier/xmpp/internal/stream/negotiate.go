package stream

import (
	"context"
	"encoding/xml"
	"errors"
	"io"

	mellium "mellium.im/xmpp"

	"github.com/relaykeep/relaykeep/relay/carrier/xmpp/internal/stanza"
)

// negotiated is a connection with TLS on which the step is done, so that it is ready.
type negotiated struct {
	wire       *wire
	management bool // the server offers stream management
	offer      offer
}

// offer is how the server lets clients authenticate.
type offer struct {
	mechanisms []string
	// bindings are the types of channel binding that the server says it knows (XEP-0440).
	bindings []string
}

// step is what follows TLS while the stream is negotiated: login or registration.
type step func(ctx context.Context, s *mellium.Session, o offer) error

// negotiate connects, starts TLS and does the step. It fails when ctx ends. When it fails, no
// connection is left.
func (c Config) negotiate(ctx context.Context, do step) (*negotiated, error) {
	ctx, cancel := context.WithTimeout(ctx, loginTimeout)
	defer cancel()
	account, err := c.JID()
	if err != nil {
		return nil, err
	}
	conn, err := c.dial(ctx)
	if err != nil {
		return nil, Failed(ReasonUnreachable, err)
	}
	// The library clears deadlines, so only closing is sure to end a read.
	stop := context.AfterFunc(ctx, func() { _ = conn.Close() })
	s := &negotiated{}
	session, err := mellium.NewSession(ctx, account.Domain(), account.Bare(), newWire(conn, 2*c.Idle), 0,
		mellium.NewNegotiator(func(*mellium.Session, *mellium.StreamConfig) mellium.StreamConfig {
			return mellium.StreamConfig{Features: []mellium.StreamFeature{
				c.tlsFeature(), s.bindingsFeature(), s.authFeature(do), s.managementFeature(), bindFeature(),
			}}
		}))
	if !stop() && err == nil {
		err = ctx.Err()
	}
	if err != nil {
		_ = conn.Close()
		return nil, Failed(networkReason(err), err)
	}
	s.wire = session.Conn().(*wire)
	return s, nil
}

// tlsFeature is STARTTLS (RFC 6120, 5). The library asks for it even when the server does not
// offer it, so that nobody in between can strip it.
func (c Config) tlsFeature() mellium.StreamFeature {
	return mellium.StreamFeature{
		Name:       xml.Name{Space: stanza.NSTLS, Local: "starttls"},
		Prohibited: mellium.Secure,
		Parse: func(_ context.Context, d *xml.Decoder, _ *xml.StartElement) (bool, any, error) {
			return true, nil, d.Skip()
		},
		Negotiate: func(ctx context.Context, s *mellium.Session, _ any) (mellium.SessionState, io.ReadWriter, error) {
			answer, err := exchange(s, stanza.New(stanza.NSTLS, "starttls"))
			if err != nil {
				return 0, nil, err
			}
			if !answer.Is(stanza.NSTLS, "proceed") {
				return 0, nil, Failed(ReasonTLSFailed, errors.New("server refuses TLS"))
			}
			w, err := c.startTLS(ctx, s.Conn().(*wire))
			if err != nil {
				return 0, nil, Failed(ReasonTLSFailed, err)
			}
			return mellium.Secure, w, nil
		},
	}
}

// authFeature does the step when the server offers to authenticate.
func (n *negotiated) authFeature(do step) mellium.StreamFeature {
	return mellium.StreamFeature{
		Name:       xml.Name{Space: stanza.NSSASL, Local: "mechanisms"},
		Necessary:  mellium.Secure,
		Prohibited: mellium.Authn,
		Parse: func(_ context.Context, d *xml.Decoder, start *xml.StartElement) (bool, any, error) {
			var list struct {
				Names []string `xml:"urn:ietf:params:xml:ns:xmpp-sasl mechanism"`
			}
			err := d.DecodeElement(&list, start)
			return true, list.Names, err
		},
		Negotiate: func(ctx context.Context, s *mellium.Session, data any) (mellium.SessionState, io.ReadWriter, error) {
			n.offer.mechanisms, _ = data.([]string)
			if err := do(ctx, s, n.offer); err != nil {
				return 0, nil, err
			}
			return mellium.Authn, s.Conn(), nil
		},
	}
}

// bindingsFeature notes which types of channel binding the server knows.
func (n *negotiated) bindingsFeature() mellium.StreamFeature {
	return mellium.StreamFeature{
		Name:       xml.Name{Space: stanza.NSBindings, Local: "sasl-channel-binding"},
		Necessary:  mellium.Secure,
		Prohibited: mellium.Authn,
		Parse: func(_ context.Context, d *xml.Decoder, start *xml.StartElement) (bool, any, error) {
			var list struct {
				Types []struct {
					Type string `xml:"type,attr"`
				} `xml:"urn:xmpp:sasl-cb:0 channel-binding"`
			}
			err := d.DecodeElement(&list, start)
			for _, t := range list.Types {
				n.offer.bindings = append(n.offer.bindings, t.Type)
			}
			return false, nil, err
		},
	}
}

// managementFeature notes that the server offers stream management.
func (n *negotiated) managementFeature() mellium.StreamFeature {
	return mellium.StreamFeature{
		Name:      xml.Name{Space: stanza.NSSM, Local: "sm"},
		Necessary: mellium.Authn,
		Parse: func(_ context.Context, d *xml.Decoder, _ *xml.StartElement) (bool, any, error) {
			n.management = true
			return false, nil, d.Skip()
		},
	}
}

// bindFeature ends the library's part: the link decides whether to resume or to bind a
// resource.
func bindFeature() mellium.StreamFeature {
	return mellium.StreamFeature{
		Name:      xml.Name{Space: stanza.NSBind, Local: "bind"},
		Necessary: mellium.Authn,
		Parse: func(_ context.Context, d *xml.Decoder, _ *xml.StartElement) (bool, any, error) {
			return true, nil, d.Skip()
		},
		Negotiate: func(context.Context, *mellium.Session, any) (mellium.SessionState, io.ReadWriter, error) {
			return mellium.Ready, nil, nil
		},
	}
}

// exchange sends an element and reads the next one, during negotiation.
func exchange(s *mellium.Session, e *stanza.Element) (*stanza.Element, error) {
	if _, err := s.Conn().Write(e.Bytes()); err != nil {
		return nil, err
	}
	r := s.TokenReader()
	defer r.Close()
	for {
		tok, err := r.Token()
		if err != nil {
			return nil, stanza.NotEOF(err)
		}
		switch t := tok.(type) {
		case xml.StartElement:
			return stanza.ReadElement(r, t)
		case xml.CharData:
		default:
			return nil, stanza.ErrForbiddenXML
		}
	}
}
