package config_test

import (
	"encoding/json"
	"errors"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"

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
	path := filepath.Join(t.TempDir(), contract.AccountFile)
	data, err := json.Marshal(validAccount())
	if err == nil {
		err = os.WriteFile(path, data, 0o600)
	}
	if err != nil {
		t.Fatal(err)
	}
	numbers, err := config.LoadAccount(path)
	if diff := cmp.Diff(validAccount().Numbers, numbers); diff != "" || err != nil {
		t.Errorf("%v, %s", err, diff)
	}
	later := strings.Replace(string(data), "{", `{"later":1,`, 1)
	if _, err := config.ParseAccount([]byte(later)); err != nil {
		t.Errorf("a field of a later release: %v", err)
	}
	if _, err := config.LoadAccount(path + "x"); !errors.Is(err, os.ErrNotExist) {
		t.Errorf("a missing file: %v", err)
	}
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
		data, err := json.Marshal(a)
		if err != nil {
			t.Fatal(err)
		}
		if _, err := config.ParseAccount(data); err == nil || !strings.Contains(err.Error(), want) {
			t.Errorf("got %v, want %q", err, want)
		}
	}
	if _, err := config.ParseAccount(make([]byte, contract.MaxAccountBytes+1)); !errors.Is(err, config.ErrTooLarge) {
		t.Errorf("too large: %v", err)
	}
}

// FuzzParseAccount holds that no input makes the parser panic, and that it returns no more than it may.
func FuzzParseAccount(f *testing.F) {
	seed, _ := json.Marshal(validAccount())
	f.Add(seed)
	f.Add([]byte(`{"version":1,"numbers":null}`))
	f.Fuzz(func(t *testing.T, data []byte) {
		if numbers, _ := config.ParseAccount(data); len(numbers) > contract.MaxAccountNumbers {
			t.Errorf("%d numbers", len(numbers))
		}
	})
}
