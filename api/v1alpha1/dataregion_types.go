package v1alpha1

import (
	"slices"

	corev1 "k8s.io/api/core/v1"
	networkingv1 "k8s.io/api/networking/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
)

// DataRegion is a part of the cluster in which the data of some businesses stays:
// its nodes, its storage class, its Vault and its carrier. Only cluster admins create
// one. A node belongs to the region when an admin has labelled it
// node-restriction.kubernetes.io/relaykeep-region=<name>.
//
// +kubebuilder:object:root=true
// +kubebuilder:subresource:status
// +kubebuilder:resource:scope=Cluster
// +kubebuilder:printcolumn:name="Type",type=string,JSONPath=`.spec.type`
// +kubebuilder:printcolumn:name="Countries",type=string,JSONPath=`.status.countries`
// +kubebuilder:printcolumn:name="Ready",type=string,JSONPath=`.status.conditions[?(@.type=="Ready")].status`
// +kubebuilder:printcolumn:name="Reason",type=string,JSONPath=`.status.conditions[?(@.type=="Ready")].reason`
// +kubebuilder:printcolumn:name="Nodes",type=integer,JSONPath=`.status.nodes`
// +kubebuilder:printcolumn:name="Relays",type=integer,JSONPath=`.status.relays`
// +kubebuilder:printcolumn:name="Age",type=date,JSONPath=`.metadata.creationTimestamp`
// +kubebuilder:validation:XValidation:rule="self.metadata.name.size() <= 63 && self.metadata.name.matches('^[a-z0-9]([-a-z0-9]*[a-z0-9])?$')",message="a DataRegion's name must be usable as a label: at most 63 lower-case letters, digits and hyphens"
type DataRegion struct {
	metav1.TypeMeta `json:",inline"`
	// metadata is the object's name and what Kubernetes keeps about it.
	// +optional
	metav1.ObjectMeta `json:"metadata,omitzero"`

	// spec is what a cluster admin decides about the region.
	// +required
	Spec DataRegionSpec `json:"spec"`
	// status is what the operator knows about the region. Before the operator has seen the object, its observedGeneration
	// is -1, so that nobody who waits for it takes it for done (kstatus).
	// +optional
	// +kubebuilder:default={observedGeneration:-1}
	Status DataRegionStatus `json:"status,omitzero"`
}

// DataRegionList is a list of DataRegions.
//
// +kubebuilder:object:root=true
type DataRegionList struct {
	metav1.TypeMeta `json:",inline"`
	metav1.ListMeta `json:"metadata,omitempty"`
	Items           []DataRegion `json:"items"`
}

// RegionType says which part of the world a region stands for.
//
// +kubebuilder:validation:Enum=NA;EU;Local
type RegionType string

// The types of region.
const (
	RegionNA    RegionType = "NA"    // North America
	RegionEU    RegionType = "EU"    // European Union
	RegionLocal RegionType = "Local" // one country, named by spec.country
)

