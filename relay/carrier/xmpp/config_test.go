package xmpp

import (
	"context"
	"errors"
	"testing"

	"github.com/relaykeep/relaykeep/relay/carrier"
	"github.com/relaykeep/relaykeep/relay/carrier/xmpp/internal/stream"
	"github.com/relaykeep/relaykeep/relay/carrier/xmpp/internal/xmpptest"
	"github.com/relaykeep/relaykeep/relay/phone"
)

func TestConfigurationIsChecked(t *testing.T) {
	good := Config{Login: Login{Account: xmpptest.Number(t, xmpptest.Business), Domain: "relay.test", Password: password}}
	tests := map[string]func(*Config){
		"no account":           func(c *Config) { c.Account = phone.Number{} },
		"no domain":            func(c *Config) { c.Domain = "" },
		"domain with account":  func(c *Config) { c.Domain = "a@relay.test" },
		"domain in capitals":   func(c *Config) { c.Domain = "Relay.test" },
		"address without port": func(c *Config) { c.Address = "relay.test" },
		"CA bundle that is no": func(c *Config) { c.CABundle = []byte("no PEM") },
		"registration maybe":   func(c *Config) { c.Registration = "Maybe" },
		"resource of control":  func(c *Config) { c.Resource = "\x00" },
	}
	for name, spoil := range tests {
		t.Run(name, func(t *testing.T) {
			c := good
			spoil(&c)
			if _, err := New(c); err == nil {
				t.Error("accepted")
			}
			if err := Register(t.Context(), c); err == nil {
				t.Error("registered")
			}
		})
	}
	k, err := New(good)
	if err != nil {
		t.Fatalf("the rightful configuration: %v", err)
	}
	if st := k.Status(); st.State != carrier.Disconnected || st.Reason != ReasonNotStarted || st.Detail == "" {
		t.Errorf("before Run: %+v", st)
	}
	if err := k.Send(t.Context(), carrier.Outgoing{ID: "1", To: xmpptest.Number(t, xmpptest.Customer)}); !errors.Is(err, carrier.ErrOffline) {
		t.Errorf("sending before Run: %v", err)
	}
	if err := k.Send(t.Context(), carrier.Outgoing{To: xmpptest.Number(t, xmpptest.Customer)}); !errors.Is(err, carrier.ErrRejected) {
		t.Errorf("sending without id: %v", err)
	}
	huge := carrier.Outgoing{ID: "1", To: xmpptest.Number(t, xmpptest.Customer), Envelope: carrier.Envelope{Payload: make([]byte, stream.MaxOutgoing)}}
	if err := k.Send(t.Context(), huge); !errors.Is(err, carrier.ErrRejected) {
		t.Errorf("sending what no server takes: %v", err)
	}
}

func TestEndedContextEndsRun(t *testing.T) {
	k, err := New(Config{Login: Login{Account: xmpptest.Number(t, xmpptest.Business), Domain: "relay.test", Address: "127.0.0.1:1"}})
	if err != nil {
		t.Fatal(err)
	}
	ctx, cancel := context.WithCancel(t.Context())
	cancel()
	if err := k.Run(ctx, &recorder{}); !errors.Is(err, context.Canceled) {
		t.Errorf("Run returned %v", err)
	}
	if st := k.Status(); st.Reason != ReasonStopped {
		t.Errorf("after Run: %+v", st)
	}
}

func TestReasons_SayWhatToDo(t *testing.T) {
	for _, reason := range []string{
		ReasonNotStarted, ReasonConnecting, ReasonUnreachable, ReasonTLSFailed, ReasonCredentialsRefused,
		ReasonRegistration, ReasonAccountTaken, ReasonNoStreamManagement, ReasonReplaced, ReasonProtocolError, ReasonServerClosed,
		ReasonLinkLost, ReasonNotStored, ReasonStopped,
	} {
		if detail(reason) == "" {
			t.Errorf("%s has no detail", reason)
		}
	}
}
