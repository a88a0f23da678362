package probe

import (
	"time"

	"github.com/hashicorp/vault/api"
	"k8s.io/client-go/kubernetes"
	"k8s.io/client-go/rest"
	"sigs.k8s.io/controller-runtime/pkg/client"

	"github.com/relaykeep/relaykeep/api/v1alpha1"
)

// connecting bounds the connecting to one pod, and what is asked of it.
const connecting = 10 * time.Second

// Options say what is audited, and by which rights.
type Options struct {
	Config *rest.Config
	Client client.Client
	// OperatorNamespace and OperatorAccount are the operator's.
	OperatorNamespace, OperatorAccount string
	// Vault returns a client with a login that may read policies, roles and key settings; the error says why there is none.
	Vault func(*v1alpha1.DataRegion) (*api.Client, error)
	// Anybody returns a client of a region's Vault without a login, for what it tells anybody.
	Anybody func(*v1alpha1.DataRegion) (*api.Client, error)
	// Released are the digests of the release's images; nil if none was given.
	Released []string
	// Network makes pods that try the network.
	Network bool
	// Now is the time by which ages are judged.
	Now time.Time
}

// auditor audits the relays of one cluster.
type auditor struct {
	Options

	kube   kubernetes.Interface
	relays []v1alpha1.BusinessRelay // as many as may be listed, for what must not be possible between them
	shared *shared
}
