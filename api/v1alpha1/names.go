package v1alpha1

import "strconv"

// Labels that the operator puts on children. Nothing personal is ever in a label.
const (
	// LabelName is the recommended label that names the application; its value on
	// every child is NameRelay.
	LabelName = "app.kubernetes.io/name"
	// LabelInstance names the BusinessRelay that a child belongs to.
	LabelInstance = "app.kubernetes.io/instance"
	// LabelComponent tells a relay's pods from its janitor's: ComponentRelay or
	// ComponentJanitor.
	LabelComponent = "app.kubernetes.io/component"
	// LabelManagedBy marks what this operator made; its value is ManagedBy. The operator
	// caches no child without it.
	LabelManagedBy = "app.kubernetes.io/managed-by"
	// LabelRegion names the DataRegion that a pod or a claim is bound to. An admission
	// policy binds every pod and claim with this label to that region's nodes and class.
	LabelRegion = "relaykeep.dev/region"
	// LabelNodeRegion, on a node, says which DataRegion it belongs to. Kubelets
	// cannot set labels below this prefix on themselves: only an admin can.
	LabelNodeRegion = "node-restriction.kubernetes.io/relaykeep-region"
)

// Values of the labels above.
const (
	NameRelay        = "relaykeep-relay"
	NameKeeper       = "relaykeep-keeper" // on everything that a region's keeper needs
	ComponentRelay   = "relay"
	ComponentJanitor = "janitor"
	ComponentManager = "manager" // on the operator's own pods
	ComponentKeeper  = "keeper"
	ManagedBy        = "relaykeep"
)

// Annotations.
const (
	// AnnotationConfigHash, on a relay's pod template, is the hash of the
	// configuration file, so that a change of it restarts the relay.
	AnnotationConfigHash = "relaykeep.dev/config-hash"
	// AnnotationTemplateHash, on a relay's StatefulSet, is the hash of its pod template, by which the operator sees that
	// an update restarts the relay.
	AnnotationTemplateHash = "relaykeep.dev/template-hash"
	// AnnotationSpecGeneration, on a relay's StatefulSet, is the generation of the BusinessRelay that it was made from.
	AnnotationSpecGeneration = "relaykeep.dev/spec-generation"
	// AnnotationUpdating, on a relay's StatefulSet, says since when the relay is being updated. It is gone when the relay
	// is up again.
	AnnotationUpdating = "relaykeep.dev/updating-since"
	// AnnotationErased, on a BusinessRelay that is being deleted with the policy
	// Erase, says that its keys are erased: by the operator's Job, or by an admin (kubectl
	// relay erase) if no Job can run. Its value is AnnotationErasedYes.
	AnnotationErased    = "relaykeep.dev/erased"
	AnnotationErasedYes = "true"
	// AnnotationAllowDeletion, on a relay's claim or service account, allows its deletion
	// even though the relay uses it. Its value is "true".
	AnnotationAllowDeletion = "relaykeep.dev/allow-deletion"
	// AnnotationAbandonKeys, on a DataRegion that is being deleted, allows that even
	// though its Vault holds wrapping keys, which nothing destroys afterwards. It is for a
	// Vault that is gone. Its value is AnnotationAbandonKeysYes.
	AnnotationAbandonKeys    = "relaykeep.dev/abandon-keys"
	AnnotationAbandonKeysYes = "true"
)

// Finalizer keeps a DataRegion while relays use it, and a BusinessRelay until its
// deletion policy has been carried out.
const Finalizer = "relaykeep.dev/finalizer"

// FieldManager is the name under which the operator applies objects.
const FieldManager = "relaykeep"

// Suffixes of the names of a BusinessRelay's children.
const (
	// SuffixRelay ends the name of every child but the CronJob and the Jobs.
	SuffixRelay = "-relay"
	// SuffixJanitorPolicy ends the name of the janitor's NetworkPolicy.
	SuffixJanitorPolicy = "-retention"
	// SuffixRetention ends the name of the janitor's CronJob.
	SuffixRetention = "-retention"
	// SuffixShared ends the name of the HTTPRoute at the region's shared host.
	SuffixShared = "-shared"
	// SuffixErase ends the name of the Job that erases a deleted relay's keys.
	SuffixErase = "-erase"
)

// Paths of BusinessRelay's selectable fields (kubectl --field-selector), by which the
// operator's cache is indexed, too.
const (
	FieldDataRegion  = "spec.dataRegion"
	FieldPhoneNumber = "spec.phoneNumber"
)

// TenantName is the name of a relay's service account, which is the tenant's name
// in Vault and the name of most children.
func TenantName(relay string) string { return relay + SuffixRelay }

// ClaimName is the name of a relay's claim. After a move to another region, it is another one.
func ClaimName(relay *BusinessRelay) string { return claimName(relay.Name, relay.Spec.Moves) }

func claimName(relay string, moves int32) string {
	name := TenantName(relay)
	if moves > 0 {
		name += "-" + strconv.Itoa(int(moves))
	}
	return name
}

// OtherClaimName is the name of the claim that a moving relay has in its other region, if it has one.
func OtherClaimName(relay *BusinessRelay) string {
	if relay.Spec.Moving != nil && relay.Spec.DataRegion == relay.Spec.Moving.From {
		return claimName(relay.Name, relay.Spec.Moves+1)
	}
	return claimName(relay.Name, relay.Spec.Moves-1)
}

// InTransit says whether the relay is on its way to another region, so that its pod hands its store over.
func (r *BusinessRelay) InTransit() bool { return r.Spec.Moving != nil && !r.Spec.Moving.Settled }

// Arrives says whether it is the new region in which it does so.
func (r *BusinessRelay) Arrives() bool { return r.InTransit() && r.Spec.DataRegion == r.Spec.Moving.To }
