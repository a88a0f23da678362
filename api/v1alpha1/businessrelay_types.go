package v1alpha1

import (
	corev1 "k8s.io/api/core/v1"
	"k8s.io/apimachinery/pkg/api/resource"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
)

// BusinessRelay is one business's messaging relay: a telephone number, a region
// that its data stays in, and where its messages go.
//
// +kubebuilder:object:root=true
// +kubebuilder:subresource:status
// +kubebuilder:resource:shortName=brelay
// +kubebuilder:selectablefield:JSONPath=`.spec.dataRegion`
// +kubebuilder:selectablefield:JSONPath=`.spec.phoneNumber`
// +kubebuilder:printcolumn:name="Ready",type=string,JSONPath=`.status.conditions[?(@.type=="Ready")].status`
// +kubebuilder:printcolumn:name="Reason",type=string,JSONPath=`.status.conditions[?(@.type=="Ready")].reason`
// +kubebuilder:printcolumn:name="Region",type=string,JSONPath=`.spec.dataRegion`
// +kubebuilder:printcolumn:name="Number",type=string,JSONPath=`.spec.phoneNumber`
// +kubebuilder:printcolumn:name="Endpoint",type=string,priority=1,JSONPath=`.status.endpoint.url`
// +kubebuilder:printcolumn:name="Retention",type=string,priority=1,JSONPath=`.status.conditions[?(@.type=="RetentionHealthy")].reason`
// +kubebuilder:printcolumn:name="Age",type=date,JSONPath=`.metadata.creationTimestamp`
// +kubebuilder:validation:XValidation:rule="self.metadata.name.size() <= 40",message="choose a name of at most 40 characters: host names and Vault paths are made from it"
// +kubebuilder:validation:XValidation:rule="self.metadata.name.matches('^[a-z]([-a-z0-9]*[a-z0-9])?$')",message="choose a name that is a DNS label: lower-case letters, digits and hyphens, beginning with a letter and without dots"
// +kubebuilder:validation:XValidation:rule="!has(oldSelf.status) || !has(oldSelf.status.initializedTime) || self.spec.phoneNumber == oldSelf.spec.phoneNumber",message="phoneNumber cannot be changed once the relay has its identity: create another BusinessRelay for the other number"
// +kubebuilder:validation:XValidation:rule="!has(self.spec.webhook) || !has(self.spec.webhook.credentialsSecretName) || self.spec.webhook.credentialsSecretName == self.metadata.name + '-webhook-credentials'",message="webhook.credentialsSecretName must be the BusinessRelay's name and -webhook-credentials, so that no other Secret can be used"
type BusinessRelay struct {
	metav1.TypeMeta `json:",inline"`
	// metadata is the object's name and what Kubernetes keeps about it.
	// +optional
	metav1.ObjectMeta `json:"metadata,omitzero"`

	// spec is what the business asks for.
	// +required
	Spec BusinessRelaySpec `json:"spec"`
	// status is what the operator and the relay report. Before the operator has seen the object, its observedGeneration
	// is -1, so that nobody who waits for it takes it for done (kstatus).
	// +optional
	// +kubebuilder:default={observedGeneration:-1}
	Status BusinessRelayStatus `json:"status,omitzero"`
}

// BusinessRelayList is a list of BusinessRelays.
//
// +kubebuilder:object:root=true
type BusinessRelayList struct {
	metav1.TypeMeta `json:",inline"`
	metav1.ListMeta `json:"metadata,omitempty"`
	Items           []BusinessRelay `json:"items"`
}

// Trust says what a relay does when a customer's device shows a new identity key.
//
// +kubebuilder:validation:Enum=blind;firstUse
type Trust string

// The kinds of trust.
const (
	TrustBlind    Trust = "blind"    // accept it and tell the business
	TrustFirstUse Trust = "firstUse" // refuse it until the business accepts it
)

// EncryptionNotice says how often a customer is told how to switch encryption on.
//
// +kubebuilder:validation:Enum=Daily;Never
type EncryptionNotice string

// The values of EncryptionNotice.
const (
	EncryptionNoticeDaily EncryptionNotice = "Daily"
	EncryptionNoticeNever EncryptionNotice = "Never"
)

// DeletionPolicy says what becomes of the data when a BusinessRelay is deleted.
//
// +kubebuilder:validation:Enum=Retain;Erase
type DeletionPolicy string

// The deletion policies.
const (
	// DeletionRetain keeps the volume and the janitor, which goes on destroying old keys
	// until nothing is readable.
	DeletionRetain DeletionPolicy = "Retain"
	// DeletionErase destroys the keys at once, then the volume.
	DeletionErase DeletionPolicy = "Erase"
)