// DataRegionSpec is what a cluster admin decides about a region.
//
// +kubebuilder:validation:XValidation:rule="self.type != 'Local' || has(self.country)",message="a region of type Local must say which country it is: set country to its two letters (ISO 3166-1 alpha-2), for example CH"
// +kubebuilder:validation:XValidation:rule="self.type == 'Local' || !has(self.country)",message="country belongs to type Local only: remove it, or set type to Local"
// +kubebuilder:validation:XValidation:rule="self.type == oldSelf.type && has(self.country) == has(oldSelf.country) && (!has(self.country) || self.country == oldSelf.country)",message="type and country cannot be changed, because businesses were promised them: create another DataRegion"
// +kubebuilder:validation:XValidation:rule="self.type != 'EU' || !has(self.countries) || self.countries.all(c, c in ['AT','BE','BG','CY','CZ','DE','DK','EE','ES','FI','FR','GR','HR','HU','IE','IT','LT','LU','LV','MT','NL','PL','PT','RO','SE','SI','SK'])",message="countries of a region of type EU must be members of the European Union: for others, make a region of type Local"
// +kubebuilder:validation:XValidation:rule="self.type != 'NA' || !has(self.countries) || self.countries.all(c, c in ['AG','AI','AW','BB','BL','BM','BQ','BS','BZ','CA','CR','CU','CW','DM','DO','GD','GL','GP','GT','HN','HT','JM','KN','KY','LC','MF','MQ','MS','MX','NI','PA','PM','PR','SV','SX','TC','TT','US','VC','VG','VI'])",message="countries of a region of type NA must be in North America: for others, make a region of type Local"
// +kubebuilder:validation:XValidation:rule="self.type != 'Local' || !has(self.countries) || !has(self.country) || self.countries == [self.country]",message="a region of type Local has one country: leave countries out, or name the same one there"
// +kubebuilder:validation:XValidation:rule="!has(oldSelf.countries) || has(self.countries) && self.countries.all(c, c in oldSelf.countries)",message="countries can be removed and not added, because businesses were promised them: create another DataRegion"
type DataRegionSpec struct {
	// type is the part of the world that the region stands for: NA, EU, or Local
	// for a single country. It cannot be changed.
	// +required
	Type RegionType `json:"type"`
	// country is the ISO 3166-1 alpha-2 code of the country, with type Local only.
	// It cannot be changed.
	// +optional
	Country CountryCode `json:"country,omitempty"`
	// countries are the only ones in which the region's nodes, volumes, Vault, carrier and PostgreSQL are: some of the
	// European Union's with type EU, some of North America's with type NA. Without it, type Local means its country, and NA
	// and EU say nothing closer. It is shown to businesses (status.region.countries of their relays). The operator cannot
	// check where a machine is. Countries can be removed later, and not added.
	// +optional
	// +listType=set
	// +kubebuilder:validation:MinItems=1
	// +kubebuilder:validation:MaxItems=64
	Countries []CountryCode `json:"countries,omitempty"`
	// placement narrows down which of the region's nodes take relays.
	// +optional
	Placement Placement `json:"placement,omitzero"`
	// pods says how the region's pods run: relays, their janitors and erase Jobs, and the region's keeper.
	// +optional
	Pods Pods `json:"pods,omitzero"`
	// storageClassName is the class of the relays' volumes. It must make volumes
	// inside the region only.
	// +required
	StorageClassName ObjectName `json:"storageClassName"`
	// vault is where the region's keys are kept: Vault, or an OpenBao with its API.
	// +required
	Vault Vault `json:"vault"`
	// carrier is the network that forwards ciphertext for the region's relays.
	// +required
	Carrier Carrier `json:"carrier"`
	// postgres is the region's PostgreSQL, for relays that scale out.
	// +optional
	Postgres *Postgres `json:"postgres,omitempty"`
	// endpoint says under which names businesses reach their relays.
	// +optional
	Endpoint RegionEndpoint `json:"endpoint,omitzero"`
	// rollout says how fast an update reaches the region's relays.
	// +optional
	Rollout Rollout `json:"rollout,omitzero"`
	// network says with whom relays may communicate. Everything that it does not name is
	// closed.
	// +optional
	Network Network `json:"network,omitzero"`
	// moves names the regions with which this one exchanges relays (kubectl relay move). Each must name the other, and
	// both must have one carrier domain. Without it no relay leaves the region or comes into it.
	// +optional
	Moves RegionMoves `json:"moves,omitzero"`
	// transfers says whether webhooks and processors may be outside the region's countries, as businesses declare them:
	// Allow, or Forbid. With Forbid, a relay is not given a receiver that declares another country, or none.
	// +optional
	// +kubebuilder:default=Allow
	Transfers TransferPolicy `json:"transfers,omitempty"`
	// integrity says when a relay's quality counts as low, whether the strangers are limited whom a business may write to,
	// and which relays are exempt.
	// +optional
	Integrity Integrity `json:"integrity,omitzero"`
}

// InCountries returns the countries that the region's data stays in; none if the region says nothing closer than its type.
func (s *DataRegionSpec) InCountries() []CountryCode {
	if s.Type == RegionLocal && len(s.Countries) == 0 {
		return []CountryCode{s.Country}
	}
	return s.Countries
}

// Contains says whether a country is one that the region's data stays in. A region of type EU or NA that names no
// countries contains those of the European Union, or of North America.
func (s *DataRegionSpec) Contains(country CountryCode) bool {
	in := s.InCountries()
	if len(in) == 0 {
		in = countriesOf(s.Type)
	}
	return slices.Contains(in, country)
}

