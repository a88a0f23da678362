package controllers

import (
	"context"
	"fmt"

	corev1 "k8s.io/api/core/v1"
	apierrors "k8s.io/apimachinery/pkg/api/errors"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	appsv1ac "k8s.io/client-go/applyconfigurations/apps/v1"
	batchv1ac "k8s.io/client-go/applyconfigurations/batch/v1"
	corev1ac "k8s.io/client-go/applyconfigurations/core/v1"
	networkingv1ac "k8s.io/client-go/applyconfigurations/networking/v1"
	policyv1ac "k8s.io/client-go/applyconfigurations/policy/v1"
	"sigs.k8s.io/controller-runtime/pkg/client"

	"github.com/relaykeep/relaykeep/api/contract"
	"github.com/relaykeep/relaykeep/api/v1alpha1"
	"github.com/relaykeep/relaykeep/controllers/internal/apply"
	"github.com/relaykeep/relaykeep/controllers/internal/desired"
	"github.com/relaykeep/relaykeep/controllers/internal/outcome"
	"github.com/relaykeep/relaykeep/controllers/internal/placement"
)

// checkPublicKey refuses a public key that the API server cannot check whole. A relay that runs goes on with its former
// configuration.
func (p *pass) checkPublicKey(context.Context) error {
	if e := p.relay.Spec.PayloadEncryption; e != nil {
		if _, err := contract.ParsePublicKey(e.PublicKey); err != nil {
			return outcome.Stalled(v1alpha1.ReasonInvalidPublicKey, "payloadEncryption.publicKey %v", err)
		}
	}
	return nil
}

// findRegion reads the region, and sets what depends on it alone.
func (p *pass) findRegion(ctx context.Context) error {
	p.status.Region.Name = string(p.relay.Spec.DataRegion)
	region := &v1alpha1.DataRegion{}
	err := p.Client.Get(ctx, client.ObjectKey{Name: string(p.relay.Spec.DataRegion)}, region)
	if apierrors.IsNotFound(err) {
		return p.unplaced(outcome.Missing(v1alpha1.ReasonRegionNotFound,
			"there is no DataRegion %q: see kubectl get dataregions, and create the BusinessRelay again in one of them, or ask a cluster admin to add it", p.relay.Spec.DataRegion))
	}
	if err != nil {
		return fmt.Errorf("reading the region: %w", err)
	}
	p.region = region
	p.in = desired.Input{
		Relay: p.relay, Region: region,
		RelayImage: p.RelayImage, OperatorNamespace: p.OperatorNamespace,
	}
	p.status.Endpoint.URL = desired.URL(p.relay, region)
	p.markEndToEnd()
	return nil
}

func (p *pass) markEndToEnd() {
	if p.relay.Spec.Endpoint.TerminateAtGateway {
		p.marks.Mark(v1alpha1.ConditionEndToEndTLS, metav1.ConditionFalse, v1alpha1.ReasonEndsAtGateway,
			"the region's gateway terminates TLS and can read what the business and its relay exchange: set endpoint.terminateAtGateway to false to prevent that")
		return
	}
	p.marks.Mark(v1alpha1.ConditionEndToEndTLS, metav1.ConditionTrue, v1alpha1.ReasonEndsInRelay, "TLS ends in the relay")
}

// stopSuspended stops a suspended relay, whatever else is wrong with it.
func (p *pass) stopSuspended(ctx context.Context) error {
	if !p.relay.Spec.Suspend {
		return nil
	}
	return p.stop(ctx)
}

// findDatabase looks whether the region has a PostgreSQL server for a store that belongs into a database.
func (p *pass) findDatabase(context.Context) error {
	if p.relay.Spec.Storage.Postgres != nil && p.region.Spec.Postgres == nil {
		return outcome.Stalled(v1alpha1.ReasonPostgresMissing,
			"DataRegion %q has no PostgreSQL: a cluster admin has to set its spec.postgres, or create a BusinessRelay without storage.postgres", p.region.Name)
	}
	return nil
}

// stop scales the relay to no pods, if it ever had any.
func (p *pass) stop(ctx context.Context) error {
	if err := p.complete(ctx); err != nil {
		return err
	}
	in := p.in
	in.Stopped = true
	_, hash, err := desired.Config(in)
	if err != nil {
		return err
	}
	set := apply.Typed(desired.StatefulSet(in, hash), appsv1ac.ExtractStatefulSet)
	if there, err := p.applier().Cached(ctx, set); err != nil || !there {
		return err
	}
	return p.apply(ctx, set)
}