// OptOutScope says what an opt-out stops.
//
// +kubebuilder:validation:Enum=All;Marketing
type OptOutScope string

// What an opt-out may stop.
const (
	OptOutAll       OptOutScope = "All"       // everything but answers within 24 hours after the customer wrote again
	OptOutMarketing OptOutScope = "Marketing" // templates of the category MARKETING
)

// OptOut are the words by which customers stop the business, and allow it again. A word counts if it is the whole message, without
// regard to case and spaces around it.
//
// +kubebuilder:validation:XValidation:rule="!has(self.resumeWords) || self.resumeWords.all(w, !self.words.exists(o, o.lowerAscii() == w.lowerAscii()))",message="a word of optOut stops the business or resumes it, not both"
type OptOut struct {
	// words stop the business: it is told so (webhook user_preferences), and its later messages are refused with error 131050.
	// +required
	// +listType=set
	// +kubebuilder:validation:MinItems=1
	// +kubebuilder:validation:MaxItems=16
	// +kubebuilder:validation:items:MinLength=1
	// +kubebuilder:validation:items:MaxLength=32
	// +kubebuilder:validation:items:XValidation:rule=`self.matches(r'^\S(.*\S)?$')`,message="a word of optOut has no spaces around it and no line breaks"
	Words []string `json:"words"`
	// resumeWords allow the business again. Without one, a customer who stopped it stays so until they are erased.
	// +optional
	// +listType=set
	// +kubebuilder:validation:MaxItems=16
	// +kubebuilder:validation:items:MinLength=1
	// +kubebuilder:validation:items:MaxLength=32
	// +kubebuilder:validation:items:XValidation:rule=`self.matches(r'^\S(.*\S)?$')`,message="a word of optOut has no spaces around it and no line breaks"
	ResumeWords []string `json:"resumeWords,omitempty"`
	// confirmation is what the customer is answered, once; without it the relay's own text, in English.
	// +optional
	// +kubebuilder:validation:MaxLength=500
	Confirmation string `json:"confirmation,omitempty"`
	// resumeConfirmation is the same for those who allow the business again.
	// +optional
	// +kubebuilder:validation:MaxLength=500
	ResumeConfirmation string `json:"resumeConfirmation,omitempty"`
	// applies says what is stopped: All but answers within 24 hours after the customer wrote again, or Marketing templates only.
	// +optional
	// +kubebuilder:default=All
	Applies OptOutScope `json:"applies,omitempty"`
}

