package desired

import (
	"maps"

	metav1ac "k8s.io/client-go/applyconfigurations/meta/v1"

	"github.com/relaykeep/relaykeep/api/contract"
	"github.com/relaykeep/relaykeep/api/v1alpha1"
)

// Input is everything that a relay's children depend on.
type Input struct {
	// Relay is as the API server holds it: with its defaults.
	Relay *v1alpha1.BusinessRelay
	// Region is the one that the relay names.
	Region *v1alpha1.DataRegion
	// Volume is the UID of the relay's claim, by which the relay tells a store that was
	// restored onto another volume; empty while there is none.
	Volume string
	// Account are the numbers of the other relays of its business account, sorted by the relays' names.
	Account []contract.AccountNumber
	// Integrity is what holds for the relay's first contacts.
	Integrity contract.Integrity
	// RelayImage is the reference of the relay's image.
	RelayImage string
	// OperatorNamespace is where the operator runs. Empty means outside the
	// cluster: relays then let no pod of the operator in.
	OperatorNamespace string
	// Updating says since when the relay is being updated, in RFC 3339; empty if it is not.
	Updating string
	// Stopped leaves the relay without pods though its spec does not suspend it.
	Stopped bool
}

// UsesClaim says whether the relay mounts its claim. One whose store is in a database does so while there is a claim,
// from which it moves what was there before.
func (in Input) UsesClaim() bool { return in.Relay.Spec.Storage.Postgres == nil || in.Volume != "" }

func (in Input) tenant() string { return v1alpha1.TenantName(in.Relay.Name) }

// replicated says whether the relay has several pods. One that still moves its store from its volume has one, since
// only one can have that.
func (in Input) replicated() bool {
	return in.Relay.Spec.Replicas > 1 && !in.UsesClaim() && !in.Relay.InTransit()
}

// selector is the set of labels that find a component's pods. A StatefulSet's
// cannot be changed, so neither may these.
func (in Input) selector(component string) map[string]string {
	return map[string]string{
		v1alpha1.LabelName:      v1alpha1.NameRelay,
		v1alpha1.LabelInstance:  in.Relay.Name,
		v1alpha1.LabelComponent: component,
	}
}

// labels are those of every child.
func (in Input) labels(component string) map[string]string {
	l := in.selector(component)
	l[v1alpha1.LabelManagedBy] = v1alpha1.ManagedBy
	return l
}

// regional are the labels of pods and claims: an admission policy holds what
// carries them to the region's nodes and storage class.
func (in Input) regional(component string) map[string]string {
	l := in.labels(component)
	l[v1alpha1.LabelRegion] = in.Region.Name
	return l
}

// owner makes Kubernetes delete a child with its relay. Children that must outlive it
// (its claim, and what the janitor needs) never have one: if the reference were removed
// only on deletion, a foreground deletion would already have deleted them.
func (in Input) owner() *metav1ac.OwnerReferenceApplyConfiguration {
	return metav1ac.OwnerReference().
		WithAPIVersion(v1alpha1.GroupVersion.String()).
		WithKind(v1alpha1.KindBusinessRelay).
		WithName(in.Relay.Name).
		WithUID(in.Relay.UID).
		WithController(true).
		WithBlockOwnerDeletion(true)
}

// nodeSelector binds a pod to the region's nodes.
func (in Input) nodeSelector() map[string]string {
	s := map[string]string{}
	maps.Copy(s, in.Region.Spec.Placement.NodeSelector)
	s[v1alpha1.LabelNodeRegion] = in.Region.Name
	return s
}
