package lab

import (
	"net"
	"path/filepath"
	"strconv"

	"github.com/relaykeep/relaykeep/api/v1alpha1"
)

// Region is one of the lab's two regions.
type Region struct {
	Name         string
	Type         v1alpha1.RegionType
	Domain       string // of its Prosody
	StorageClass string
	vaultPort    int
	prosodyPort  int
	uploadPort   int    // of its Prosody's web server for files
	vaultOf      string // the region whose Vault it uses, at mounts of its own; empty: it has one
}

// Business is one of the lab's two businesses. It has a namespace of its own name.
type Business struct {
	Name        string
	DisplayName string
	Region      *Region
	Number      string // E.164
	webhookPort int
}

// Tenant is the business's name in Vault, and its service account's.
func (b *Business) Tenant() string { return v1alpha1.TenantName(b.Name) }

// The lab's cast. The numbers are set aside for fiction: by the Bundesnetzagentur
// ("drama numbers") and by the North American Numbering Plan (555-01XX).
var (
	EU = &Region{Name: "eu", Type: v1alpha1.RegionEU, Domain: "eu.relay.test", StorageClass: "relaykeep-eu", vaultPort: 18200, prosodyPort: 15222, uploadPort: 5281}
	NA = &Region{Name: "na", Type: v1alpha1.RegionNA, Domain: "na.relay.test", StorageClass: "relaykeep-na", vaultPort: 18201, prosodyPort: 15223, uploadPort: 5443}

	// West is a region to which relays of EU can move: it has EU's carrier, and mounts of its own in NA's Vault. Tests
	// that need it make it, and give it a node.
	West = &Region{Name: "west", Type: v1alpha1.RegionEU, Domain: EU.Domain, StorageClass: NA.StorageClass, vaultPort: NA.vaultPort, prosodyPort: EU.prosodyPort, vaultOf: NA.Name}

	Acme   = &Business{Name: "acme", DisplayName: "Acme GmbH", Region: EU, Number: "+493023125100", webhookPort: 18443}
	Globex = &Business{Name: "globex", DisplayName: "Globex Inc.", Region: NA, Number: "+12025550142", webhookPort: 18444}

	// Initrode is made by tests that need a guest, one at a time.
	Initrode = &Business{Name: "initrode", DisplayName: "Initrode", Region: EU, Number: "+493023125900", webhookPort: 18445}
)

// postgresPort is where a region's PostgreSQL answers, for the tests that have one.
const postgresPort = 15432

func regions() []*Region      { return []*Region{EU, NA} }
func businesses() []*Business { return []*Business{Acme, Globex} }

// at returns a port of this machine as pods reach it.
func (l *Lab) at(port int) string { return net.JoinHostPort(l.address, strconv.Itoa(port)) }

// VaultAddress is the URL of a region's Vault.
func (l *Lab) VaultAddress(r *Region) string { return "https://" + l.at(r.vaultPort) }

// ProsodyAddress is where a region's Prosody takes clients, host:port.
func (l *Lab) ProsodyAddress(r *Region) string { return l.at(r.prosodyPort) }

// WebhookURL is a business's webhook.
func (l *Lab) WebhookURL(b *Business) string { return "https://" + l.at(b.webhookPort) + "/webhook" }

// WebhookLog is the file to which a business's webhook prints what it gets, one
// JSON object a line, in plaintext.
func (l *Lab) WebhookLog(b *Business) string {
	return filepath.Join(l.dir, "business", b.Name+".log")
}

// Dir is where the lab keeps everything of its own.
func (l *Lab) Dir() string { return l.dir }

// Authority is the certificate of the lab's authority, PEM.
func (l *Lab) Authority() string { return l.authority.PEM() }

// Address is where the cluster's pods reach this machine.
func (l *Lab) Address() string { return l.address }

// CAFile is the certificate of the lab's authority, PEM.
func (l *Lab) CAFile() string { return l.authority.File() }
