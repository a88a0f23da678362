package config_test

import (
	"errors"
	"strings"
	"testing"

	"github.com/relaykeep/relaykeep/api/contract"
	"github.com/relaykeep/relaykeep/relay/config"
)

func validAccount() contract.Account {
	return contract.Account{Version: contract.AccountVersion, Numbers: []contract.AccountNumber{
		{ID: "123456789012345", PhoneNumber: "+493023125101", Name: "Acme Shop", Quality: "GREEN", Connected: true},
		{ID: "123456789012346", PhoneNumber: "+493023125102"},
	}}
}

func TestAccount_IsReadAsWritten(t *testing.T) {
	isRead(t, validAccount(), validAccount().Numbers, config.LoadAccount)
}

func TestAccount_BadOnesAreRefused(t *testing.T) {
	for want, change := range map[string]func(*contract.Account){
		"version:":                 func(a *contract.Account) { a.Version = 2 },
		"numbers: must be at most": func(a *contract.Account) { a.Numbers = make([]contract.AccountNumber, contract.MaxAccountNumbers+1) },
		"numbers[1].id:":           func(a *contract.Account) { a.Numbers[1].ID = a.Numbers[0].ID },
		"numbers[0].id:":           func(a *contract.Account) { a.Numbers[0].ID = "../1" },
		"numbers[0].phoneNumber:":  func(a *contract.Account) { a.Numbers[0].PhoneNumber = "030" },
		"numbers[0].name:":         func(a *contract.Account) { a.Numbers[0].Name = strings.Repeat("a", 513) },
		"numbers[1].quality:":      func(a *contract.Account) { a.Numbers[1].Quality = "BLUE" },
	} {
		a := validAccount()
		change(&a)
		if _, err := config.ParseAccount(encoded(t, a)); err == nil || !strings.Contains(err.Error(), want) {
			t.Errorf("got %v, want %q", err, want)
		}
	}
	if _, err := config.ParseAccount(make([]byte, contract.MaxAccountBytes+1)); !errors.Is(err, config.ErrTooLarge) {
		t.Errorf("too large: %v", err)
	}
}

// FuzzParseAccount holds that no input makes the parser panic, and that it returns no more than it may.
func FuzzParseAccount(f *testing.F) {
	f.Add(encoded(f, validAccount()))
	f.Add([]byte(`{"version":1,"numbers":null}`))
	f.Fuzz(func(t *testing.T, data []byte) {
		if numbers, _ := config.ParseAccount(data); len(numbers) > contract.MaxAccountNumbers {
			t.Errorf("%d numbers", len(numbers))
		}
	})
}
