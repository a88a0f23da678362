package contract

import (
	"crypto/sha256"
	"encoding/hex"
)

// AudienceKeeper is the audience of the token of a region's keeper of last resort.
func AudienceKeeper(region string) string { return "relaykeep.dev/keeper/" + region }

// RoleKeeper is the keeper's role in the region's Vault, and its policy.
func RoleKeeper(region string) string { return "relaykeep-keeper-" + region }

// KeeperTokenPath is where the keeper's pod finds its token.
const KeeperTokenPath = "/var/run/secrets/relaykeep.dev/keeper/token"

// KeeperPrefix begins the names of the keepers' objects, in the operator's namespace.
const KeeperPrefix = "relaykeep-keeper-"

// maxCronJobName is how long a CronJob's name may be: Jobs and pods are named after it.
const maxCronJobName = 52

// KeeperName is the name of a keeper's CronJob and service account. Vault binds the
// keeper's role to it. The name of a long region is cut, and a hash makes it unique.
func KeeperName(region string) string {
	if len(KeeperPrefix)+len(region) <= maxCronJobName {
		return KeeperPrefix + region
	}
	sum := sha256.Sum256([]byte(region))
	hash := hex.EncodeToString(sum[:5])
	return KeeperPrefix + region[:maxCronJobName-len(KeeperPrefix)-len(hash)-1] + "-" + hash
}
