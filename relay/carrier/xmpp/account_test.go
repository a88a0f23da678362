package xmpp

import (
	"errors"
	"fmt"
	"log/slog"
	"strings"
	"sync"
	"testing"

	"github.com/relaykeep/relaykeep/relay/carrier"
	"github.com/relaykeep/relaykeep/relay/carrier/xmpp/internal/xmpptest"
	"github.com/relaykeep/relaykeep/test/services/prosody"
)

// becomes waits until the carrier says that of itself.
func (n *node) becomes(t *testing.T, state carrier.State, reason string) {
	t.Helper()
	eventually(t, fmt.Sprintf("%s, %s", state, reason), func() bool {
		st := n.Status()
		return st.State == state && st.Reason == reason && (state == carrier.Online) == (st.Detail == "")
	})
}

func TestAccountIsRegisteredAndRemoved(t *testing.T) {
	onServers(t, func(t *testing.T, s server) {
		c := config(t, s, xmpptest.Business)
		if err := Register(t.Context(), c); err != nil {
			t.Fatal(err)
		}
		if err := Register(t.Context(), c); !errors.Is(err, ErrAccountExists) {
			t.Errorf("registering again: %v", err)
		}
		wrong := c
		wrong.Password = "wrong"
		if err := Unregister(t.Context(), wrong); !errors.Is(err, ErrCredentials) {
			t.Errorf("removing with a wrong password: %v", err)
		}
		if err := Unregister(t.Context(), c); err != nil {
			t.Fatal(err)
		}
		if err := Unregister(t.Context(), c); !errors.Is(err, ErrCredentials) {
			t.Errorf("removing what is gone: %v", err)
		}
	})
}

func TestRefusalsAreTold(t *testing.T) {
	onOwnServers(t, false, func(t *testing.T, s server) {
		if err := s.AddAccount(t.Context(), xmpptest.Business, password); err != nil {
			t.Fatal(err)
		}
		if err := Register(t.Context(), config(t, s, xmpptest.Customer)); !errors.Is(err, ErrRegistrationClosed) {
			t.Errorf("registering where it is closed: %v", err)
		}
		tests := map[string]struct {
			account, password string
			registration      Registration
			state             carrier.State
			reason            string
		}{
			"rightful owner":              {xmpptest.Business, password, Closed, carrier.Online, ""},
			"wrong password":              {xmpptest.Business, "wrong", Closed, carrier.Refused, ReasonCredentialsRefused},
			"no account":                  {xmpptest.Customer, password, Closed, carrier.Refused, ReasonCredentialsRefused},
			"no account, may register":    {xmpptest.Customer, password, Open, carrier.Refused, ReasonRegistration},
			"wrong password may register": {xmpptest.Business, "wrong", Open, carrier.Refused, ReasonRegistration},
		}
		for name, tc := range tests {
			t.Run(name, func(t *testing.T) {
				c := config(t, s, tc.account)
				c.Password, c.Registration = tc.password, tc.registration
				run(t, c).becomes(t, tc.state, tc.reason)
			})
		}
	})
}