// claimNumber gives a number to one of the relays that name it. The others stop, and do
// not say whose it is: it may be another tenant's.
func (p *pass) claimNumber(ctx context.Context) error {
	claims := &v1alpha1.BusinessRelayList{}
	err := p.Client.List(ctx, claims, client.MatchingFields{v1alpha1.FieldPhoneNumber: p.relay.Spec.PhoneNumber})
	if err != nil {
		return fmt.Errorf("looking for other claims of the number: %w", err)
	}
	for i := range claims.Items {
		if precedes(&claims.Items[i], p.relay) {
			if err := p.stop(ctx); err != nil {
				return err
			}
			return outcome.Missing(v1alpha1.ReasonNumberInUse,
				"another BusinessRelay in this cluster has this phoneNumber: set another number, or ask a cluster admin to delete that one (kubectl get brelay -A)")
		}
	}
	p.numbered = true
	return nil
}

// precedes says whether a's claim of a number comes before b's. A relay with an
// identity comes first, because its number can no longer change; then the older object.
// By age alone, an old object could take over a number in use by changing to it.
func precedes(a, b *v1alpha1.BusinessRelay) bool {
	if a.UID == b.UID {
		return false
	}
	if has := a.Status.InitializedTime != nil; has != (b.Status.InitializedTime != nil) {
		return has
	}
	if !a.CreationTimestamp.Equal(&b.CreationTimestamp) {
		return a.CreationTimestamp.Before(&b.CreationTimestamp)
	}
	if a.Namespace != b.Namespace {
		return a.Namespace < b.Namespace
	}
	return a.Name < b.Name
}

// applyIdentity makes everything that a relay needs before it runs. Its network
// policies come first, so that no pod is ever without one.
func (p *pass) applyIdentity(ctx context.Context) error {
	if err := p.complete(ctx); err != nil {
		return err
	}
	return p.apply(ctx,
		apply.Typed(desired.RelayPolicy(p.in), networkingv1ac.ExtractNetworkPolicy),
		apply.Typed(desired.JanitorPolicy(p.in), networkingv1ac.ExtractNetworkPolicy),
		apply.Typed(desired.ServiceAccount(p.in), corev1ac.ExtractServiceAccount),
		apply.Typed(desired.Service(p.in), corev1ac.ExtractService),
	)
}

// applyConfig makes the configuration, which relay and janitor of one version read.
func (p *pass) applyConfig(ctx context.Context) error {
	file, hash, err := desired.Config(p.in)
	if err != nil {
		return err
	}
	p.configHash = hash
	return p.apply(ctx, apply.Typed(desired.ConfigMap(p.in, file), corev1ac.ExtractConfigMap))
}

// complete adds what else the configuration depends on: the relay's claim and its business account.
func (p *pass) complete(ctx context.Context) error {
	claim, err := p.claim(ctx)
	if err != nil {
		return err
	}
	p.in.Volume = p.volume(claim)
	p.in.Account, err = p.accountNumbers(ctx, p.relay)
	return err
}

// volume names a claim for the configuration. A relay whose store is in a database lets go of a claim that
// is being deleted.
func (p *pass) volume(claim *corev1.PersistentVolumeClaim) string {
	if p.relay.Spec.Storage.Postgres != nil && claim.DeletionTimestamp != nil {
		return ""
	}
	return string(claim.UID)
}

// claim returns the relay's claim as the pass found it or made it, an empty one if there is none. A claim that lost our
// label is not in the cache but still the relay's, so it is read from the API server.
func (p *pass) claim(ctx context.Context) (*corev1.PersistentVolumeClaim, error) {
	if p.claimed == nil {
		var err error
		if p.claimed, err = p.readClaim(ctx); err != nil {
			return nil, err
		}
	}
	return p.claimed, nil
}

func (p *pass) readClaim(ctx context.Context) (*corev1.PersistentVolumeClaim, error) {
	key := client.ObjectKey{Namespace: p.relay.Namespace, Name: v1alpha1.TenantName(p.relay.Name)}
	for _, from := range []client.Reader{p.Client, p.Live} {
		claim := &corev1.PersistentVolumeClaim{}
		err := from.Get(ctx, key, claim)
		if err == nil {
			return claim, nil
		}
		if !apierrors.IsNotFound(err) {
			return nil, fmt.Errorf("reading the relay's claim: %w", err)
		}
	}
	return &corev1.PersistentVolumeClaim{}, nil
}

func (p *pass) applyJanitor(ctx context.Context) error {
	return p.apply(ctx, apply.Typed(desired.CronJob(p.in), batchv1ac.ExtractCronJob))
}