// countriesOf are those that a region of a type may name: the rules of DataRegionSpec have the same.
func countriesOf(t RegionType) []CountryCode {
	switch t {
	case RegionEU:
		return []CountryCode{
			"AT", "BE", "BG", "CY", "CZ", "DE", "DK", "EE", "ES", "FI", "FR", "GR", "HR", "HU", "IE", "IT", "LT", "LU", "LV", "MT", "NL", "PL", "PT", "RO", "SE", "SI", "SK",
		}
	case RegionNA:
		return []CountryCode{
			"AG", "AI", "AW", "BB", "BL", "BM", "BQ", "BS", "BZ", "CA", "CR", "CU", "CW", "DM", "DO", "GD", "GL", "GP", "GT", "HN", "HT", "JM", "KN", "KY", "LC", "MF", "MQ",
			"MS", "MX", "NI", "PA", "PM", "PR", "SV", "SX", "TC", "TT", "US", "VC", "VG", "VI",
		}
	case RegionLocal:
	}
	return nil
}

// TransferPolicy says whether receivers may be outside a region's countries.
//
// +kubebuilder:validation:Enum=Allow;Forbid
type TransferPolicy string

// The values of TransferPolicy.
const (
	TransfersAllow  TransferPolicy = "Allow"
	TransfersForbid TransferPolicy = "Forbid"
)

// RegionMoves names the regions with which a region exchanges relays.
type RegionMoves struct {
	// to are DataRegions that relays may move to from this one.
	// +optional
	// +listType=set
	// +kubebuilder:validation:MaxItems=64
	To []ObjectName `json:"to,omitempty"`
	// from are DataRegions that relays may come from to this one.
	// +optional
	// +listType=set
	// +kubebuilder:validation:MaxItems=64
	From []ObjectName `json:"from,omitempty"`
}

// DefaultMaxUnavailable is the rollout.maxUnavailable of a DataRegion that says nothing.
const DefaultMaxUnavailable = 3

// Rollout says how fast an update of the operator, of the relays' image or of the DataRegion reaches the region's relays.
type Rollout struct {
	// maxUnavailable is how many of the region's relays may be away for an update at a time. A relay that does not come up
	// within five minutes pauses the others' updates. A change of a BusinessRelay's own spec is made at once.
	// +optional
	// +kubebuilder:default=3
	// +kubebuilder:validation:XValidation:rule="self >= 1 && self <= 1000",message="rollout.maxUnavailable must be 1 to 1000"
	MaxUnavailable int32 `json:"maxUnavailable,omitempty"`
}

// Placement narrows down which of a region's nodes take relays.
type Placement struct {
	// nodeSelector must match a node's labels, in addition to the region's own label.
	// +optional
	// +kubebuilder:validation:MaxProperties=16
	// +kubebuilder:validation:XValidation:rule="!('node-restriction.kubernetes.io/relaykeep-region' in self)",message="remove node-restriction.kubernetes.io/relaykeep-region: the operator sets it from the DataRegion's name"
	// +kubebuilder:validation:XValidation:rule="self.all(k, size(k) <= 317 && size(self[k]) <= 63)",message="nodeSelector must hold label values of at most 63 characters"
	NodeSelector map[string]string `json:"nodeSelector,omitempty"`
	// tolerations let relays onto tainted nodes of the region.
	// +optional
	// +listType=atomic
	// +kubebuilder:validation:MaxItems=16
	Tolerations []corev1.Toleration `json:"tolerations,omitempty"`
}

// Pods says how a region's pods run.
type Pods struct {
	// hostUsers is the hostUsers of the pods. With false each pod has a user namespace of its own, so that its users are
	// none of the node's. The region's nodes must support that; where they do not, pods do not start. Without it nothing is
	// said, which means true.
	// +optional
	HostUsers *bool `json:"hostUsers,omitempty"`
}

// MountPath is the path of a mount in Vault, without slashes at its ends.
//
// +kubebuilder:validation:MinLength=1
// +kubebuilder:validation:MaxLength=128
// +kubebuilder:validation:XValidation:rule="self.matches('^[A-Za-z0-9_-]+(/[A-Za-z0-9_-]+)*$')",message="write the mount's path without slashes at its ends, for example kv or teams/kv"
type MountPath string