// BusinessRelaySpec is what a business asks for.
//
// +kubebuilder:validation:XValidation:rule="self.replicas == 1 || has(self.storage.postgres)",message="replicas above 1 need a shared store: set storage.postgres, or replicas to 1"
// +kubebuilder:validation:XValidation:rule="has(self.storage.postgres) == has(oldSelf.storage.postgres) || (has(self.suspend) && self.suspend && has(oldSelf.suspend) && oldSelf.suspend)",message="storage.postgres can be added only while the relay is stopped: set suspend: true first, and false again once the database and its login are there"
// +kubebuilder:validation:XValidation:rule="!has(self.moving) || self.moving.from != self.moving.to",message="a relay moves from one DataRegion to another"
// +kubebuilder:validation:XValidation:rule="!has(self.moving) || has(self.storage.postgres) == has(oldSelf.storage.postgres)",message="storage.postgres cannot be added while the relay is moving to another region"
// +kubebuilder:validation:XValidation:rule="!has(self.moving) || (has(self.moving.settled) && self.moving.settled) || (has(self.suspend) && self.suspend)",message="the relay is moving to another region: finish that with kubectl relay move, or return with --back, before it is started"
// +kubebuilder:validation:XValidation:rule="has(self.moving) || !has(oldSelf.moving) || self.dataRegion == oldSelf.moving.from || (has(oldSelf.moving.settled) && oldSelf.moving.settled)",message="the relay is moving to another region: finish that with kubectl relay move, or return with --back"
// +kubebuilder:validation:XValidation:rule="!has(self.moving) || (has(oldSelf.moving) ? self.moving.from == oldSelf.moving.from && self.moving.to == oldSelf.moving.to && self.moving.carrierDomain == oldSelf.moving.carrierDomain : self.moving.from == self.dataRegion)",message="a move is from the relay's DataRegion, and its regions and carrier domain cannot be changed"
// +kubebuilder:validation:XValidation:rule="!has(self.moving) || ((has(self.moving.settled) && self.moving.settled) ? self.dataRegion == self.moving.to : !(has(oldSelf.moving) && has(oldSelf.moving.settled) && oldSelf.moving.settled))",message="a move is settled in the new region, and for good"
// +kubebuilder:validation:XValidation:rule="self.dataRegion == oldSelf.dataRegion ? (has(self.moves) ? self.moves : 0) == (has(oldSelf.moves) ? oldSelf.moves : 0) : has(self.moving) && has(oldSelf.moving) && has(self.suspend) && self.suspend && has(oldSelf.suspend) && oldSelf.suspend && !(has(self.moving.settled) && self.moving.settled) && (self.dataRegion == self.moving.to ? oldSelf.dataRegion == self.moving.from && self.moves == (has(oldSelf.moves) ? oldSelf.moves : 0) + 1 : self.dataRegion == self.moving.from && (has(self.moves) ? self.moves : 0) == oldSelf.moves - 1)",message="dataRegion and moves change only by kubectl relay move, while the relay is suspended: its data has to be taken along. Or create another BusinessRelay in the other region"
// +kubebuilder:validation:XValidation:rule="!has(self.processors) || size(self.processors) == 0 || !has(self.payloadEncryption)",message="processors cannot read what payloadEncryption encrypts for the business, and get nothing in clear beside it: remove one of the two"
type BusinessRelaySpec struct {
	// phoneNumber is the business's telephone number in E.164 form, for example +41441234567.
	// One number belongs to one relay in the whole cluster.
	// +required
	// +kubebuilder:validation:MinLength=1
	// +kubebuilder:validation:MaxLength=64
	// +kubebuilder:validation:XValidation:rule="self.matches('^[+][1-9][0-9]{6,14}$')",message="phoneNumber must be in E.164 form: a plus sign, the country code and the subscriber number, 7 to 15 digits in all, without spaces, for example +41441234567"
	PhoneNumber string `json:"phoneNumber"`
	// profile is what customers see of the business.
	// +optional
	Profile Profile `json:"profile,omitzero"`
	// dataRegion names the DataRegion that the relay runs in and its data stays in. Only kubectl relay move changes
	// it: the data has to be taken along.
	// +required
	DataRegion ObjectName `json:"dataRegion"`
	// moves counts the moves to another region. Only kubectl relay move changes it. It ends the name of the relay's claim:
	// each region has a claim of its own.
	// +optional
	// +kubebuilder:validation:XValidation:rule="self >= 0 && self <= 10000",message="moves must be 0 to 10000"
	Moves int32 `json:"moves,omitempty"`
	// moving is there while the relay moves to another region. Only kubectl relay move writes it.
	// +optional
	Moving *Moving `json:"moving,omitempty"`
	// businessAccount groups the relays of this namespace that name the same one: numbers of one business.
	// They have one business account id in common and list each other's numbers, and a token can be made for all
	// of them (kubectl relay token create --business-account). It is a DNS label. A change of it changes the id,
	// which clients and webhooks name. Without it a relay is an account of its own.
	// +optional
	// +kubebuilder:validation:MinLength=1
	// +kubebuilder:validation:MaxLength=64
	// +kubebuilder:validation:XValidation:rule="self.size() <= 63 && self.matches('^[a-z]([-a-z0-9]*[a-z0-9])?$')",message="businessAccount must be a DNS label: at most 63 lower-case letters, digits and hyphens, beginning with a letter, for example acme"
	BusinessAccount string `json:"businessAccount,omitempty"`
	// webhook is where the relay delivers messages and statuses. Without it the relay only
	// sends messages.
	// +optional
	Webhook *Webhook `json:"webhook,omitempty"`
	// processors get a copy of every webhook: further receivers that work for the business, for example an analytics
	// service. Each stands in status and is shown to whoever may read the object. Without it nobody gets a copy.
	// +optional
	// +listType=map
	// +listMapKey=name
	// +kubebuilder:validation:MaxItems=4
	Processors []Processor `json:"processors,omitempty"`
	// payloadEncryption has the relay encrypt every webhook for the business inside TLS, and lets
	// the business encrypt the messages that it sends. The business needs a program that knows it.
	// +optional
	PayloadEncryption *PayloadEncryption `json:"payloadEncryption,omitempty"`
	// retention is how long messages stay readable.
	// +optional
	// +kubebuilder:default={days: 30}
	Retention Retention `json:"retention,omitzero"`
	// storage is where the relay keeps its sealed data.
	// +optional
	// +kubebuilder:default={size: "1Gi"}
	Storage Storage `json:"storage,omitzero"`
	// replicas is how many pods the relay has: one holds the store, the others stand by and pass
	// connections on to it. Above 1 needs storage.postgres.
	// +optional
	// +kubebuilder:default=1
	// +kubebuilder:validation:XValidation:rule="self >= 1 && self <= 10",message="replicas must be 1 to 10; to stop the relay set suspend: true"
	Replicas int32 `json:"replicas,omitempty"`
	// endpoint says which certificate the business's endpoint uses.
	// +optional
	Endpoint RelayEndpoint `json:"endpoint,omitzero"`
	// trust says what happens when a customer's device shows a new identity key:
	// blind accepts it as phones do, firstUse refuses it until it is accepted.
	// +optional
	// +kubebuilder:default=blind
	Trust Trust `json:"trust,omitempty"`
	// acceptUnencrypted makes the relay pass on messages that arrive in clear, marked as such.
	// +optional
	AcceptUnencrypted bool `json:"acceptUnencrypted,omitempty"`
	// privacy says what the relay may tell the carrier for the sake of convenience.
	// +optional
	Privacy Privacy `json:"privacy,omitzero"`
	// encryptionNotice says whether the relay tells a customer how to switch encryption on,
	// in an encrypted message, when it refuses their message because it cannot read its
	// encryption: Daily (at most once in 24 hours) or Never.
	// +optional
	// +kubebuilder:default=Daily
	EncryptionNotice EncryptionNotice `json:"encryptionNotice,omitempty"`
	// encryptionNoticeText is the text of that notice for all customers, at most 1,000
	// characters. Without it the relay uses its own text, in the customer's language if it
	// knows that language.
	// +optional
	// +kubebuilder:validation:MinLength=1
	// +kubebuilder:validation:MaxLength=1000
	// +kubebuilder:validation:XValidation:rule=`self.matches(r'\S') && !self.matches(r'[\x00-\x09\x0b-\x1f\x7f\x{2028}\x{2029}]')`,message="encryptionNoticeText must contain text, and no control characters except line feeds"
	EncryptionNoticeText string `json:"encryptionNoticeText,omitempty"`
	// optOut lets customers stop the business by a word. Without it a message like any other reaches the business.
	// +optional
	OptOut *OptOut `json:"optOut,omitempty"`
	// throughput is how many messages a second the relay handles, both directions
	// together.
	// +optional
	// +kubebuilder:default=80
	// +kubebuilder:validation:XValidation:rule="self >= 1 && self <= 1000",message="throughput must be 1 to 1000 messages a second"
	Throughput int32 `json:"throughput,omitempty"`
	// rotation holds counters: raise a counter by one to replace the identity or the
	// credentials.
	// +optional
	// +kubebuilder:default={identity: 1, access: 1}
	Rotation Rotation `json:"rotation,omitzero"`
	// log says how long the entries of the relay's log are kept, and who cosigns it.
	// +optional
	Log RelayLog `json:"log,omitzero"`
	// deletionPolicy says what becomes of the data when this object is deleted:
	// Retain keeps the volume, and the janitor that destroys its keys as they age; Erase
	// destroys keys and volume at once.
	// +optional
	// +kubebuilder:default=Retain
	DeletionPolicy DeletionPolicy `json:"deletionPolicy,omitempty"`
	// suspend stops the relay. The janitor keeps running.
	// +optional
	Suspend bool `json:"suspend,omitempty"`
	// resources are the relay container's; the operator sets what is left out.
	// +optional
	// +kubebuilder:validation:XValidation:rule="!has(self.claims) || self.claims.size() == 0",message="remove resources.claims: a relay's pod has no resource claims"
	// +kubebuilder:validation:XValidation:rule="!has(self.requests) || !has(self.limits) || ['cpu', 'memory', 'ephemeral-storage'].all(r, !(r in self.requests) || !(r in self.limits) || quantity(string(self.requests[r])).compareTo(quantity(string(self.limits[r]))) <= 0)",message="resources.requests must not be above resources.limits: lower the request or raise the limit"
	Resources corev1.ResourceRequirements `json:"resources,omitzero"`
	// runtimeClassName is the relay pod's runtime class.
	// +optional
	RuntimeClassName ObjectName `json:"runtimeClassName,omitempty"`
	// priorityClassName is the relay pod's priority class: one that the cluster defines,
	// not one of Kubernetes' own (system-…), with which a relay could evict the cluster's
	// own components from its nodes.
	// +optional
	// +kubebuilder:validation:XValidation:rule="!self.startsWith('system-')",message="priorityClassName must not begin with system-: those classes are for the cluster's own components"
	PriorityClassName ObjectName `json:"priorityClassName,omitempty"`
	// imagePullSecrets are Secrets of this namespace with which the kubelet pulls
	// the relay's image.
	// +optional
	// +listType=map
	// +listMapKey=name
	// +kubebuilder:validation:MaxItems=8
	// +kubebuilder:validation:XValidation:rule="self.all(s, s.name != '')",message="give each of imagePullSecrets the name of a Secret"
	ImagePullSecrets []corev1.LocalObjectReference `json:"imagePullSecrets,omitempty"`
}

