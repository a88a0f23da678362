package config

import (
	"encoding/json"
	"slices"

	"github.com/relaykeep/relaykeep/api/contract"
)

// LoadIntegrity reads the file that says what holds for first contacts. It returns ErrTooLarge or *Invalid for bad content.
func LoadIntegrity(path string) (contract.Integrity, error) {
	data, err := readFile(path, "the integrity file", contract.MaxIntegrityBytes)
	if err != nil {
		return contract.Integrity{}, err
	}
	return ParseIntegrity(data)
}

// ParseIntegrity reads the integrity file from JSON. Fields that this build does not know are ignored: a newer operator may
// write them before it updates the relay.
func ParseIntegrity(data []byte) (contract.Integrity, error) {
	var i contract.Integrity
	if len(data) > contract.MaxIntegrityBytes {
		return i, ErrTooLarge
	}
	if json.Unmarshal(data, &i) != nil {
		return contract.Integrity{}, &Invalid{Problems: []string{"not a JSON object of the expected shape"}}
	}
	var p problems
	if i.Version != contract.IntegrityVersion {
		p.addf("version", "must be %d, the only version that this relay reads", contract.IntegrityVersion)
	}
	if !slices.Contains([]string{contract.LimitsEnforced, contract.LimitsOff, contract.LimitsExempt}, i.Limits) {
		p.addf("limits", "must be Enforced, Off or Exempt")
	}
	if i.Relays < 1 || i.Relays > contract.MaxNamespaceRelays {
		p.addf("relays", "must be 1 to %d", contract.MaxNamespaceRelays)
	}
	if i.Silent < 0 || i.Silent > contract.MaxNamespaceRelays {
		p.addf("silent", "must be 0 to %d", contract.MaxNamespaceRelays)
	}
	if i.Others < 0 || i.Others > contract.MaxFirstContacts {
		p.addf("others", "must be 0 to %d", contract.MaxFirstContacts)
	}
	if min(i.YellowPercent, i.RedPercent) < 0 || max(i.YellowPercent, i.RedPercent) > 100 {
		p.addf("yellowPercent and redPercent", "must be 0 to 100")
	}
	if len(p) > 0 {
		return contract.Integrity{}, &Invalid{Problems: p}
	}
	return i, nil
}