// Vault is where a region's keys are kept. One Vault may serve several clusters if
// each has mounts of its own.
type Vault struct {
	// address is the HTTPS URL of Vault's API, for example
	// https://vault.eu.example.org:8200.
	// +required
	// +kubebuilder:validation:MinLength=1
	// +kubebuilder:validation:MaxLength=512
	// +kubebuilder:validation:XValidation:rule="self.matches('^https://[^/@?#]+/?$')",message="vault.address must be an https:// URL of host and port only, for example https://vault.eu.example.org:8200"
	// +kubebuilder:validation:XValidation:rule="!self.matches('^https://[^/?#]*:(0|6553[6-9]|655[4-9][0-9]|65[6-9][0-9]{2}|6[6-9][0-9]{3}|[7-9][0-9]{4}|[0-9]{6,})([/?#]|$)')",message="vault.address must name a port from 1 to 65535, or none for 443"
	Address string `json:"address"`
	// caBundle holds the CA certificates that verify Vault's certificate. Without it,
	// the relay image's public CAs are used.
	// +optional
	CABundle CABundle `json:"caBundle,omitempty"`
	// authPath is the mount of the Kubernetes auth method.
	// +optional
	// +kubebuilder:default=kubernetes
	AuthPath MountPath `json:"authPath,omitempty"`
	// kvMount is the mount of the KV version 2 engine.
	// +optional
	// +kubebuilder:default=kv
	KVMount MountPath `json:"kvMount,omitempty"`
	// transitMount is the mount of the transit engine. It must hold only the region's
	// wrapping keys; settings keys are in a second mount, whose name is this one with
	// -settings at its end.
	// +optional
	// +kubebuilder:default=transit
	// +kubebuilder:validation:XValidation:rule="!self.endsWith('-settings')",message="choose a mount whose name does not end in -settings: such a mount holds another mount's settings keys"
	TransitMount MountPath `json:"transitMount,omitempty"`
	// pkiMount is the mount of the PKI engine that signs endpoint certificates.
	// +optional
	// +kubebuilder:default=pki
	PKIMount MountPath `json:"pkiMount,omitempty"`
}

// Carrier is the network that forwards ciphertext. Exactly one field is set.
//
// +kubebuilder:validation:XValidation:rule="has(self.xmpp)",message="name the region's carrier: set carrier.xmpp"
type Carrier struct {
	// xmpp is an XMPP server.
	// +optional
	XMPP *XMPP `json:"xmpp,omitempty"`
}

// Registration says how a relay gets its account at the carrier.
//
// +kubebuilder:validation:Enum=Closed;Open;Token
type Registration string

// The ways to get an account.
const (
	RegistrationClosed Registration = "Closed" // an admin puts it into Vault
	RegistrationOpen   Registration = "Open"   // anyone may register (XEP-0077)
	RegistrationToken  Registration = "Token"  // XEP-0077 with a token from Vault
)

// CustomersWithoutNumber says whether somebody without a number can be a customer.
//
// +kubebuilder:validation:Enum=Allow;Refuse
type CustomersWithoutNumber string

// The values of CustomersWithoutNumber.
const (
	CustomersWithoutNumberAllow  CustomersWithoutNumber = "Allow"
	CustomersWithoutNumberRefuse CustomersWithoutNumber = "Refuse"
)

// XMPP is a region's XMPP server.
type XMPP struct {
	// domain is the part of an address after the at sign: a number becomes +<digits>@<domain>.
	// +required
	Domain Hostname `json:"domain"`
	// address is where the server accepts clients, as host:port; without it, the domain's
	// SRV records decide, or else port 5222 of the domain.
	// +optional
	Address HostPort `json:"address,omitempty"`
	// caBundle holds the CA certificates that verify the server's certificate. Without it,
	// the relay image's public CAs are used.
	// +optional
	CABundle CABundle `json:"caBundle,omitempty"`
	// registration says how a relay gets its account: Closed (an admin puts it into
	// Vault), Open (XEP-0077) or Token (XEP-0077 with a token from Vault).
	// +optional
	// +kubebuilder:default=Closed
	Registration Registration `json:"registration,omitempty"`
	// customersWithoutNumber says what becomes of messages from addresses of the domain that are no
	// numbers: Refuse drops them, Allow makes their owners customers, whom businesses know by user id only.
	// Anybody who can get an account under any name can then write to every business of the region.
	// +optional
	// +kubebuilder:default=Refuse
	CustomersWithoutNumber CustomersWithoutNumber `json:"customersWithoutNumber,omitempty"`
}

