package audit

// Data is a kind of data.
type Data string

// The kinds of data, in the order of the table's rows.
const (
	Content      Data = "message content"
	Number       Data = "customer's number"
	Statistics   Data = "statistics"
	Signals      Data = "integrity signals"
	BusinessInfo Data = "business information"
	Billing      Data = "billing"
)

// Rows are the kinds of data in their order.
func Rows() []Data { return []Data{Content, Number, Statistics, Signals, BusinessInfo, Billing} }

// Party is somebody who might see data.
type Party string

// The parties, in the order of the table's columns.
const (
	ThisRelay   Party = "relay"
	OtherRelays Party = "other relays"
	Operator    Party = "operator"
	Platform    Party = "platform" // metrics, logs, events, status
	Carrier     Party = "carrier"
	VaultAdmin  Party = "Vault admin"
	Janitor     Party = "janitor"
	Keeper      Party = "keeper"
	Business    Party = "business"
	Receivers   Party = "processors" // whom the business named to get copies
)

// Columns are the parties in their order.
func Columns() []Party {
	return []Party{ThisRelay, OtherRelays, Operator, Platform, Carrier, VaultAdmin, Janitor, Keeper, Business, Receivers}
}

// ID names a check.
type ID string

// The checks.
const (
	Image         ID = "image"
	Release       ID = "release"
	Certificate   ID = "certificate"
	PodRegion     ID = "pod-region"
	VolumeRegion  ID = "volume-region"
	Keys          ID = "keys"
	JanitorRuns   ID = "janitor-runs"
	KeeperRuns    ID = "keeper-runs"
	Clear         ID = "clear"
	HiddenNumbers ID = "hidden-numbers"
	Processors    ID = "processors"
	Traces        ID = "traces"

	AccountRights  ID = "account-rights"
	OperatorRights ID = "operator-rights"
	KeeperRights   ID = "keeper-rights"
	MetricsRights  ID = "metrics-rights"

	Policies      ID = "policies"
	Workloads     ID = "workloads"
	Services      ID = "services"
	Placement     ID = "placement"
	Tokens        ID = "tokens"
	Enter         ID = "enter"
	Configuration ID = "configuration"
	OperatorScope ID = "operator-scope"

	RelayNetwork   ID = "relay-network"
	JanitorNetwork ID = "janitor-network"
	KeeperNetwork  ID = "keeper-network"
	Reach          ID = "reach"

	VaultRoles       ID = "vault-roles"
	VaultRelay       ID = "vault-relay"
	VaultJanitor     ID = "vault-janitor"
	VaultKeeper      ID = "vault-keeper"
	VaultCredentials ID = "vault-credentials"
	VaultNames       ID = "vault-names"
	VaultKey         ID = "vault-key"
)

// Entry is a check as the manual lists it.
type Entry struct {
	ID    ID
	Title string // what holds if it is kept
	How   string // what is tried
	Blind string // what that cannot see
}