// Moving is a move to another region. Until it is settled, the relay is suspended, and its pod hands its store over.
type Moving struct {
	// from is the DataRegion that the relay leaves.
	// +required
	From ObjectName `json:"from"`
	// to is the DataRegion that it moves to.
	// +required
	To ObjectName `json:"to"`
	// carrierDomain is the domain of the carrier, which must be the same in both.
	// +required
	CarrierDomain Hostname `json:"carrierDomain"`
	// settled says that the store has arrived and opened, so that the relay runs in the new region. What is left is to
	// destroy what the old region has.
	// +optional
	Settled bool `json:"settled,omitempty"`
}

// Profile is what customers see of a business. Its limits are the Cloud API's.
type Profile struct {
	// displayName is the business's name, which customers' clients show.
	// +optional
	// +kubebuilder:validation:MaxLength=128
	DisplayName string `json:"displayName,omitempty"`
	// about is a line of text below the name.
	// +optional
	// +kubebuilder:validation:MaxLength=139
	About string `json:"about,omitempty"`
	// address is the postal address.
	// +optional
	// +kubebuilder:validation:MaxLength=256
	Address string `json:"address,omitempty"`
	// description is what the business does.
	// +optional
	// +kubebuilder:validation:MaxLength=512
	Description string `json:"description,omitempty"`
	// email is the business's e-mail address.
	// +optional
	// +kubebuilder:validation:MaxLength=128
	Email string `json:"email,omitempty"`
	// websites are at most two URLs.
	// +optional
	// +listType=atomic
	// +kubebuilder:validation:MaxItems=2
	// +kubebuilder:validation:items:MaxLength=256
	Websites []string `json:"websites,omitempty"`
	// vertical is the line of business, as the Cloud API names it.
	// +optional
	// +kubebuilder:validation:Enum=OTHER;AUTO;BEAUTY;APPAREL;EDU;ENTERTAIN;EVENT_PLAN;FINANCE;GROCERY;GOVT;HOTEL;HEALTH;NONPROFIT;PROF_SERVICES;RETAIL;TRAVEL;RESTAURANT;ALCOHOL;ONLINE_GAMBLING;PHYSICAL_GAMBLING;OTC_DRUGS;MATRIMONY_SERVICE
	Vertical string `json:"vertical,omitempty"`
	// picture is the business's picture, which customers' clients show: a JPEG or PNG file in
	// base64 without line breaks, of at most 32 KiB and at most 640 by 640 pixels. Metadata in
	// the file is not published.
	// +optional
	// +kubebuilder:validation:MaxLength=43692
	// +kubebuilder:validation:Pattern=`^(/9j/|iVBORw0KGgo)[A-Za-z0-9+/]*={0,2}$`
	Picture string `json:"picture,omitempty"`
}