// Postgres is a region's PostgreSQL server.
type Postgres struct {
	// address is where the server listens, for example postgres.eu.example.org:5432.
	// +required
	Address HostPort `json:"address"`
	// caBundle holds the CA certificates that verify the server's certificate. Without it,
	// the relay image's public CAs are used.
	// +optional
	CABundle CABundle `json:"caBundle,omitempty"`
}

// RegionEndpoint says under which names businesses reach their relays.
//
// +kubebuilder:validation:XValidation:rule="!has(self.gatewayRef) || has(self.domain)",message="a gateway routes by host name: set endpoint.domain as well"
// +kubebuilder:validation:XValidation:rule="!has(self.shared) || has(self.gatewayRef)",message="the shared host is the gateway's: set endpoint.gatewayRef as well"
// +kubebuilder:validation:XValidation:rule="!has(self.shared) || !has(self.domain) || self.shared.host != self.domain && (!self.shared.host.endsWith('.' + self.domain) || self.shared.host.split('.').size() == self.domain.split('.').size() + 1)",message="relays' own names are below endpoint.domain: let endpoint.shared.host be elsewhere, or one label below it, for example api.<domain>"
type RegionEndpoint struct {
	// domain is the parent of the relays' host names,
	// <name>-relay.<namespace>.<domain>. Without it a relay is reached inside the
	// cluster only, at https://<name>-relay.<namespace>.svc:8443.
	// +optional
	Domain Hostname `json:"domain,omitempty"`
	// gatewayRef is the Gateway (Gateway API) that lets businesses in from outside.
	// The operator adds a route to it for each relay.
	// +optional
	GatewayRef *GatewayReference `json:"gatewayRef,omitempty"`
	// shared is one host name for all relays that ask for it (endpoint.shared of a BusinessRelay), for
	// inbox software that has one base URL. The gateway terminates TLS there, and finds the relay by path.
	// +optional
	Shared *SharedHost `json:"shared,omitempty"`
}

// SharedHost is a host name of the region's gateway that many relays are behind.
type SharedHost struct {
	// host is the name, for example api.relays.example.org. Only the operator's routes may name it.
	// +required
	// +kubebuilder:validation:XValidation:rule="self.matches('[a-z]') && !self.contains(':')",message="a host name, and no IP address: gateways route by name"
	Host Hostname `json:"host"`
	// sectionName is the Gateway's listener that has the host name, its certificate, and terminates TLS; without
	// it, every listener that allows the route.
	// +optional
	SectionName ObjectName `json:"sectionName,omitempty"`
}

// GatewayReference names a Gateway.
type GatewayReference struct {
	// namespace is the Gateway's.
	// +required
	Namespace ObjectName `json:"namespace"`
	// name is the Gateway's.
	// +required
	Name ObjectName `json:"name"`
	// sectionName is one listener of the Gateway; without it, every listener that
	// allows the route.
	// +optional
	SectionName ObjectName `json:"sectionName,omitempty"`
}