// Catalogue lists the checks in the order in which they are shown.
func Catalogue() []Entry {
	return []Entry{
		{Image, "the relay's workload is one that admission admits", "its pod is created once more as a dry run, under a name that no pod has", "a node that runs something else than it reports"},
		{Release, "every pod runs an image of the signed release", "the digest that its node reports is looked for in the release's images.txt, whose sum is signed", "a node that reports another digest than it runs; images that came from no registry have none"},
		{Certificate, "TLS ends in the relay, with a certificate for its name", "a handshake with the pod, through the API server", "what a gateway or proxy before the relay does; with a certificate of the business's own, an authority that this machine does not know"},
		{PodRegion, "its pods run in the region", "the labels of their nodes", "where a node is: its labels are an admin's word"},
		{VolumeRegion, "its volume is in the region", "the claim's region and class, and where the volume can be attached", "where the storage behind a class is, if its volumes name no nodes; copies and backups; PostgreSQL"},
		{Keys, "no key is older than the retention", "the age of the oldest key, as the janitor saw it in Vault", "what the janitor did not report; `vault-key` asks Vault itself"},
		{JanitorRuns, "the janitor ran within two hours", "its CronJob and its last success", "whether Vault destroyed what it was told to; `vault-key` does"},
		{KeeperRuns, "the region's keeper ran within two hours", "its CronJob and its last success", "whether Vault destroyed what it was told to; `vault-key` does"},
		{Clear, "nothing goes to the carrier, or is taken from it, in clear", "the BusinessRelay and the configuration file that its pod mounts", "what customers' clients send besides, such as addresses and times; that the program encrypts, which `release` answers for"},
		{HiddenNumbers, "the business is told no numbers", "the BusinessRelay and the configuration file that its pod mounts", "numbers that customers write in a text"},
		{Processors, "nobody but the webhook gets copies, and none goes to another country", "the receivers in the configuration file that its pod mounts, against the BusinessRelay and what its DataRegion allows", "where a receiver is: its country is the business's word; what it does with what it gets"},
		{Traces, "no log, event, status or metric holds a customer's number", "they are read, and searched for whatever is written like a telephone number", "texts, since nothing here knows what was written; numbers without a plus sign; logs that were shipped elsewhere; more than the last 5,000 lines and 2,000 events"},
		{AccountRights, "the relay's and janitor's account has no right in Kubernetes", "SubjectAccessReviews", "rights that are granted later"},
		{OperatorRights, "the operator reads no Secret, makes no token and no pod, enters none, and changes no policy", "SubjectAccessReviews", "who else may act as the operator: whoever may make pods or tokens in its namespace"},
		{KeeperRights, "the keeper's account has no right in Kubernetes", "SubjectAccessReviews", "rights that are granted later"},
		{MetricsRights, "who reads the operator's metrics reaches no relay", "SubjectAccessReviews for the accounts that are bound to read them", "accounts that read relays' own metrics, which only the network policy limits"},
		{Policies, "every admission policy is there, bound to deny, and fails closed", "the policies and their bindings", "what the policies say: the checks below try that"},
		{Workloads, "no other program runs with the relay's token", "a dry run of its pod with another image", "other forbidden changes than this one: [the attempts](threat-model.md#the-attempts) make them all"},
		{Services, "no pod takes the relay's token to another Vault", "a dry run of its pod with another Vault's address", "other forbidden changes than this one, such as another carrier: [the attempts](threat-model.md#the-attempts) make them all"},
		{Placement, "no pod and no volume of the region is made outside it", "dry runs of its pod without the region's nodes, and of a claim of another storage class", "pods and volumes without the region's label, which hold no token and no store"},
		{Tokens, "nobody gets the relay's token for Vault", "a token is asked for, for a pod that is not there", "whoever can act as a node"},
		{Enter, "nobody enters the relay's pod", "a program is started in a pod of the relay that is not there", "whoever has the verb enter, as a cluster's admin has: for them the policy is read and not tried"},
		{Configuration, "the relay's configuration says what its BusinessRelay says", "dry runs of the same file with another retention, and with a Vault", "other changes of the file; a relay whose BusinessRelay was changed by somebody who may"},
		{OperatorScope, "the operator writes only what is a relay's", "a dry run as the operator, of an object that is no relay's", "what else the operator could write; who may not impersonate it cannot try at all"},
		{RelayNetwork, "only the region's peers reach the relay, and it reaches only what its region and business name", "the NetworkPolicy is compared with what the operator renders, and others that select the pod are looked for", "whether the cluster's network enforces it (`reach` does), and policies of other kinds than NetworkPolicy"},
		{JanitorNetwork, "the janitor reaches DNS and Vault only", "the NetworkPolicy is compared with what the operator renders, and others that select the pod are looked for", "whether the cluster's network enforces it (`reach` does, for relays), and policies of other kinds than NetworkPolicy"},
		{KeeperNetwork, "the keeper reaches DNS and Vault only", "the NetworkPolicy is compared with what the operator renders, and others that select the pod are looked for", "whether the cluster's network enforces it (`reach` does, for relays), and policies of other kinds than NetworkPolicy"},
		{Reach, "the network holds a relay's pod to its policy", "with --probe-network: a pod under the relay's policy connects to relays and to the API server", "other nodes than that of the pod; what is sent where it may connect"},
		{VaultRoles, "nobody but relays, janitors, keeper and business logs in at Vault for what is the relay's", "the auth mount's roles and the policies that they give", "logins by other methods than the region's auth mount; root tokens and who holds them"},
		{VaultRelay, "a relay reaches only what is its own in Vault, and destroys nothing", "its policy as written and, while it is logged in, what Vault says of that login", "conditions that narrow a rule, so that it may be shown as granting more than it does"},
		{VaultJanitor, "the janitor decrypts and reads nothing", "its policy as written", "conditions that narrow a rule; a janitor is logged in for seconds only, so Vault is not asked about its login"},
		{VaultKeeper, "the keeper decrypts and reads nothing", "its policy as written", "conditions that narrow a rule; a keeper is logged in for seconds only, so Vault is not asked about its login"},
		{VaultCredentials, "a business's people read its credentials only", "its policy as written", "who may ask for tokens of the relay's account in the business's namespace"},
		{VaultNames, "names in Vault hold no customer's number", "the names of the relay's entries; no entry is read", "what is in an entry: none is read"},
		{VaultKey, "the relay's key cannot leave Vault, rotates, and has no version older than the retention", "the key's settings and the times of its versions", "backups of Vault itself, and who can unseal them"},
	}
}

// promise is a cell of the table before it was tried. With a why, the party may see the data, and the checks say whether
// that is all.
type promise struct {
	data   Data
	party  Party
	why    string
	checks []ID
}

