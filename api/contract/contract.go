// Package contract holds the plain structs that the operator and the relay both
// read and write: the relay's configuration file, its /status answer and the
// janitor's result. It must stay free of Kubernetes and of everything that only
// one side knows.
package contract

import "time"

// Where the operator mounts files in a pod, and the ports that the pod serves.
const (
	ConfigPath                  = "/etc/relaykeep/relay.json"
	TLSDir                      = "/etc/relaykeep/tls"                 // tls.crt, tls.key of a tenant's own Secret
	WebhookClientDir            = "/etc/relaykeep/webhook-client"      // tls.crt, tls.key for mutual TLS
	WebhookCredentialsDir       = "/etc/relaykeep/webhook-credentials" // AppSecretKey, VerifyTokenKey of a receiver that brings its own
	AccountDir                  = "/etc/relaykeep/account"             // AccountFile of a relay that has others in its business account
	IntegrityDir                = "/etc/relaykeep/integrity"           // IntegrityFile
	DataDir                     = "/var/lib/relaykeep"
	RelayTokenPath              = "/var/run/secrets/relaykeep.dev/relay/token"
	JanitorTokenPath            = "/var/run/secrets/relaykeep.dev/janitor/token"
	TerminationPath             = "/dev/termination-log"
	EndpointPort          int32 = 8443 // the business's endpoint: HTTPS, or HTTP behind a gateway that terminates TLS
	StatusPort            int32 = 9090 // /healthz /readyz /status /metrics, plain HTTP
)

// Keys of a Secret with a receiver's own credentials, and the names of their files.
const (
	AppSecretKey   = "appSecret"   // signs webhooks
	VerifyTokenKey = "verifyToken" // shown in the handshake
)

// ConfigVersion is the version of Config that this build writes and reads.
const ConfigVersion = 1

// MaxConfigBytes is the largest configuration file that a relay reads.
const MaxConfigBytes = 512 << 10

// MaxWebhookUpdates is the largest Webhook.MaxUpdates.
const MaxWebhookUpdates = 1000

// MaxNotice is how many characters a notice about encryption has at most.
const MaxNotice = 1000

// MaxPicture is how many characters a profile's picture has at most: 32 KiB in base64.
const MaxPicture = 43692

// Config is the relay's configuration file, JSON, rendered by the operator from a
// BusinessRelay and its DataRegion. It contains no secret.
type Config struct {
	Version   int    `json:"version"`
	Namespace string `json:"namespace"`
	// Name is the tenant's name in Vault and on the network: the service
	// account's, "<BusinessRelay>-relay".
	Name   string `json:"name"`
	Region string `json:"region"`
	// Country is the region's, ISO 3166-1 alpha-2 or EU: user ids begin with it where the customer's
	// number has none. Files of former releases have none.
	Country     string `json:"country,omitempty"`
	PhoneNumber string `json:"phoneNumber"` // the business's own, E.164
	// BusinessAccount names the business account that the relay shares with others of its namespace;
	// empty for one of its own.
	BusinessAccount string  `json:"businessAccount,omitempty"`
	Profile         Profile `json:"profile"`
	// Vault and Carrier are now in the pod's arguments, where admission compares them with
	// the DataRegion whenever a pod is created. Files of former releases have them.
	Vault    Vault    `json:"vault,omitzero"`
	Carrier  Carrier  `json:"carrier,omitzero"`
	Endpoint Endpoint `json:"endpoint"`
	Webhook  *Webhook `json:"webhook,omitempty"`
	// Processors get copies of what the webhook gets.
	Processors []Processor `json:"processors,omitempty"`
	// PayloadEncryption has webhooks encrypted, and lets the business encrypt what it sends.
	PayloadEncryption *PayloadEncryption `json:"payloadEncryption,omitempty"`
	RetentionDays     int                `json:"retentionDays"` // 1 to 30
	Trust             string             `json:"trust"`         // "blind" or "firstUse"
	// AcceptUnencrypted makes the relay pass on messages that arrive in clear, marked as such.
	AcceptUnencrypted bool `json:"acceptUnencrypted,omitempty"`
	// ClearMetadata lets reactions of the business go in clear, where encryption has no form
	// for them.
	ClearMetadata bool `json:"clearMetadata,omitempty"`
	// NoStorage keeps what people write in memory only, for at most an hour.
	NoStorage bool `json:"noStorage,omitempty"`
	// HideNumbers keeps customers' numbers from the business.
	HideNumbers bool `json:"hideNumbers,omitempty"`
	// NoEncryptionNotice makes the relay not tell customers, when it refuses their
	// messages, how to switch encryption on.
	NoEncryptionNotice bool `json:"noEncryptionNotice,omitempty"`
	// EncryptionNoticeText is the notice, at most MaxNotice characters; empty means the
	// relay's own text.
	EncryptionNoticeText string `json:"encryptionNoticeText,omitempty"`
	Throughput           int    `json:"throughput"` // messages a second, both directions
	// OptOut lets customers stop the business by a word; nil: there is no such word.
	OptOut   *OptOut  `json:"optOut,omitempty"`
	Rotation Rotation `json:"rotation"`
	// Volume names the volume of DataDir, so that the relay can tell a store that was
	// restored onto another volume from one that only restarted; empty when not known.
	Volume string `json:"volume,omitempty"`
	// Replicated says that the relay has several pods, which share its store in a database.
	Replicated bool `json:"replicated,omitempty"`
	// Move has the relay leave a region or arrive in one, and do nothing else: MoveDepart or MoveArrive.
	Move string `json:"move,omitempty"`
	// Postgres names the relay's database on the region's PostgreSQL server, which the pod's arguments name;
	// nil for a store on the volume.
	Postgres *Postgres `json:"postgres,omitempty"`
	// Log says how long the log's entries are kept and who cosigns it.
	Log Log `json:"log,omitzero"`
}