// Webhook is where a relay delivers messages and statuses to its business.
type Webhook struct {
	// url is an HTTPS URL. It is not secret: put no password or token into it.
	// +required
	// +kubebuilder:validation:MinLength=1
	// +kubebuilder:validation:MaxLength=2048
	// +kubebuilder:validation:XValidation:rule="self.matches('^https://[^/@?#]+([/?][^#]*)?$') && isURL(self)",message="webhook.url must be an https:// URL without user name, password or fragment, for example https://example.org/webhook"
	// +kubebuilder:validation:XValidation:rule="!self.matches('^https://[^/?#]*:(0|6553[6-9]|655[4-9][0-9]|65[6-9][0-9]{2}|6[6-9][0-9]{3}|[7-9][0-9]{4}|[0-9]{6,})([/?#]|$)')",message="webhook.url must name a port from 1 to 65535, or none for 443"
	URL string `json:"url"`
	// caBundle holds the CA certificates that verify the webhook's certificate. Without it,
	// the relay image's public CAs are used.
	// +optional
	CABundle CABundle `json:"caBundle,omitempty"`
	// clientCertificateSecretName is a Secret of this namespace (tls.crt, tls.key)
	// with the relay's client certificate for the webhook.
	// +optional
	ClientCertificateSecretName ObjectName `json:"clientCertificateSecretName,omitempty"`
	// credentialsSecretName is a Secret of this namespace with what the receiver recognises the
	// relay by, for a receiver that brings its own: appSecret, which signs webhooks, and
	// verifyToken, which the handshake shows. It must be named <BusinessRelay>-webhook-credentials.
	// Change the Secret to rotate them. Without it, the relay makes both (kubectl relay credentials).
	// +optional
	CredentialsSecretName ObjectName `json:"credentialsSecretName,omitempty"`
	// maxUpdates is how many updates, messages and statuses, the relay puts into one webhook at most: those that
	// wait, up to 3 MB. Raise it only for a receiver that reads every entry's every change: many read only the
	// first. Without it, each has a webhook of its own.
	// +optional
	// +kubebuilder:default=1
	// +kubebuilder:validation:XValidation:rule="self >= 1 && self <= 1000",message="webhook.maxUpdates must be 1 to 1000 updates"
	MaxUpdates int32 `json:"maxUpdates,omitempty"`
	// country is where the receiver is, by its two letters (ISO 3166-1 alpha-2), as the business declares it: nobody can
	// check it. One outside the DataRegion is a transfer, which status shows and the DataRegion may forbid.
	// +optional
	Country CountryCode `json:"country,omitempty"`
}

