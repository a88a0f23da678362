package config

import (
	"encoding/json"
	"fmt"
	"regexp"
	"slices"

	"github.com/relaykeep/relaykeep/api/contract"
	"github.com/relaykeep/relaykeep/relay/phone"
)

// maxName is the longest name of a number, in characters.
const maxName = 512

// numberID is the form of a phone-number-id.
var numberID = regexp.MustCompile(`^[1-9][0-9]{0,31}$`)

// LoadAccount reads the file about a business account and returns its other numbers. It returns ErrTooLarge or
// *Invalid for bad content.
func LoadAccount(path string) ([]contract.AccountNumber, error) {
	data, err := readFile(path, "the account file", contract.MaxAccountBytes)
	if err != nil {
		return nil, err
	}
	return ParseAccount(data)
}

// ParseAccount reads the account file from JSON. Fields that this build does not know are ignored: it tells of
// numbers, and decides nothing.
func ParseAccount(data []byte) ([]contract.AccountNumber, error) {
	if len(data) > contract.MaxAccountBytes {
		return nil, ErrTooLarge
	}
	var a contract.Account
	if json.Unmarshal(data, &a) != nil {
		return nil, &Invalid{Problems: []string{"not a JSON object of the expected shape"}}
	}
	var p problems
	if a.Version != contract.AccountVersion {
		p.addf("version", "must be %d, the only version that this relay reads", contract.AccountVersion)
	}
	if len(a.Numbers) > contract.MaxAccountNumbers {
		p.addf("numbers", "must be at most %d", contract.MaxAccountNumbers)
	}
	seen := map[string]bool{}
	for i, n := range a.Numbers {
		field := fmt.Sprintf("numbers[%d].", i)
		if !numberID.MatchString(n.ID) || seen[n.ID] {
			p.addf(field+"id", "must be digits, and once in the list")
		}
		seen[n.ID] = true
		if _, err := phone.Parse(n.PhoneNumber); err != nil {
			p.addf(field+"phoneNumber", "%v", err)
		}
		if len([]rune(n.Name)) > maxName {
			p.addf(field+"name", "must have at most %d characters", maxName)
		}
		if !slices.Contains([]string{"", "GREEN", "YELLOW", "RED", "UNKNOWN"}, n.Quality) {
			p.addf(field+"quality", "must be GREEN, YELLOW, RED or UNKNOWN")
		}
	}
	if len(p) > 0 {
		return nil, &Invalid{Problems: p}
	}
	return a.Numbers, nil
}