// place decides whether the region can take the relay. If not, nothing is started.
func (p *pass) place(ctx context.Context) error {
	facts, err := gather(ctx, p.Client, p.region)
	if err != nil {
		return err
	}
	p.nodes = facts.Nodes
	claim, err := p.claim(ctx)
	if err != nil {
		return err
	}
	if p.volume(claim) != "" {
		facts.Claim = claim
	}
	facts.Started = p.status.StartedTime != nil
	if err := placement.Relay(facts); err != nil {
		return p.unplaced(err)
	}
	p.marks.Mark(v1alpha1.ConditionPlaced, metav1.ConditionTrue, v1alpha1.ReasonPlaced,
		"the region has a node and a storage class for the relay")
	return nil
}

// unplaced marks Placed False with an outcome's reason and message, and returns the
// outcome.
func (p *pass) unplaced(err error) error {
	v := outcome.Of(err)
	p.marks.Mark(v1alpha1.ConditionPlaced, metav1.ConditionFalse, v.Reason, v.Message)
	return err
}

// applyClaim makes the relay's volume, lets it grow, and records how certain it is that
// it is in the region. A relay whose store is in a database needs none.
func (p *pass) applyClaim(ctx context.Context) error {
	current, err := p.claim(ctx)
	if err != nil {
		return err
	}
	if p.relay.Spec.Storage.Postgres != nil { // one of before stays as it is until somebody deletes it
		return p.verifyVolume(ctx, current.Spec.VolumeName)
	}
	want := desired.Claim(p.in, current.Spec.Resources.Requests[corev1.ResourceStorage])
	_, applyErr := p.applier().Apply(ctx, p.relay, apply.Typed(want, corev1ac.ExtractPersistentVolumeClaim))
	if current.UID != "" && outcome.Of(applyErr).Reason == v1alpha1.ReasonRefused {
		return outcome.Stalled(v1alpha1.ReasonVolumeNotExpandable,
			"the volume cannot grow to storage.size: %s", outcome.Of(applyErr).Message)
	}
	if applyErr != nil {
		return applyErr
	}
	if current.UID == "" {
		p.claimed = nil // it is there now
	}
	if err := p.nameVolume(ctx); err != nil {
		return err
	}
	return p.verifyVolume(ctx, current.Spec.VolumeName)
}

// nameVolume writes the UID of a claim that was just made into the configuration, which
// was written before the claim.
func (p *pass) nameVolume(ctx context.Context) error {
	if p.in.Volume != "" {
		return nil
	}
	claim, err := p.claim(ctx)
	if err != nil {
		return err
	}
	p.in.Volume = string(claim.UID)
	return p.applyConfig(ctx)
}

// verifyVolume checks whether the volume itself is bound to the region.
func (p *pass) verifyVolume(ctx context.Context, name string) error {
	if name == "" {
		p.status.Region.Volume = ""
		return nil
	}
	volume := &corev1.PersistentVolume{}
	if err := p.Live.Get(ctx, client.ObjectKey{Name: name}, volume); err != nil {
		if !apierrors.IsNotFound(err) {
			return fmt.Errorf("reading the relay's volume: %w", err)
		}
		p.status.Region.Volume = v1alpha1.VolumeDeclared
		return nil
	}
	p.status.Region.Volume = placement.Evidence(p.region.Name, p.nodes, volume)
	return nil
}

// noteStart records that the relay runs, before its first pod can make a key. From the
// status, which only the operator may write, a deletion knows that there is something
// to erase; an admin of the namespace can delete everything else that the pass makes.
func (p *pass) noteStart(ctx context.Context) error {
	if p.status.StartedTime != nil {
		return nil
	}
	p.status.StartedTime = new(metav1.NewTime(p.Now()).Rfc3339Copy())
	return p.writeStatus(ctx)
}

// applyRelay runs the relay's pods; none if it is suspended.
func (p *pass) applyRelay(ctx context.Context) error {
	set := desired.StatefulSet(p.in, p.configHash)
	live, err := p.applier().Apply(ctx, p.relay, apply.Typed(set, appsv1ac.ExtractStatefulSet))
	p.updating = p.in.Updating != "" && (err == nil || outcome.Of(err).Reason == v1alpha1.ReasonProgressing)
	if err != nil {
		return err
	}
	p.working = p.whyNoPod(ctx, live, rolledOut(live, *set.Spec.Replicas))
	budget := apply.Typed(desired.DisruptionBudget(p.in), policyv1ac.ExtractPodDisruptionBudget)
	if p.relay.Spec.Replicas > 1 {
		return p.apply(ctx, budget)
	}
	return p.remove(ctx, budget)
}

// remove deletes a child that is no longer wanted. It asks the cache first, so that a
// pass without changes does not call the API server.
func (p *pass) remove(ctx context.Context, c apply.Child) error {
	there, err := p.applier().Cached(ctx, c)
	if err != nil || !there {
		return err
	}
	_, err = p.applier().Delete(ctx, p.relay, c)
	return err
}