// Processor is a further receiver of a business's webhooks, and what it is for.
type Processor struct {
	// name stands for the processor in status and logs. Copies that wait belong to it.
	// +required
	// +kubebuilder:validation:MinLength=1
	// +kubebuilder:validation:MaxLength=40
	// +kubebuilder:validation:XValidation:rule="self.matches('^[a-z]([-a-z0-9]*[a-z0-9])?$')",message="choose a name of lower-case letters, digits and hyphens, beginning with a letter"
	Name string `json:"name"`
	// url is an HTTPS URL. It is not secret: put no password or token into it.
	// +required
	// +kubebuilder:validation:MinLength=1
	// +kubebuilder:validation:MaxLength=2048
	// +kubebuilder:validation:XValidation:rule="self.matches('^https://[^/@?#]+([/?][^#]*)?$') && isURL(self)",message="a processor's url must be an https:// URL without user name, password or fragment, for example https://example.org/copies"
	// +kubebuilder:validation:XValidation:rule="!self.matches('^https://[^/?#]*:(0|6553[6-9]|655[4-9][0-9]|65[6-9][0-9]{2}|6[6-9][0-9]{3}|[7-9][0-9]{4}|[0-9]{6,})([/?#]|$)')",message="a processor's url must name a port from 1 to 65535, or none for 443"
	URL string `json:"url"`
	// caBundle holds the CA certificates that verify the processor's certificate. Without it,
	// the relay image's public CAs are used.
	// +optional
	CABundle CABundle `json:"caBundle,omitempty"`
	// purpose says what the processor does with the copies, for those who have to answer for it.
	// +required
	// +kubebuilder:validation:MinLength=1
	// +kubebuilder:validation:MaxLength=256
	Purpose string `json:"purpose"`
	// country is where the processor is, as that of webhook.
	// +required
	Country CountryCode `json:"country"`
}

// PayloadEncryption is the encryption of payloads between a relay and its business, inside TLS
// (the Cloud API's payload encryption: JWE with RSA-OAEP and A256GCM).
type PayloadEncryption struct {
	// publicKey is the business's RSA public key of 2,048 to 8,192 bits in PEM. It is public; the
	// business keeps the private key. Webhooks that wait are encrypted with the key that is here
	// when they are delivered.
	// +required
	// +kubebuilder:validation:MinLength=1
	// +kubebuilder:validation:MaxLength=4096
	// +kubebuilder:validation:XValidation:rule="!self.contains('PRIVATE KEY-----')",message="payloadEncryption.publicKey must be the public key: remove the private key, and make another pair, because it has been disclosed"
	// +kubebuilder:validation:XValidation:rule=`self.contains('PRIVATE KEY-----') || self.matches(r'^\s*-----BEGIN PUBLIC KEY-----\s[A-Za-z0-9+/=\s]+-----END PUBLIC KEY-----\s*$')`,message="payloadEncryption.publicKey must be one RSA public key in PEM, which begins with -----BEGIN PUBLIC KEY-----: openssl rsa -in private.pem -pubout"
	// +kubebuilder:validation:XValidation:rule=`!self.matches(r'^\s*-----BEGIN PUBLIC KEY-----') || self.matches(r'^\s*-----BEGIN PUBLIC KEY-----\s+MII[A-Z][A-Za-z0-9+/][DTjz]ANBgkqhkiG9w0BAQEFAAOC')`,message="payloadEncryption.publicKey must be an RSA key of at least 2048 bits: openssl genrsa -out private.pem 2048"
	PublicKey string `json:"publicKey"`
}

