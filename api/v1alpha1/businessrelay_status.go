package v1alpha1

import metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"

// BusinessRelayStatus is what the operator and the relay report. It contains nothing
// about any customer.
type BusinessRelayStatus struct {
	// conditions are Ready, Reconciling, Stalled, Placed, KeysReady,
	// CarrierConnected, WebhookVerified, VolumeHasRoom, SendingUnlimited, RetentionHealthy, EndToEndTLS with endpoint.shared
	// SharedHost and, where receivers declare countries, TransfersAllowed.
	// +optional
	// +listType=map
	// +listMapKey=type
	// +kubebuilder:validation:MaxItems=16
	Conditions []metav1.Condition `json:"conditions,omitempty"`
	// observedGeneration is the generation of the spec that this status is about.
	// +optional
	ObservedGeneration int64 `json:"observedGeneration,omitempty"`
	// endpoint is what the business's client needs to know, apart from its token.
	// +optional
	Endpoint EndpointStatus `json:"endpoint,omitzero"`
	// identity is the relay's Signal identity.
	// +optional
	Identity IdentityStatus `json:"identity,omitzero"`
	// rotation is which identity and which credentials the relay uses, by their counters in spec.rotation; 0 if it has not
	// reported. While a counter is below that of the spec, its rotation is pending.
	// +optional
	Rotation RotationStatus `json:"rotation,omitzero"`
	// region is where the relay is.
	// +optional
	Region RegionStatus `json:"region,omitzero"`
	// image is what the relay's pod (the first of several) runs, by the digest that its node reports.
	// +optional
	// +kubebuilder:validation:MaxLength=512
	Image string `json:"image,omitempty"`
	// retention is how far the erasure of old keys has come.
	// +optional
	Retention RetentionStatus `json:"retention,omitzero"`
	// quality is how customers react to what the business sends: GREEN, YELLOW, RED or
	// UNKNOWN.
	// +optional
	// +kubebuilder:validation:MaxLength=16
	Quality string `json:"quality,omitempty"`
	// integrity is what the relay says of the strangers whom the business writes to.
	// +optional
	Integrity IntegrityStatus `json:"integrity,omitzero"`
	// transfers are the receivers outside the DataRegion's countries, by the countries that the business declares.
	// +optional
	// +listType=map
	// +listMapKey=receiver
	// +kubebuilder:validation:MaxItems=8
	Transfers []Transfer `json:"transfers,omitempty"`
	// processors are those of the spec, as the relay reports them.
	// +optional
	// +listType=map
	// +listMapKey=name
	// +kubebuilder:validation:MaxItems=8
	Processors []ProcessorStatus `json:"processors,omitempty"`
	// initializedTime is when the relay got its first identity.
	// +optional
	InitializedTime *metav1.Time `json:"initializedTime,omitempty"`
	// startedTime is when the operator first started the relay. From then on Vault may hold
	// keys of it, even if the objects in its namespace are gone.
	// +optional
	StartedTime *metav1.Time `json:"startedTime,omitempty"`
}

// IntegrityStatus is what a relay says of the strangers whom its business writes to: people of whom the relay knew nothing.
type IntegrityStatus struct {
	// firstContacts is to how many it wrote within a day, rounded up.
	// +optional
	FirstContacts int64 `json:"firstContacts,omitempty"`
	// dailyLimit is to how many it may write in a day; 0 for no limit.
	// +optional
	DailyLimit int64 `json:"dailyLimit,omitempty"`
	// held says that the relay's own conduct makes it write to no stranger.
	// +optional
	Held bool `json:"held,omitempty"`
}

// Transfer is a receiver outside the DataRegion's countries.
type Transfer struct {
	// receiver is webhook, or processor and its name.
	// +required
	// +kubebuilder:validation:MaxLength=64
	Receiver string `json:"receiver"`
	// country is the one that the business declares; empty if it declares none.
	// +optional
	// +kubebuilder:validation:MaxLength=2
	Country string `json:"country,omitempty"`
	// forbidden says that the DataRegion forbids it: the relay was not given this receiver, and nothing is sent there.
	// +optional
	Forbidden bool `json:"forbidden,omitempty"`
}

