package contract_test

import (
	"strings"
	"testing"

	"github.com/relaykeep/relaykeep/api/contract"
)

func TestKeeperNameFitsACronJobAndTellsRegionsApart(t *testing.T) {
	if got := contract.KeeperName("eu"); got != "relaykeep-keeper-eu" {
		t.Errorf("of eu it is %q", got)
	}
	names := map[string]string{}
	for length := 1; length <= 63; length++ {
		for _, end := range []string{"a", "b"} {
			region := strings.Repeat("r", length-1) + end
			name := contract.KeeperName(region)
			if len(name) > 52 || !strings.HasPrefix(name, contract.KeeperPrefix) || strings.HasSuffix(name, "-") {
				t.Errorf("of %s it is %q", region, name)
			}
			if other := names[name]; other != "" {
				t.Errorf("%s and %s are both called %s", region, other, name)
			}
			names[name] = region
		}
	}
}