// Network says with whom a region's relays may communicate, as NetworkPolicy peers.
// Egress that is left out follows from the addresses above if they are IP addresses;
// otherwise it is open on that port to public addresses only.
type Network struct {
	// ingress names who may reach the relays' endpoints, for example the gateway's pods.
	// Without it nobody outside the relay's own pod can.
	// +optional
	// +listType=atomic
	// +kubebuilder:validation:MaxItems=32
	// +kubebuilder:validation:XValidation:rule="self.all(p, has(p.ipBlock) != (has(p.podSelector) || has(p.namespaceSelector)))",message="each peer is either an ipBlock, or a podSelector, a namespaceSelector or both"
	Ingress []networkingv1.NetworkPolicyPeer `json:"ingress,omitempty"`
	// monitoring names who, in addition to the operator, may reach the relays' status port.
	// +optional
	// +listType=atomic
	// +kubebuilder:validation:MaxItems=32
	// +kubebuilder:validation:XValidation:rule="self.all(p, has(p.ipBlock) != (has(p.podSelector) || has(p.namespaceSelector)))",message="each peer is either an ipBlock, or a podSelector, a namespaceSelector or both"
	Monitoring []networkingv1.NetworkPolicyPeer `json:"monitoring,omitempty"`
	// dns is where relays resolve names; without it, the pods labelled
	// k8s-app=kube-dns in the namespace kube-system, port 53.
	// +optional
	DNS *Egress `json:"dns,omitempty"`
	// vault is where Vault is reached.
	// +optional
	Vault *Egress `json:"vault,omitempty"`
	// carrier is where the carrier is reached.
	// +optional
	Carrier *Egress `json:"carrier,omitempty"`
	// postgres is where PostgreSQL is reached.
	// +optional
	Postgres *Egress `json:"postgres,omitempty"`
	// privateWebhooks are webhooks inside private networks. Public ones need no entry; all
	// other private addresses, and metadata addresses, are closed.
	// +optional
	// +listType=atomic
	// +kubebuilder:validation:MaxItems=32
	PrivateWebhooks []Egress `json:"privateWebhooks,omitempty"`
	// privateLinks are web servers inside private networks from which businesses may send files by link.
	// Public ones need no entry; links to all other private addresses fail.
	// +optional
	// +listType=atomic
	// +kubebuilder:validation:MaxItems=16
	PrivateLinks []PrivateLinks `json:"privateLinks,omitempty"`
}

// PrivateLinks are web servers inside private networks, by their names and as NetworkPolicy peers: a link must name
// one of the hosts, and the relays' NetworkPolicy opens the peers. Who controls a host's DNS may lead it to whatever
// private address that policy opens.
type PrivateLinks struct {
	// hosts are the names in links, for example files.acme.svc. An IPv4 address is a name, too. Name only hosts whose
	// DNS you control.
	// +required
	// +listType=atomic
	// +kubebuilder:validation:MinItems=1
	// +kubebuilder:validation:MaxItems=16
	// +kubebuilder:validation:XValidation:rule="self.all(h, !h.matches('[^.]{64}'))",message="each part of a name has at most 63 characters"
	Hosts []Hostname `json:"hosts"`

	Egress `json:",inline"`
}

// Egress is a list of peers, and the ports that are open at each.
type Egress struct {
	// to names the peers.
	// +required
	// +listType=atomic
	// +kubebuilder:validation:MinItems=1
	// +kubebuilder:validation:MaxItems=32
	// +kubebuilder:validation:XValidation:rule="self.all(p, has(p.ipBlock) != (has(p.podSelector) || has(p.namespaceSelector)))",message="each peer is either an ipBlock, or a podSelector, a namespaceSelector or both"
	To []networkingv1.NetworkPolicyPeer `json:"to"`
	// ports are the open ports: those of the pods, not a Service's.
	// +required
	// +listType=atomic
	// +kubebuilder:validation:MinItems=1
	// +kubebuilder:validation:MaxItems=16
	Ports []networkingv1.NetworkPolicyPort `json:"ports"`
}

// FirstContacts says what holds for businesses that write to people who never wrote to them.
//
// +kubebuilder:validation:Enum=Limited;Counted
type FirstContacts string

// What may hold for them.
const (
	// FirstContactsLimited: a business may write to so many a day, more after it behaved well.
	FirstContactsLimited FirstContacts = "Limited"
	// FirstContactsCounted: they are counted only.
	FirstContactsCounted FirstContacts = "Counted"
)

// Integrity says when a relay's quality counts as low, and what follows.
type Integrity struct {
	// firstContacts is Limited, so that a business which suddenly writes to many people who never wrote to it is slowed and
	// then held (error 131048), or Counted. Whoever wrote to a business can always be answered.
	// +optional
	// +kubebuilder:default=Limited
	FirstContacts FirstContacts `json:"firstContacts,omitempty"`

	// thresholds are the shares of failed messages at which quality drops.
	// +optional
	// +kubebuilder:default={yellowPercent: 5, redPercent: 15}
	Thresholds IntegrityThresholds `json:"thresholds,omitzero"`
	// exemptions are relays whose first contacts are counted only.
	// +optional
	// +listType=map
	// +listMapKey=namespace
	// +listMapKey=name
	// +kubebuilder:validation:MaxItems=256
	Exemptions []RelayReference `json:"exemptions,omitempty"`
	// exemptNamespaces are namespaces whose relays are all exempt.
	// +optional
	// +listType=set
	// +kubebuilder:validation:MaxItems=256
	ExemptNamespaces []ObjectName `json:"exemptNamespaces,omitempty"`
}