// Log is what a business asks of its relay's log.
type Log struct {
	// RetentionMonths is how long entries are kept, at most MaxLogMonths; 0 means DefaultLogMonths.
	RetentionMonths int      `json:"retentionMonths,omitempty"`
	Witness         *Witness `json:"witness,omitempty"` // nil for none
}

// Months is how long entries are kept.
func (l Log) Months() int {
	if l.RetentionMonths == 0 {
		return DefaultLogMonths
	}
	return l.RetentionMonths
}

// For how many months the log's entries are kept.
const (
	DefaultLogMonths = 13
	MaxLogMonths     = 120
)

// Witness cosigns a relay's log.
type Witness struct {
	URL       string `json:"url"`
	PublicKey string `json:"publicKey"` // of a cosignature/v1 key, as signed notes have it
	CABundle  string `json:"caBundle,omitempty"`
}

// What a relay that moves to another region does.
const (
	MoveDepart = "Depart"
	MoveArrive = "Arrive"
)

// MovePath is where the status port of such a relay hands out its file (GET) or takes it in (PUT). Whoever asks shows a token
// that an admin wrote into the region's Vault. Of a relay that arrives, GET says whether it has: MoveArrived.
const (
	MovePath    = "/move"
	MoveArrived = "arrived"
)

// Postgres is a relay's database on a PostgreSQL server.
type Postgres struct {
	Database string `json:"database"`
	// Size is how many bytes the database should take; quotas are parts of it.
	Size int64 `json:"size"`
}

// PostgresServer is a region's PostgreSQL server.
type PostgresServer struct {
	Address  string // host:port; the server's certificate must be for this host
	CABundle string // PEM; empty means the system's
}

// Profile is what customers see of the business.
type Profile struct {
	DisplayName string   `json:"displayName,omitempty"`
	About       string   `json:"about,omitempty"`
	Address     string   `json:"address,omitempty"`
	Description string   `json:"description,omitempty"`
	Email       string   `json:"email,omitempty"`
	Websites    []string `json:"websites,omitempty"`
	Vertical    string   `json:"vertical,omitempty"`
	// Picture is a JPEG or PNG file, in base64; at most MaxPicture characters.
	Picture string `json:"picture,omitempty"`
}