// table returns all cells, row by row.
func table() []promise {
	atVault := []ID{VaultRelay, VaultRoles}
	between := append([]ID{AccountRights, RelayNetwork, Reach, Workloads, Services, Placement, Tokens, Enter, Configuration}, atVault...)
	operator := []ID{OperatorRights, OperatorScope, Policies, Workloads, Services, VaultRoles}
	janitor := []ID{VaultJanitor, AccountRights, JanitorNetwork}
	keeper := []ID{VaultKeeper, KeeperRights, KeeperNetwork}
	status := []ID{RelayNetwork, Reach}
	return []promise{
		{Content, ThisRelay, "in memory while it handles a message; sealed at rest, until the key is destroyed", []ID{Image, Release, PodRegion, VolumeRegion, Keys, JanitorRuns, VaultKey}},
		{Content, OtherRelays, "", between},
		{Content, Operator, "", operator},
		{Content, Platform, "", []ID{Release, Certificate, MetricsRights, RelayNetwork}},
		{Content, Carrier, "", []ID{Clear, Release}},
		{Content, VaultAdmin, "", []ID{VaultNames, VaultKey}},
		{Content, Janitor, "", append([]ID{JanitorRuns}, janitor...)},
		{Content, Keeper, "", append([]ID{KeeperRuns}, keeper...)},
		{Content, Business, "its own", []ID{Certificate, VaultCredentials}},
		{Content, Receivers, "", []ID{Processors}},

		{Number, ThisRelay, "sealed at rest, until the key is destroyed", []ID{Image, Release, Keys, VaultKey}},
		{Number, OtherRelays, "", between},
		{Number, Operator, "", operator},
		{Number, Platform, "", []ID{Traces, Release, MetricsRights, RelayNetwork}},
		{Number, Carrier, "it routes by numbers", nil},
		{Number, VaultAdmin, "", []ID{VaultNames, VaultKey}},
		{Number, Janitor, "", janitor},
		{Number, Keeper, "", keeper},
		{Number, Business, "", []ID{HiddenNumbers}},
		{Number, Receivers, "", []ID{Processors}},

		{Statistics, ThisRelay, "it counts", []ID{Release}},
		{Statistics, OtherRelays, "", status},
		{Statistics, Operator, "it asks each relay for its status", nil},
		{Statistics, Platform, "counts and states, for monitoring", []ID{Traces}},
		{Statistics, Carrier, "it sees its own traffic", nil},
		{Statistics, VaultAdmin, "", []ID{VaultNames}},
		{Statistics, Janitor, "", []ID{JanitorNetwork}},
		{Statistics, Keeper, "", []ID{KeeperNetwork}},
		{Statistics, Business, "its own", nil},
		{Statistics, Receivers, "", status},

		{Signals, ThisRelay, "it counts", []ID{Release}},
		{Signals, OtherRelays, "", status},
		{Signals, Operator, "it asks each relay for its status", nil},
		{Signals, Platform, "as status and metrics", []ID{Traces}},
		{Signals, Carrier, "", status},
		{Signals, VaultAdmin, "", []ID{VaultNames}},
		{Signals, Janitor, "", []ID{JanitorNetwork}},
		{Signals, Keeper, "", []ID{KeeperNetwork}},
		{Signals, Business, "its own", nil},
		{Signals, Receivers, "", status},

		{BusinessInfo, ThisRelay, "its own", nil},
		{BusinessInfo, OtherRelays, "", []ID{AccountRights, VaultRelay}},
		{BusinessInfo, Operator, "it reads BusinessRelays", nil},
		{BusinessInfo, Platform, "whoever may read the BusinessRelay", nil},
		{BusinessInfo, Carrier, "the profile, which customers see", nil},
		{BusinessInfo, VaultAdmin, "names, and the account at the carrier", nil},
		{BusinessInfo, Janitor, "", []ID{AccountRights, VaultJanitor}},
		{BusinessInfo, Keeper, "", []ID{KeeperRights, VaultKeeper}},
		{BusinessInfo, Business, "its own", nil},
		{BusinessInfo, Receivers, "", []ID{Processors}},

		{Billing, ThisRelay, "it counts", []ID{Release}},
		{Billing, OtherRelays, "", append([]ID{AccountRights}, status...)},
		{Billing, Operator, "as metrics", nil},
		{Billing, Platform, "as metrics", []ID{Traces}},
		{Billing, Carrier, "", status},
		{Billing, VaultAdmin, "", []ID{VaultNames}},
		{Billing, Janitor, "", []ID{JanitorNetwork}},
		{Billing, Keeper, "", []ID{KeeperNetwork}},
		{Billing, Business, "its own", nil},
		{Billing, Receivers, "", status},
	}
}
