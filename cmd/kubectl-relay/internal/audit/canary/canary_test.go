package canary

import (
	"context"
	"encoding/base64"
	"encoding/hex"
	"errors"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/relaykeep/relaykeep/cmd/kubectl-relay/internal/audit"
	"github.com/relaykeep/relaykeep/cmd/kubectl-relay/internal/audit/probe"
	"github.com/relaykeep/relaykeep/relay/phone"
)

// scene is an installation: what was said there, and what each place keeps of it.
type scene struct {
	t *testing.T

	number   string // digits
	texts    []string
	erased   bool
	announce error
	keeps    int // webhooks that are kept back
	lingers  bool
	ended    int
	left     bool

	metrics func() string
	dir     string
	files   map[string]func() string // by name below dir: what they hold, written by Prepare
}

func newScene(t *testing.T) *scene {
	t.Helper()
	s := &scene{t: t, keeps: 1, dir: t.TempDir(), metrics: func() string { return "relaykeep_up 1\n" }}
	s.files = map[string]func() string{
		"volume/relay.db": func() string {
			if s.erased {
				return "sealed"
			}
			return "sealed kept-back sealed"
		},
		"etcd/db": func() string { return "the UID of acme, and more" },
		"carrier/accounts": func() string {
			if s.erased {
				return "nobody"
			}
			return "roster: " + s.number
		},
	}
	return s
}

func (s *scene) Announce(_ context.Context, n phone.Number) (string, error) {
	if s.announce != nil {
		return "", s.announce
	}
	s.number = n.Digits()
	return "DE.4K7QX2MZ5T3VJ6WHYB2ADNCRE5", nil
}

func (s *scene) Holds(context.Context, string, string) (bool, error) { return len(s.texts) > 0, nil }

func (s *scene) Say(_ context.Context, _, text string) error {
	s.texts = append(s.texts, text)
	return nil
}

func (s *scene) KeptBack(context.Context) (int, error) {
	if s.erased {
		return 0, nil
	}
	return s.keeps, nil
}

func (s *scene) Erase(context.Context, string) error {
	s.erased = true
	return nil
}

func (s *scene) Stores(context.Context, string) (bool, error) { return s.lingers, nil }

func (s *scene) End(context.Context) error {
	s.ended++
	return nil
}

// visitor is the canary's client in a scene.
type visitor struct{ *scene }

func (v visitor) Say(_ context.Context, text string) error {
	v.texts = append(v.texts, text)
	return nil
}

func (v visitor) Hears(_ context.Context, text string) error {
	if v.texts[len(v.texts)-1] != text {
		return errors.New("another text")
	}
	return nil
}

func (v visitor) Leave(context.Context) error {
	v.left = true
	return nil
}

// prepare writes the files.
func (s *scene) prepare(context.Context, string) error {
	for name, holds := range s.files {
		path := filepath.Join(s.dir, name)
		if err := errors.Join(os.MkdirAll(filepath.Dir(path), 0o700), os.WriteFile(path, []byte(holds()), 0o600)); err != nil {
			return err
		}
	}
	return nil
}

func (s *scene) options() Options {
	n, err := NewNumber()
	if err != nil {
		s.t.Fatal(err)
	}
	return Options{
		Namespace: "acme", Name: "acme", Number: n, Relay: s, Prepare: s.prepare, Now: time.Now,
		Join: func(context.Context, phone.Number) (Customer, error) { return visitor{s}, nil },
		Texts: func(context.Context) ([]probe.Text, error) {
			return []probe.Text{
				{Place: audit.InLogs, Where: "the log", Bytes: []byte("started")},
				{Place: audit.InEvents, Where: "the events"},
				{Place: audit.InMetrics, Where: "a metric", Show: "kubectl get it", Bytes: []byte(s.metrics())},
				{Place: audit.InStatus, Where: "the status", Bytes: []byte("{}")},
			}, nil
		},
		Files: []File{
			{audit.InVolume, filepath.Join(s.dir, "volume")}, {audit.InEtcd, filepath.Join(s.dir, "etcd", "db")}, {audit.InCarrier, filepath.Join(s.dir, "carrier")},
		},
		Witness: map[audit.Place]string{audit.InVolume: "kept-back", audit.InEtcd: "the UID of acme"},
	}
}

// ends wants a place, or a step, to have ended in a state, with a detail.
func (s *scene) ends(c *audit.Canary, data audit.Data, place audit.Place, want audit.State, says string) {
	s.t.Helper()
	if is := c.Sighting(data, place); is.State != want || !strings.Contains(is.Detail, says) {
		s.t.Errorf("%s in %s is %s (%s), want %s (%s)", data, place, is.State, is.Detail, want, says)
	}
	for _, one := range c.Sightings {
		for _, secret := range append(s.texts, s.number) {
			if secret != "" && strings.Contains(one.Detail+one.Remedy, secret) {
				s.t.Errorf("%s tells what was looked for", one.Place)
			}
		}
	}
}

func (s *scene) step(c *audit.Canary, id audit.ID, want audit.State) {
	s.t.Helper()
	for _, one := range c.Steps {
		if one.ID == id && one.State != want {
			s.t.Errorf("%s is %s (%s), want %s", id, one.State, one.Detail, want)
		}
	}
}