// Retention is how long messages stay readable.
type Retention struct {
	// days is how many days a message stays readable, 1 to 30.
	// +optional
	// +kubebuilder:default=30
	// +kubebuilder:validation:XValidation:rule="self >= 1 && self <= 30",message="retention.days must be 1 to 30: nothing is kept longer than 30 days"
	Days int32 `json:"days,omitempty"`
}

// Storage is where a relay keeps its sealed data.
//
// +kubebuilder:validation:XValidation:rule="quantity(string(self.size)).compareTo(quantity(string(oldSelf.size))) >= 0",message="storage.size cannot shrink: set it back to its former size or larger"
// +kubebuilder:validation:XValidation:rule="has(self.postgres) || !has(oldSelf.postgres)",message="storage.postgres cannot be removed, because messages would be left behind: create another BusinessRelay"
type Storage struct {
	// size is the volume's size. It can grow if the storage class allows that, but never
	// shrink. With postgres it is what the database should take: quotas are parts of it, and the server does not
	// enforce it.
	// +optional
	// +kubebuilder:default="1Gi"
	// +kubebuilder:validation:XValidation:rule="isQuantity(string(self)) && quantity(string(self)).compareTo(quantity('64Mi')) >= 0 && quantity(string(self)).compareTo(quantity('16Ti')) <= 0",message="storage.size must be between 64Mi and 16Ti, for example 1Gi"
	Size resource.Quantity `json:"size,omitzero"`
	// mode says whether what customers and the business write is stored. Retained stores it, sealed, for the
	// retention. None keeps it in the relay's memory only, for at most an hour: what is lost with it is told to
	// the business, 131035 for a customer's message and 131036 for its own. It cannot be changed.
	// +optional
	// +kubebuilder:default=Retained
	// +kubebuilder:validation:XValidation:rule="self == oldSelf",message="storage.mode cannot be changed, because what was stored before would stay: create another BusinessRelay"
	Mode StorageMode `json:"mode,omitempty"`
	// postgres keeps the store in the region's PostgreSQL instead of a volume. A relay with a volume moves
	// what is on it into the empty database when it starts; it must be suspended when postgres is added.
	// +optional
	Postgres *PostgresStorage `json:"postgres,omitempty"`
}

// StorageMode says whether content is stored.
//
// +kubebuilder:validation:Enum=Retained;None
type StorageMode string

// The storage modes.
const (
	StorageRetained StorageMode = "Retained"
	StorageNone     StorageMode = "None"
)

// PostgresStorage is a relay's share of the region's PostgreSQL.
type PostgresStorage struct {
	// database is the name of the relay's own database. It cannot be changed.
	// +required
	// +kubebuilder:validation:MinLength=1
	// +kubebuilder:validation:MaxLength=63
	// +kubebuilder:validation:XValidation:rule="self.matches('^[a-z_][a-z0-9_-]*$')",message="write the database's name in lower case: letters, digits, underscores and hyphens, beginning with a letter"
	// +kubebuilder:validation:XValidation:rule="self == oldSelf",message="storage.postgres.database cannot be changed, because messages would be left behind: create another BusinessRelay"
	Database string `json:"database"`
}

// RelayLog says how long the entries of a relay's log are kept, and who cosigns it. The log has sums of what was done with the
// business's data, by token, kind and minute.
type RelayLog struct {
	// retentionMonths is how long an entry is kept, in months. Its hash stays, so that the log can still be verified.
	// +optional
	// +kubebuilder:default=13
	// +kubebuilder:validation:XValidation:rule="self >= 1 && self <= 120",message="log.retentionMonths must be 1 to 120"
	RetentionMonths int32 `json:"retentionMonths,omitempty"`
	// witness cosigns the log, so that nobody can show another history of it or take a part back unnoticed. The business may
	// run it itself: relay witness. While it is away, nothing waits for it.
	// +optional
	Witness *LogWitness `json:"witness,omitempty"`
}

