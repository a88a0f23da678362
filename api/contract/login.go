package contract

// AudiencePrefix begins the audience of every token for a Vault. The admission policies
// match it: only pods may hold such a token, except one for credentials.
const AudiencePrefix = "relaykeep.dev/"

// The audience of a projected token says which region's Vault it is for, and which role
// there. Another region's Vault refuses it, and so does any other role.

// AudienceRelay is the audience of a relay's token.
func AudienceRelay(region string) string { return AudiencePrefix + "relay/" + region }

// AudienceJanitor is the audience of a janitor's token.
func AudienceJanitor(region string) string { return AudiencePrefix + "janitor/" + region }

// AudienceCredentials is the audience of a token that reads a business's credentials.
// People request it, with kubectl relay credentials.
func AudienceCredentials(region string) string { return AudiencePrefix + "credentials/" + region }

// The role in a region's Vault, and the policy of the same name, one for each audience.

// RoleRelay is the role of the region's relays, in Kubernetes auth and in PKI.
func RoleRelay(region string) string { return FormerRoleRelay + "-" + region }

// RoleJanitor is the role of the region's janitors.
func RoleJanitor(region string) string { return FormerRoleJanitor + "-" + region }

// RoleCredentials is the role for reading a business's credentials.
func RoleCredentials(region string) string { return FormerRoleCredentials + "-" + region }

// Audiences and roles of former releases, which name no region. A janitor that a
// deleted relay left behind still uses them.
const (
	FormerAudienceRelay       = AudiencePrefix + "relay"
	FormerAudienceJanitor     = AudiencePrefix + "janitor"
	FormerAudienceCredentials = AudiencePrefix + "credentials"

	FormerRoleRelay       = "relaykeep-relay"
	FormerRoleJanitor     = "relaykeep-janitor"
	FormerRoleCredentials = "relaykeep-credentials"
)