// Vault is the region's Vault. Mounts are paths without slashes at the ends.
type Vault struct {
	Address      string `json:"address"`            // https URL
	CABundle     string `json:"caBundle,omitempty"` // PEM; empty means the system's
	AuthPath     string `json:"authPath"`
	KVMount      string `json:"kvMount"`
	TransitMount string `json:"transitMount"`
	PKIMount     string `json:"pkiMount"`
}

// Carrier says which carrier the relay speaks to.
type Carrier struct {
	XMPP *XMPP `json:"xmpp,omitempty"`
}

// XMPP is the region's XMPP server.
type XMPP struct {
	Domain   string `json:"domain"`
	Address  string `json:"address,omitempty"` // host:port; empty means the domain's SRV records, then port 5222
	CABundle string `json:"caBundle,omitempty"`
	// Registration is "Closed" (an admin put the account into Vault), "Open"
	// (XEP-0077) or "Token" (XEP-0077 with a token from Vault).
	Registration string `json:"registration"`
	// CustomersWithoutNumber is "Allow" where addresses that are no numbers may be customers'; empty means
	// "Refuse".
	CustomersWithoutNumber string `json:"customersWithoutNumber,omitempty"`
}

// Allow is the one value of CustomersWithoutNumber that is ever passed on.
const Allow = "Allow"

// Endpoint is the business's HTTPS endpoint.
type Endpoint struct {
	URL  string `json:"url"`
	Host string `json:"host"`
	// SharedHost is a host name that the relay has in common with others, empty for none: the ids of its
	// files then say whose they are.
	SharedHost string `json:"sharedHost,omitempty"`
	// TLS says where the certificate comes from: "PKI" (Vault), "Secret" (TLSDir) or
	// "None" (a gateway terminates TLS).
	TLS string `json:"tls"`
}

// Where the endpoint's certificate comes from.
const (
	TLSFromPKI    = "PKI"
	TLSFromSecret = "Secret"
	TLSAtGateway  = "None"
)

// The storage modes that a relay says it runs in.
const (
	StorageRetained = "Retained"
	StorageNone     = "None"
)

// Webhook is where the relay delivers messages and statuses to the business.
type Webhook struct {
	URL               string `json:"url"`
	CABundle          string `json:"caBundle,omitempty"`
	ClientCertificate bool   `json:"clientCertificate,omitempty"` // in WebhookClientDir
	OwnCredentials    bool   `json:"ownCredentials,omitempty"`    // the receiver's, in WebhookCredentialsDir
	// MaxUpdates is how many updates a webhook has at most; 0 for one, at most MaxWebhookUpdates.
	MaxUpdates int `json:"maxUpdates,omitempty"`
}

// Limits of OptOut.
const (
	MaxOptOutWords        = 16
	MaxOptOutWord         = 32  // characters
	MaxOptOutConfirmation = 500 // characters
)

// OptOut are the words by which customers stop the business, and allow it again: whole messages, without regard to case and
// spaces around them.
type OptOut struct {
	Words       []string `json:"words"`                 // 1 to MaxOptOutWords
	ResumeWords []string `json:"resumeWords,omitempty"` // at most MaxOptOutWords
	// Confirmation and ResumeConfirmation are what the customer is answered; empty for the relay's own text.
	Confirmation       string `json:"confirmation,omitempty"`
	ResumeConfirmation string `json:"resumeConfirmation,omitempty"`
	// MarketingOnly stops marketing templates alone.
	MarketingOnly bool `json:"marketingOnly,omitempty"`
}

// MaxProcessors is how many processors a relay has at most.
const MaxProcessors = 4

// Processor is a further receiver of what the webhook gets.
type Processor struct {
	Name     string `json:"name"` // a DNS label of at most 40 characters; no two have the same
	URL      string `json:"url"`
	CABundle string `json:"caBundle,omitempty"` // PEM; empty means the system's
}

// ProcessorStatus is how a processor is.
type ProcessorStatus struct {
	Name     string `json:"name"`
	Verified bool   `json:"verified"` // it passed the handshake and accepts copies
	Reason   string `json:"reason"`   // as that of ConditionWebhookVerified
}

