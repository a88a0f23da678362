package xmpp

import (
	"context"
	"crypto/tls"
	"encoding/base64"
	"encoding/xml"
	"errors"
	"fmt"
	"io"
	"net"
	"slices"
	"strconv"
	"strings"

	"mellium.im/sasl"
	mellium "mellium.im/xmpp"

	"github.com/relaykeep/relaykeep/relay/carrier/xmpp/internal/stanza"
)

// stream is a negotiated stream: TLS, and with login authenticated.
type stream struct {
	*wire
	management bool // the server offers stream management
	offer      offer
}

// offer is how a server lets clients authenticate.
type offer struct {
	mechanisms []string
	// bindings are the types of channel binding that it says it knows (XEP-0440).
	bindings []string
}

// step is what follows TLS while the stream is negotiated: login or registration.
type step func(ctx context.Context, s *mellium.Session, o offer) error

// open connects, starts TLS and takes the step. When it fails there is no
// connection left; when ctx ends, it fails.
func (c Config) open(ctx context.Context, do step) (*stream, error) {
	ctx, cancel := context.WithTimeout(ctx, loginTimeout)
	defer cancel()
	account, err := c.jid()
	if err != nil {
		return nil, err
	}
	conn, err := c.dial(ctx)
	if err != nil {
		return nil, failed(ReasonUnreachable, err)
	}
	// The library clears deadlines; closing is what surely ends a read.
	stop := context.AfterFunc(ctx, func() { _ = conn.Close() })
	s := &stream{}
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
		return nil, failed(networkReason(err), err)
	}
	s.wire = session.Conn().(*wire)
	return s, nil
}

// networkReason tells a silent or broken server from one that breaks the protocol.
func networkReason(err error) string {
	if e := net.Error(nil); errors.As(err, &e) || stanza.CutOff(err) {
		return ReasonUnreachable
	}
	return ReasonProtocolError
}

// tlsFeature is STARTTLS (RFC 6120, 5). The library asks for it even when the
// server does not offer it, so that nobody in between can talk us out of it.
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
				return 0, nil, failed(ReasonTLSFailed, errors.New("server refuses TLS"))
			}
			w, err := c.startTLS(ctx, s.Conn().(*wire))
			if err != nil {
				return 0, nil, failed(ReasonTLSFailed, err)
			}
			return mellium.Secure, w, nil
		},
	}
}

// authFeature takes the step when the server offers to authenticate.
func (st *stream) authFeature(do step) mellium.StreamFeature {
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
			st.offer.mechanisms, _ = data.([]string)
			if err := do(ctx, s, st.offer); err != nil {
				return 0, nil, err
			}
			return mellium.Authn, s.Conn(), nil
		},
	}
}

// bindingsFeature notes which types of channel binding the server knows.
func (st *stream) bindingsFeature() mellium.StreamFeature {
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
				st.offer.bindings = append(st.offer.bindings, t.Type)
			}
			return false, nil, err
		},
	}
}

// managementFeature notes that the server offers stream management.
func (st *stream) managementFeature() mellium.StreamFeature {
	return mellium.StreamFeature{
		Name:      xml.Name{Space: stanza.NSSM, Local: "sm"},
		Necessary: mellium.Authn,
		Parse: func(_ context.Context, d *xml.Decoder, _ *xml.StartElement) (bool, any, error) {
			st.management = true
			return false, nil, d.Skip()
		},
	}
}

// bindFeature ends the library's part: whether to resume or to bind a resource is
// for the link to say.
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

// mechanisms are those we use over such a connection, the best first. Plain
// passwords are never sent. Binding the login to the connection (-PLUS) needs a type
// of binding that both know: with TLS 1.3 that is tls-exporter, if the server says
// that it knows it, since some offer -PLUS and mean tls-unique, which TLS 1.3 lacks;
// before, it is tls-unique.
func mechanisms(state tls.ConnectionState, bindings []string) []sasl.Mechanism {
	all := []sasl.Mechanism{sasl.ScramSha256, sasl.ScramSha1}
	if state.Version >= tls.VersionTLS13 && slices.Contains(bindings, "tls-exporter") ||
		state.Version < tls.VersionTLS13 && len(state.TLSUnique) > 0 {
		return append([]sasl.Mechanism{sasl.ScramSha256Plus, sasl.ScramSha1Plus}, all...)
	}
	return all
}

// maxIterations bounds the work that a server can ask for; servers ask for 4,096
// to 10,000 in general, and a million takes about a second.
const maxIterations = 1_000_000

// login authenticates with SCRAM (RFC 5802, RFC 7677), which also proves that the
// server knows the account.
func (c Config) login(_ context.Context, s *mellium.Session, o offer) error {
	state := s.ConnectionState()
	mechanism, err := choose(mechanisms(state, o.bindings), o.mechanisms)
	if err != nil {
		return err
	}
	opts := []sasl.Option{
		sasl.Credentials(func() ([]byte, []byte, []byte) { return []byte(c.Account.E164()), []byte(c.Password), nil }),
		sasl.RemoteMechanisms(o.mechanisms...),
	}
	if strings.HasSuffix(mechanism.Name, "-PLUS") {
		opts = append(opts, sasl.TLSState(state))
	}
	client := sasl.NewClient(mechanism, opts...)
	_, first, err := client.Step(nil)
	if err != nil {
		return fmt.Errorf("starting authentication: %w", err)
	}
	out := stanza.New(stanza.NSSASL, "auth", "mechanism", mechanism.Name).WithText(stanza.Encode(first))
	for {
		in, err := exchange(s, out)
		if err != nil {
			return err
		}
		if in.Is(stanza.NSSASL, "failure") {
			return refusedLogin(in)
		}
		done := in.Is(stanza.NSSASL, "success")
		if !done && !in.Is(stanza.NSSASL, "challenge") {
			return errors.New("unexpected element during authentication")
		}
		more, response, err := answer(client, in.Text)
		if err != nil {
			return err
		}
		if done {
			if more {
				return errors.New("server ended authentication without proof")
			}
			return nil
		}
		out = stanza.New(stanza.NSSASL, "response").WithText(stanza.Encode(response))
	}
}

func choose(usable []sasl.Mechanism, offered []string) (sasl.Mechanism, error) {
	for _, m := range usable {
		if slices.Contains(offered, m.Name) {
			return m, nil
		}
	}
	return sasl.Mechanism{}, errors.New("server offers no SCRAM mechanism")
}

func answer(client *sasl.Negotiator, text string) (bool, []byte, error) {
	challenge, err := base64.StdEncoding.DecodeString(text)
	if err != nil {
		return false, nil, errors.New("challenge is no base64")
	}
	for _, field := range strings.Split(string(challenge), ",") {
		n, found := strings.CutPrefix(field, "i=")
		if i, err := strconv.Atoi(n); found && (err != nil || i < 1 || i > maxIterations) {
			return false, nil, errors.New("server asks for too much work to authenticate")
		}
	}
	more, response, err := client.Step(challenge)
	if err != nil {
		return false, nil, fmt.Errorf("authenticating: %w", err)
	}
	return more, response, nil
}

// refusedLogin tells a wrong account or password from trouble that passes.
func refusedLogin(in *stanza.Element) error {
	for _, c := range in.Children {
		switch c.Name.Local {
		case "not-authorized", "account-disabled", "credentials-expired", "invalid-authzid":
			return failed(ReasonCredentialsRefused, ErrCredentials)
		case "temporary-auth-failure":
			return failed(ReasonUnreachable, errors.New("server cannot authenticate for now"))
		}
	}
	return errors.New("server ended authentication")
}