// LogWitness is a witness (c2sp.org/tlog-witness), which the relay reaches by the same network rules as the webhook.
type LogWitness struct {
	// url is the https:// URL below which the witness answers. It is not secret: put no password or token into it.
	// +required
	// +kubebuilder:validation:MinLength=1
	// +kubebuilder:validation:MaxLength=2048
	// +kubebuilder:validation:XValidation:rule="self.matches('^https://[^/@?#]+(/[^?#]*)?$') && isURL(self)",message="log.witness.url must be an https:// URL without user name, password, query or fragment, for example https://witness.example.org"
	// +kubebuilder:validation:XValidation:rule="!self.matches('^https://[^/?#]*:(0|6553[6-9]|655[4-9][0-9]|65[6-9][0-9]{2}|6[6-9][0-9]{3}|[7-9][0-9]{4}|[0-9]{6,})(/|$)')",message="log.witness.url must name a port from 1 to 65535, or none for 443"
	URL string `json:"url"`
	// publicKey is the witness's public key, as relay witness init prints it: name, key id and key.
	// +required
	// +kubebuilder:validation:MinLength=1
	// +kubebuilder:validation:MaxLength=512
	// +kubebuilder:validation:XValidation:rule="self.matches('^[A-Za-z0-9._/:-]+[+][0-9a-f]{8}[+]B[A-Za-z0-9+/]{43}$')",message="log.witness.publicKey must be the public key of a witness as relay witness init prints it, for example witness.example.org+89abcdef+B…"
	PublicKey string `json:"publicKey"`
	// caBundle holds the CA certificates that verify the witness's certificate. Without it, the relay image's public CAs are
	// used.
	// +optional
	CABundle CABundle `json:"caBundle,omitempty"`
}

// Privacy says what the relay may tell the carrier for the sake of convenience.
type Privacy struct {
	// clearMetadata sends the business's reactions in clear to customers with a device that reads only
	// legacy OMEMO, so that clients show them at the message: the carrier then learns the emoji. Without
	// it such a device gets an encrypted text: a quote and the emoji. omemo:2 encrypts reactions.
	// +optional
	ClearMetadata bool `json:"clearMetadata,omitempty"`
	// shareNumbers says whether the business is told its customers' numbers; it is without the field. With
	// false, webhooks and answers have only user ids, and the endpoint takes no number of a customer.
	// What the business was told before stays told.
	// +optional
	ShareNumbers *bool `json:"shareNumbers,omitempty"`
}

// RelayEndpoint says which certificate a business's endpoint uses.
//
// +kubebuilder:validation:XValidation:rule="!has(self.tlsSecretName) || !has(self.terminateAtGateway) || !self.terminateAtGateway",message="tlsSecretName and terminateAtGateway exclude each other: if the gateway terminates TLS, the certificate is the gateway's"
// +kubebuilder:validation:XValidation:rule="!has(self.shared) || !self.shared || (has(self.terminateAtGateway) && self.terminateAtGateway)",message="at the region's shared host the gateway terminates TLS and can read everything: set endpoint.terminateAtGateway to true as well"
type RelayEndpoint struct {
	// tlsSecretName is a Secret of this namespace (tls.crt, tls.key). Without it the
	// region's Vault signs the relay's certificate.
	// +optional
	TLSSecretName ObjectName `json:"tlsSecretName,omitempty"`
	// terminateAtGateway lets the region's gateway terminate TLS, and so read everything:
	// the condition EndToEndTLS is then False.
	// +optional
	TerminateAtGateway bool `json:"terminateAtGateway,omitempty"`
	// shared has the relay answer at the region's shared host as well, where the gateway finds it by the ids in
	// paths. The ids of its files then begin with the number's id and a slash.
	// +optional
	Shared bool `json:"shared,omitempty"`
}

// Rotation counts identities and access credentials. Raising a counter makes new ones;
// a counter cannot go back.
//
// +kubebuilder:validation:XValidation:rule="self.identity >= oldSelf.identity && self.access >= oldSelf.access",message="rotation counters only count up: a former identity or former credentials cannot come back"
// +kubebuilder:validation:XValidation:optionalOldSelf=true,rule="oldSelf.hasValue() ? self.identity - oldSelf.value().identity <= 64 && self.access - oldSelf.value().access <= 64 : self.identity <= 10000 && self.access <= 10000",message="raise a rotation counter by one to rotate: a change may raise it by 64 at most, and a new relay may begin with 10000 at most"
type Rotation struct {
	// identity counts the relay's Signal identities.
	// +optional
	// +kubebuilder:default=1
	// +kubebuilder:validation:Minimum=1
	// +kubebuilder:validation:Maximum=1000000
	Identity int32 `json:"identity,omitempty"`
	// access counts the sets of access token, webhook secret and verify token.
	// +optional
	// +kubebuilder:default=1
	// +kubebuilder:validation:Minimum=1
	// +kubebuilder:validation:Maximum=1000000
	Access int32 `json:"access,omitempty"`
}