// PayloadEncryption is the encryption of payloads between a relay and its business, inside TLS.
type PayloadEncryption struct {
	PublicKey string `json:"publicKey"` // the business's, as ParsePublicKey reads it
}

// Rotation holds the counters that name the identity and the access credentials in
// force; the first of each is 1.
type Rotation struct {
	Identity int `json:"identity"`
	Access   int `json:"access"`
}

// ConditionStatus is True, False or Unknown.
type ConditionStatus string

// The values of ConditionStatus.
const (
	True    ConditionStatus = "True"
	False   ConditionStatus = "False"
	Unknown ConditionStatus = "Unknown"
)

// Types of the conditions that a relay reports about itself. The operator copies
// them to the BusinessRelay under the same names.
const (
	ConditionKeysReady        = "KeysReady"
	ConditionCarrierConnected = "CarrierConnected"
	ConditionWebhookVerified  = "WebhookVerified"
	ConditionVolumeHasRoom    = "VolumeHasRoom"
	ConditionSendingUnlimited = "SendingUnlimited"
	ConditionLogVerifiable    = "LogVerifiable"
)

// Condition is one aspect of a relay's state. It holds nothing personal and may be shown.
type Condition struct {
	Type    string          `json:"type"`
	Status  ConditionStatus `json:"status"`
	Reason  string          `json:"reason"`  // CamelCase
	Message string          `json:"message"` // says what to do, if there is something to do
}

// StatusVersion is the version of Status that this build writes.
const StatusVersion = 1

// MaxStatusBytes is the largest /status answer that the operator reads.
const MaxStatusBytes = 64 << 10

// Status is the relay's answer at /status: states and counts that identify nobody.
type Status struct {
	Version           int         `json:"version"`
	ConfigHash        string      `json:"configHash,omitempty"` // of the configuration file that the relay runs with
	Conditions        []Condition `json:"conditions"`
	PhoneNumberID     string      `json:"phoneNumberID,omitempty"`
	BusinessAccountID string      `json:"businessAccountID,omitempty"`
	// Fingerprint is the public identity key's, as a customer's client shows it:
	// eight groups of eight lower-case hex digits.
	Fingerprint string `json:"fingerprint,omitempty"`
	// DeviceID is the relay's OMEMO device id: an invitation names the device beside
	// its fingerprint, so that a customer's client can verify the device by itself.
	DeviceID        uint32     `json:"deviceID,omitempty"`
	InitializedTime *time.Time `json:"initializedTime,omitempty"`
	OldestKeyTime   *time.Time `json:"oldestKeyTime,omitempty"`
	Quality         string     `json:"quality,omitempty"` // GREEN, YELLOW, RED or UNKNOWN
	// Integrity is nil in answers of former releases, and until the relay has its keys.
	Integrity *IntegrityStatus `json:"integrity,omitempty"`
	// Storage is the storage mode that the relay runs in: Retained or None.
	Storage string `json:"storage,omitempty"`
	// Holder is host:port of the replica that holds the store, if that is another. What this one says about
	// the relay is then of no use.
	Holder string `json:"holder,omitempty"`
	// Processors are those of the configuration.
	Processors []ProcessorStatus `json:"processors,omitempty"`
	Counts     Counts            `json:"counts"`
	// Receipts are what the erasure receipts in Vault say and lack; nil until they were read.
	Receipts *ReceiptsStatus `json:"receipts,omitempty"`
	// Log is how the relay's log is; nil before the keys are there. Relays of former releases have none.
	Log *LogStatus `json:"log,omitempty"`
}

// ReceiptsStatus is what a relay found in the receipts that janitor, keeper and erasures left in Vault in the last 13 months.
type ReceiptsStatus struct {
	FirstTime *time.Time `json:"firstTime,omitempty"` // of the first receipt, by Vault's clock
	LastTime  *time.Time `json:"lastTime,omitempty"`
	// MissingHours are hours in which the janitor left no receipt.
	MissingHours int `json:"missingHours"`
	// UnclaimedVersions are key versions that died and that no receipt says were destroyed by its run.
	UnclaimedVersions int `json:"unclaimedVersions"`
	// ReturnedVersions are key versions that were destroyed and were there again later.
	ReturnedVersions int `json:"returnedVersions"`
	// ReplacedKeys is how often the key went back to earlier versions, and no receipt says that it was deleted.
	ReplacedKeys int `json:"replacedKeys"`
	// Unreadable are entries among the receipts that are none.
	Unreadable int `json:"unreadable,omitempty"`
	// Problem is why the receipts could not be read the last time: ReceiptNotSetUp, or a reason as of KeysReady.
	Problem string `json:"problem,omitempty"`
}

