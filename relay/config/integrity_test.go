package config_test

import (
	"errors"
	"strings"
	"testing"

	"github.com/relaykeep/relaykeep/api/contract"
	"github.com/relaykeep/relaykeep/relay/config"
	"github.com/relaykeep/relaykeep/test/fuzz/mutation"
)

func validIntegrity() contract.Integrity {
	return contract.Integrity{
		Version: contract.IntegrityVersion, Limits: contract.LimitsEnforced, Relays: 4, Others: 180, Silent: 1, OthersHeld: true, YellowPercent: 5, RedPercent: 15,
	}
}

func TestIntegrity_IsReadAsWritten(t *testing.T) {
	isRead(t, validIntegrity(), validIntegrity(), config.LoadIntegrity)
}

func TestIntegrity_BadOnesAreRefused(t *testing.T) {
	for want, change := range map[string]func(*contract.Integrity){
		"version:":      func(i *contract.Integrity) { i.Version = 2 },
		"limits:":       func(i *contract.Integrity) { i.Limits = "" },
		"relays:":       func(i *contract.Integrity) { i.Relays = 0 },
		"others:":       func(i *contract.Integrity) { i.Others = -1 },
		"silent:":       func(i *contract.Integrity) { i.Silent = contract.MaxNamespaceRelays + 1 },
		"yellowPercent": func(i *contract.Integrity) { i.YellowPercent = 101 },
	} {
		i := validIntegrity()
		change(&i)
		if _, err := config.ParseIntegrity(encoded(t, i)); err == nil || !strings.Contains(err.Error(), want) {
			t.Errorf("%s %v", want, err)
		}
	}
	if _, err := config.ParseIntegrity(make([]byte, contract.MaxIntegrityBytes+1)); !errors.Is(err, config.ErrTooLarge) {
		t.Errorf("one that is too large: %v", err)
	}
}

func FuzzParseIntegrity(tf *testing.F) {
	f := mutation.Of(tf)
	f.Add(string(encoded(f, validIntegrity())))
	f.Add(`{"version":1,"limits":"Exempt","relays":1}`)
	f.Fuzz(func(t *testing.T, text string) {
		i, err := config.ParseIntegrity([]byte(text))
		if err == nil && (i.Relays < 1 || i.Others < 0 || i.Silent < 0 || i.Limits == "") {
			t.Errorf("%+v was read", i)
		}
	})
}