// TestRegistration_NeedsTheTokenWhereOneIsRequired: Prosody's own invitations (XEP-0445).
func TestRegistration_NeedsTheTokenWhereOneIsRequired(t *testing.T) {
	s := prosody.StartT(t, prosody.Options{Invitations: true})
	token, err := s.Invite(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	invited := config(t, s, xmpptest.Business)
	invited.Registration, invited.RegistrationToken = Token, token
	strangers := map[string]func(*Config){
		"no token":      func(c *Config) { c.Registration, c.RegistrationToken = Open, "" },
		"empty token":   func(c *Config) { c.RegistrationToken = "" },
		"wrong token":   func(c *Config) { c.RegistrationToken = "wrong" },
		"similar token": func(c *Config) { c.RegistrationToken = token[:len(token)-1] },
	}
	refused := func(c Config, what string) {
		t.Helper()
		if err := Register(t.Context(), c); !errors.Is(err, ErrRegistrationClosed) {
			t.Errorf("registering with %s: %v", what, err)
		}
	}
	for what, change := range strangers {
		c := invited
		change(&c)
		refused(c, what)
		n := run(t, c)
		n.becomes(t, carrier.Refused, ReasonRegistration)
		n.stop()
	}
	online(t, invited).becomes(t, carrier.Online, "") // it registers by itself
	next := invited
	next.Account = xmpptest.Number(t, xmpptest.Customer)
	refused(next, "a used token")
	if next.RegistrationToken, err = s.Invite(t.Context()); err != nil {
		t.Fatal(err)
	}
	if err := Register(t.Context(), next); err != nil {
		t.Errorf("registering with the next token: %v", err)
	}
	taken := invited
	if taken.RegistrationToken, err = s.Invite(t.Context()); err != nil {
		t.Fatal(err)
	}
	if err := Register(t.Context(), taken); !errors.Is(err, ErrAccountExists) {
		t.Errorf("registering what is there: %v", err)
	}
}

// hesitant is a module of Prosody's that has the first registration wait.
const hesitant = `
local asked = false
module:hook("user-registering", function (event)
	if asked then return end
	asked = true
	event.allowed, event.error_type, event.error_condition = false, "wait", "resource-constraint"
end)
`

func TestRegistration_ToldToWaitIsRetried(t *testing.T) {
	s := prosody.StartT(t, prosody.Options{Registration: true, Modules: map[string]string{"hesitant": hesitant}})
	log := &journal{}
	conf := config(t, s, xmpptest.Business)
	conf.Log = slog.New(slog.NewTextHandler(log, nil))
	online(t, conf)
	if log.count("reason=RegistrationRefused") != 1 {
		t.Error("the server did not have it wait")
	}
}

func TestRegistration_FailureIsReportedWhileThereIsNoAccount(t *testing.T) {
	onOwnServers(t, false, func(t *testing.T, s server) {
		log := &journal{}
		conf := config(t, s, xmpptest.Business)
		conf.Log = slog.New(slog.NewTextHandler(log, nil))
		run(t, conf)
		eventually(t, "three attempts", func() bool { return log.count("no link to the carrier") >= 3 })
		if n := log.count("reason=CredentialsRefused"); n > 0 {
			t.Errorf("%d times it told of the password alone", n)
		}
	})
}

// journal keeps what is logged.
type journal struct {
	mu   sync.Mutex
	text strings.Builder
}

func (j *journal) Write(p []byte) (int, error) {
	j.mu.Lock()
	defer j.mu.Unlock()
	return j.text.Write(p)
}

func (j *journal) count(text string) int {
	j.mu.Lock()
	defer j.mu.Unlock()
	return strings.Count(j.text.String(), text)
}

// A number that passes on has an account already, under the password of its former
// owner's relay: that is told, and the relay goes on once the carrier's admin removed it.
func TestAccountOfAFormerOwnerIsToldAndTakenOverOnceItIsRemoved(t *testing.T) {
	onServers(t, func(t *testing.T, s server) {
		former := config(t, s, xmpptest.Business)
		online(t, former).stop()
		c := config(t, s, xmpptest.Business)
		c.Password = "another"
		n := run(t, c)
		n.becomes(t, carrier.Refused, ReasonAccountTaken)
		if err := Unregister(t.Context(), former); err != nil {
			t.Fatal(err)
		}
		n.becomes(t, carrier.Online, "")
		n.stop()
	})
}

func TestUntrustedServerGetsNoCredentials(t *testing.T) {
	s := prosody.StartT(t, prosody.Options{Registration: true})
	other, err := prosody.NewCertificate([]string{s.Domain})
	if err != nil {
		t.Fatal(err)
	}
	wrongCA := config(t, s, xmpptest.Business)
	wrongCA.CABundle = other.CA
	systemCA := config(t, s, xmpptest.Business)
	systemCA.CABundle = nil
	wrongName := config(t, s, xmpptest.Business)
	wrongName.Domain = "other.test"
	for name, c := range map[string]Config{"another authority": wrongCA, "the system's": systemCA} {
		t.Run(name, func(t *testing.T) {
			run(t, c).becomes(t, carrier.Disconnected, ReasonTLSFailed)
		})
	}
	if err := Register(t.Context(), wrongName); err == nil {
		t.Error("registered at a server with another name")
	}
}