// ProcessorStatus is how a processor is, as far as the relay can tell.
type ProcessorStatus struct {
	// name is that of the spec.
	// +required
	// +kubebuilder:validation:MaxLength=40
	Name string `json:"name"`
	// verified says that it passed the handshake and accepts copies.
	// +optional
	Verified bool `json:"verified"`
	// reason is as that of the condition WebhookVerified.
	// +optional
	// +kubebuilder:validation:MaxLength=64
	Reason string `json:"reason,omitempty"`
}

// EndpointStatus is what a business's client needs to know, apart from its token.
type EndpointStatus struct {
	// url is the base URL of the business's endpoint.
	// +optional
	// +kubebuilder:validation:MaxLength=512
	URL string `json:"url,omitempty"`
	// sharedURL is the base URL of the region's shared host, if it leads to this relay.
	// +optional
	// +kubebuilder:validation:MaxLength=512
	SharedURL string `json:"sharedURL,omitempty"`
	// phoneNumberID is the number's id in the Cloud API's paths.
	// +optional
	// +kubebuilder:validation:MaxLength=32
	PhoneNumberID string `json:"phoneNumberID,omitempty"`
	// businessAccountID is the business's id in the Cloud API's webhooks.
	// +optional
	// +kubebuilder:validation:MaxLength=32
	BusinessAccountID string `json:"businessAccountID,omitempty"`
}

// IdentityStatus is a relay's Signal identity.
type IdentityStatus struct {
	// fingerprint is the public identity key's, as a customer's client shows it.
	// +optional
	// +kubebuilder:validation:MaxLength=128
	Fingerprint string `json:"fingerprint,omitempty"`
	// deviceID is the relay's OMEMO device id: an invitation names it beside the
	// fingerprint, so that a customer's client can verify the device by itself.
	// +optional
	DeviceID int64 `json:"deviceID,omitempty"`
}

// RotationStatus is what a relay uses of what spec.rotation counts.
type RotationStatus struct {
	// identity is the counter of the Signal identity in force.
	// +optional
	Identity int32 `json:"identity,omitempty"`
	// access is the counter of the access token, webhook secret and verify token in force.
	// +optional
	Access int32 `json:"access,omitempty"`
}

// VolumeEvidence says how certain it is that a volume is in its region.
type VolumeEvidence string

// The kinds of evidence.
const (
	// VolumeVerified: the volume can be attached on nodes of the region only.
	VolumeVerified VolumeEvidence = "verified"
	// VolumeDeclared: only the region's storage class says so.
	VolumeDeclared VolumeEvidence = "declared"
)

// RegionStatus is where a relay is.
type RegionStatus struct {
	// name is the DataRegion's.
	// +optional
	// +kubebuilder:validation:MaxLength=253
	Name string `json:"name,omitempty"`
	// countries are those that the DataRegion's data stays in, as its admin declares; none if it says nothing closer than
	// its type.
	// +optional
	// +listType=atomic
	// +kubebuilder:validation:MaxItems=64
	Countries []CountryCode `json:"countries,omitempty"`
	// node is the name of the node that the relay (the first of several) runs on.
	// +optional
	// +kubebuilder:validation:MaxLength=253
	Node string `json:"node,omitempty"`
	// volume says how certain it is that the volume is in the region: verified (it can be
	// attached there only) or declared (by the storage class).
	// +optional
	// +kubebuilder:validation:MaxLength=16
	Volume VolumeEvidence `json:"volume,omitempty"`
}

// RetentionStatus is how far the erasure of old keys has come.
type RetentionStatus struct {
	// lastSuccessTime is when the janitor last succeeded, by Vault's clock.
	// +optional
	LastSuccessTime *metav1.Time `json:"lastSuccessTime,omitempty"`
	// oldestKeyTime is when the oldest key that still exists was made: nothing
	// older is readable.
	// +optional
	OldestKeyTime *metav1.Time `json:"oldestKeyTime,omitempty"`
}