func TestCanary_WhereAllIsKept(t *testing.T) {
	s := newScene(t)
	c := Run(t.Context(), s.options())
	for _, data := range audit.CanaryRows() {
		for _, place := range audit.Places() {
			if place != audit.InCarrier || data != audit.Number {
				s.ends(c, data, place, audit.Kept, "not found")
			}
		}
	}
	s.ends(c, audit.Number, audit.InCarrier, audit.ByDesign, "in 1 places, and in 0 after")
	for _, one := range c.Steps {
		s.step(c, one.ID, audit.Kept)
	}
	if c.State != audit.Kept || !s.erased || s.ended != 1 || !s.left {
		t.Errorf("it is %s; erased: %t, ended %d times, left the carrier: %t", c.State, s.erased, s.ended, s.left)
	}
}

func TestCanary_IsFoundInEachEncoding(t *testing.T) {
	for name, encode := range map[string]func(string) string{
		"plain": func(s string) string { return s }, "hex": func(s string) string { return hex.EncodeToString([]byte(s)) },
		"base64": func(s string) string { return base64.StdEncoding.EncodeToString([]byte("a" + s)) },
	} {
		t.Run(name, func(t *testing.T) {
			s := newScene(t)
			s.metrics = func() string { return "text " + encode(strings.Join(s.texts, "")) }
			volume := s.files["volume/relay.db"]
			s.files["volume/relay.db"] = func() string { return volume() + encode(s.number) }
			c := Run(t.Context(), s.options())
			s.ends(c, audit.Content, audit.InMetrics, audit.Broken, "a metric, at byte")
			s.ends(c, audit.Number, audit.InMetrics, audit.Kept, "")
			s.ends(c, audit.Number, audit.InVolume, audit.Broken, "relay.db")
			s.ends(c, audit.Content, audit.InVolume, audit.Kept, "")
			if c.State != audit.Broken || c.Sighting(audit.Content, audit.InMetrics).Remedy == "" {
				t.Errorf("it is %s", c.State)
			}
		})
	}
}

func TestCanary_IsFoundInNamesAndAfterItsErasure(t *testing.T) {
	s := newScene(t)
	s.files["carrier/archive"] = func() string {
		if s.erased {
			return strings.Join(s.texts, " ")
		}
		return "none"
	}
	o := s.options()
	s.files["volume/"+o.Number.Digits()+".db"] = func() string { return "sealed" }
	c := Run(t.Context(), o)
	s.ends(c, audit.Number, audit.InVolume, audit.Broken, "names")
	s.ends(c, audit.Content, audit.InCarrier, audit.Broken, "after the erasure")
}

// TestCanary_IsNeverGreenWhereNothingWasSearched gives files that are none, old, another's, or not given.
func TestCanary_IsNeverGreenWhereNothingWasSearched(t *testing.T) {
	s := newScene(t)
	o := s.options()
	o.Files = nil
	for _, place := range []audit.Place{audit.InVolume, audit.InEtcd, audit.InCarrier} {
		s.ends(Run(t.Context(), o), audit.Content, place, audit.NotTried, "--search "+string(place)+"=PATH")
	}
	for says, change := range map[string]func(*scene, *Options){
		"bring it up to date": func(s *scene, o *Options) {
			if err := s.prepare(t.Context(), Stored); err != nil {
				t.Fatal(err)
			}
			old := time.Now().Add(-time.Hour)
			if err := os.Chtimes(o.Files[1].Path, old, old); err != nil {
				t.Fatal(err)
			}
			o.Prepare = nil
		},
		"nothing by which it is known": func(s *scene, _ *Options) { s.files["etcd/db"] = func() string { return "compressed" } },
		"is not there":                 func(_ *scene, o *Options) { o.Files[1].Path += "-gone" },
		"--prepare stored: no room": func(_ *scene, o *Options) {
			o.Prepare = func(context.Context, string) error { return errors.New("no room") }
		},
		"is empty": func(s *scene, _ *Options) { s.files["etcd/db"] = func() string { return "" } },
	} {
		s := newScene(t)
		o := s.options()
		change(s, &o)
		s.ends(Run(t.Context(), o), audit.Content, audit.InEtcd, audit.NotTried, says)
	}
	other := newScene(t)
	other.files["carrier/accounts"] = func() string { return "somebody" }
	c := Run(t.Context(), other.options())
	other.ends(c, audit.Content, audit.InCarrier, audit.NotTried, "no trace of the canary")
	other.ends(c, audit.Number, audit.InCarrier, audit.NotTried, "no trace of the canary")
}

func TestCanary_StepsThatFail(t *testing.T) {
	s := newScene(t)
	s.keeps = 0
	s.step(Run(t.Context(), s.options()), audit.CanaryWebhook, audit.Broken)

	s = newScene(t)
	s.lingers = true
	s.step(Run(t.Context(), s.options()), audit.CanaryErasure, audit.Broken)

	s = newScene(t)
	o := s.options()
	o.Join = func(context.Context, phone.Number) (Customer, error) {
		return nil, errors.New("the carrier takes nobody")
	}
	c := Run(t.Context(), o)
	s.step(c, audit.CanaryArrival, audit.NotTried)
	s.ends(c, audit.Content, audit.InLogs, audit.NotTried, "the carrier takes nobody")
	if !s.erased || s.ended != 1 {
		t.Error("a canary that could not write is not erased")
	}

	s = newScene(t)
	s.announce = errors.New("no right")
	o = s.options()
	c = Run(t.Context(), o)
	s.ends(c, audit.Number, audit.InStatus, audit.NotTried, "no right")
	if c.State != audit.NotTried {
		t.Errorf("without any right it is %s", c.State)
	}
}

func TestNewNumber_IsNobodys(t *testing.T) {
	for range 100 {
		n, err := NewNumber()
		if err != nil || !strings.HasPrefix(n.E164(), "+999") || len(n.Digits()) != phone.MaxDigits {
			t.Fatalf("a number of %d digits, %v", len(n.Digits()), err)
		}
	}
}
