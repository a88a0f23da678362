package stream

import (
	"context"
	"crypto/tls"
	"encoding/base64"
	"errors"
	"fmt"
	"slices"
	"strconv"
	"strings"

	"mellium.im/sasl"
	mellium "mellium.im/xmpp"

	"github.com/relaykeep/relaykeep/relay/carrier/xmpp/internal/stanza"
)

// mechanisms are the mechanisms that we use over such a connection, the best first. We never
// send a plain password. Binding the login to the connection (-PLUS) needs a type of binding
// that both sides know. With TLS 1.3 that is tls-exporter, if the server says that it knows
// it: some servers offer -PLUS and mean tls-unique, which TLS 1.3 does not have. With earlier
// versions it is tls-unique.
func mechanisms(state tls.ConnectionState, bindings []string) []sasl.Mechanism {
	all := []sasl.Mechanism{sasl.ScramSha256, sasl.ScramSha1}
	if state.Version >= tls.VersionTLS13 && slices.Contains(bindings, "tls-exporter") ||
		state.Version < tls.VersionTLS13 && len(state.TLSUnique) > 0 {
		return append([]sasl.Mechanism{sasl.ScramSha256Plus, sasl.ScramSha1Plus}, all...)
	}
	return all
}

// maxIterations bounds the work that a server can demand. Servers usually demand 4,096 to
// 10,000; a million takes about a second.
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
		sasl.Credentials(func() ([]byte, []byte, []byte) { return []byte(c.Account.Local()), []byte(c.Password), nil }),
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
		more, response, err := respond(client, in.Text)
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

func respond(client *sasl.Negotiator, text string) (bool, []byte, error) {
	challenge, err := base64.StdEncoding.DecodeString(text)
	if err != nil {
		return false, nil, errors.New("challenge is no base64")
	}
	for _, field := range strings.Split(string(challenge), ",") {
		n, found := strings.CutPrefix(field, "i=")
		if i, err := strconv.Atoi(n); found && (err != nil || i < 1 || i > maxIterations) {
			return false, nil, errors.New("server demands too much work to authenticate")
		}
	}
	more, response, err := client.Step(challenge)
	if err != nil {
		return false, nil, fmt.Errorf("authenticating: %w", err)
	}
	return more, response, nil
}

// refusedLogin distinguishes a wrong account or password from temporary trouble.
func refusedLogin(in *stanza.Element) error {
	for _, c := range in.Children {
		switch c.Name.Local {
		case "not-authorized", "account-disabled", "credentials-expired", "invalid-authzid":
			return Failed(ReasonCredentialsRefused, ErrCredentials)
		case "temporary-auth-failure":
			return Failed(ReasonUnreachable, errors.New("server cannot authenticate for now"))
		}
	}
	return errors.New("server ended authentication")
}

// open logs in and makes a link.
func open(ctx context.Context, c Config) (*Link, error) {
	n, err := c.negotiate(ctx, c.login)
	if err != nil {
		return nil, err
	}
	return newLink(n, c), nil
}