// LogStatus is how a relay's log is.
type LogStatus struct {
	Entries       int64      `json:"entries"`
	Key           string     `json:"key,omitempty"` // public, as signed notes have it
	Signed        int64      `json:"signed"`        // entries under the latest signed checkpoint
	Witnessed     int64      `json:"witnessed,omitempty"`
	WitnessedTime *time.Time `json:"witnessedTime,omitempty"` // since the relay started
}

// Counts are totals since the relay started, and queue lengths now.
type Counts struct {
	MessagesIn      int64 `json:"messagesIn"`
	MessagesOut     int64 `json:"messagesOut"`
	OutboxQueued    int64 `json:"outboxQueued"` // of what is to be sent to customers: messages, receipts and the like
	WebhookQueued   int64 `json:"webhookQueued"`
	DeadLetters     int64 `json:"deadLetters"` // webhooks that were given up, and are kept for the retention
	PlaintextDenied int64 `json:"plaintextDenied"`
	ForeignDevices  int64 `json:"foreignDevices"` // on our own account; anything but 0 is an alarm
}

// RetentionResult is the janitor's result, written as JSON to its termination
// message (at most 4096 bytes).
type RetentionResult struct {
	Version       int        `json:"version"`
	Succeeded     bool       `json:"succeeded"`
	Time          time.Time  `json:"time"` // Vault's clock
	RetentionDays int        `json:"retentionDays"`
	LatestVersion int        `json:"latestVersion,omitempty"`
	OldestVersion int        `json:"oldestVersion,omitempty"`
	OldestKeyTime *time.Time `json:"oldestKeyTime,omitempty"`
	Erased        int        `json:"erased"` // key versions that this run destroyed
	// Receipt is ReceiptWritten, or why the run left no receipt; empty when there was nothing to say, and from
	// janitors of former releases. A missing receipt is no failure of the run.
	Receipt string `json:"receipt,omitempty"`
	Reason  string `json:"reason,omitempty"`
	Message string `json:"message,omitempty"`
}

// What a run says about its receipt, besides the reasons for which runs fail.
const (
	ReceiptWritten = "Written"
	// ReceiptNotSetUp: Vault was set up by a former release, and has no place for receipts.
	ReceiptNotSetUp = "NotSetUp"
)

// RetentionResultVersion is the version of RetentionResult that this build writes.
const RetentionResultVersion = 1

// KeeperResult is the result of the keeper of last resort of a region, written as JSON
// to its termination message (at most 4096 bytes). It does not name tenants.
type KeeperResult struct {
	Version       int        `json:"version"`
	Succeeded     bool       `json:"succeeded"` // every wrapping key was checked, without an error
	Time          time.Time  `json:"time"`      // Vault's clock
	Keys          int        `json:"keys"`      // wrapping keys in the region's transit mount
	Others        int        `json:"others,omitempty"`
	Looked        int        `json:"looked"`
	Left          int        `json:"left,omitempty"`   // not checked
	Failed        int        `json:"failed,omitempty"` // of those checked
	Erased        int        `json:"erased"`           // key versions that this run destroyed
	OldestKeyTime *time.Time `json:"oldestKeyTime,omitempty"`
	// Receipt is as in RetentionResult: the first reason for which a key's receipt is missing, else ReceiptWritten;
	// empty when nothing was destroyed.
	Receipt string `json:"receipt,omitempty"`
	Reason  string `json:"reason,omitempty"`
	Message string `json:"message,omitempty"`
}

// KeeperResultVersion is the version of KeeperResult that this build writes.
const KeeperResultVersion = 1