// Exempts says whether a relay is exempt.
func (i Integrity) Exempts(namespace, name string) bool {
	return slices.Contains(i.ExemptNamespaces, ObjectName(namespace)) ||
		slices.Contains(i.Exemptions, RelayReference{Namespace: ObjectName(namespace), Name: ObjectName(name)})
}

// IntegrityThresholds are percentages of the messages of the last seven days that
// customers refused: a blocked sender, a bounce, an account that is gone.
//
// +kubebuilder:validation:XValidation:rule="self.yellowPercent < self.redPercent",message="yellowPercent must be below redPercent: quality turns yellow before it turns red"
type IntegrityThresholds struct {
	// yellowPercent is the share at which quality drops to YELLOW.
	// +optional
	// +kubebuilder:default=5
	// +kubebuilder:validation:Minimum=1
	// +kubebuilder:validation:Maximum=99
	YellowPercent int32 `json:"yellowPercent,omitempty"`
	// redPercent is the share at which quality drops to RED.
	// +optional
	// +kubebuilder:default=15
	// +kubebuilder:validation:Minimum=2
	// +kubebuilder:validation:Maximum=100
	RedPercent int32 `json:"redPercent,omitempty"`
}

// RelayReference names a BusinessRelay.
type RelayReference struct {
	// namespace is the BusinessRelay's.
	// +required
	Namespace ObjectName `json:"namespace"`
	// name is the BusinessRelay's.
	// +required
	Name ObjectName `json:"name"`
}

// DataRegionStatus is what the operator knows about a region.
type DataRegionStatus struct {
	// conditions are Ready, Reconciling, Stalled, VaultReady, CarrierReady, KeeperHealthy and LeftoversHealthy.
	// +optional
	// +listType=map
	// +listMapKey=type
	// +kubebuilder:validation:MaxItems=16
	Conditions []metav1.Condition `json:"conditions,omitempty"`
	// observedGeneration is the generation of the spec that this status is about.
	// +optional
	ObservedGeneration int64 `json:"observedGeneration,omitempty"`
	// regions are the names of all DataRegions that the operator sees, including this one.
	// An admission policy sees one DataRegion at a time; with this list it refuses pods
	// and volumes of a region that does not exist.
	// +optional
	// +listType=atomic
	// +kubebuilder:validation:MaxItems=1024
	// +kubebuilder:validation:items:MaxLength=63
	Regions []string `json:"regions,omitempty"`
	// countries are those that the region's data stays in: spec.countries, or the country of a region of type Local.
	// +optional
	// +listType=atomic
	// +kubebuilder:validation:MaxItems=64
	Countries []CountryCode `json:"countries,omitempty"`
	// nodes is how many nodes have the region's label and match its placement.
	// +optional
	Nodes int32 `json:"nodes"`
	// relays is how many BusinessRelays name the region.
	// +optional
	Relays int32 `json:"relays"`
	// leftovers is how many deleted BusinessRelays left a janitor or a claim behind.
	// +optional
	Leftovers int32 `json:"leftovers"`
	// keeper is what the region's keeper of last resort last did and found.
	// +optional
	Keeper KeeperStatus `json:"keeper,omitzero"`
}

// KeeperStatus is what a region's keeper of last resort last reported.
type KeeperStatus struct {
	// lastSuccessTime is when the keeper last checked every wrapping key, by Vault's
	// clock.
	// +optional
	LastSuccessTime *metav1.Time `json:"lastSuccessTime,omitempty"`
	// oldestKeyTime is when the oldest key version that it found was made.
	// +optional
	OldestKeyTime *metav1.Time `json:"oldestKeyTime,omitempty"`
	// wrappingKeys is how many wrapping keys the region's Vault holds.
	// +optional
	WrappingKeys int32 `json:"wrappingKeys,omitempty"`
}
