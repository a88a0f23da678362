package controllers

import (
	"context"
	"fmt"

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
	p.status.Region.Countries = region.Spec.InCountries()
	p.in = desired.Input{
		Relay: p.relay, Region: region,
		RelayImage: p.RelayImage, OperatorNamespace: p.OperatorNamespace,
	}
	p.status.Endpoint.URL = desired.URL(p.relay, region)
	p.markEndToEnd()
	p.markTransfers()
	return nil
}

func (p *pass) markEndToEnd() {
	if p.relay.Spec.Endpoint.TerminateAtGateway { // the shared host needs it
		p.marks.Mark(v1alpha1.ConditionEndToEndTLS, metav1.ConditionFalse, v1alpha1.ReasonEndsAtGateway,
			"the region's gateway terminates TLS and can read what the business and its relay exchange: set endpoint.terminateAtGateway to false to prevent that")
		return
	}
	p.marks.Mark(v1alpha1.ConditionEndToEndTLS, metav1.ConditionTrue, v1alpha1.ReasonEndsInRelay, "TLS ends in the relay")
}

// stopSuspended stops a suspended relay, whatever else is wrong with it.
func (p *pass) stopSuspended(ctx context.Context) error {
	if !p.relay.Spec.Suspend || p.relay.InTransit() {
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

// isNew says whether nothing can have run yet that a janitor would have to erase, and the volume is still to be made, which
// the configuration names: it is written once, after the volume.
func (p *pass) isNew() bool {
	return p.in.UsesClaim() && p.in.Volume == "" && p.set == nil && !p.started()
}

// applyConfig makes the configuration, which relay and janitor of one version read.
func (p *pass) applyConfig(ctx context.Context) error {
	if p.isNew() {
		return nil
	}
	file, hash, err := desired.Config(p.in)
	if err != nil {
		return err
	}
	p.configHash = hash
	if p.waits != nil && hash != p.set.Spec.Template.Annotations[v1alpha1.AnnotationConfigHash] {
		return nil // it goes on with the former one
	}
	return p.apply(ctx, apply.Typed(desired.ConfigMap(p.in, file), corev1ac.ExtractConfigMap))
}

// complete adds what else the configuration depends on: the relay's claim, its business account, and what holds for its first
// contacts.
func (p *pass) complete(ctx context.Context) error {
	claim, err := p.claim(ctx)
	if err != nil {
		return err
	}
	p.in.Volume = p.volume(claim)
	p.in.Integrity = p.integrity()
	p.in.Account, err = p.accountNumbers(ctx, p.relay)
	return err
}

// applyJanitor schedules the janitor. While the relay waits for its turn, the janitor is of the former version as well: only
// what others did to it is undone.
func (p *pass) applyJanitor(ctx context.Context) error {
	if p.isNew() {
		return nil
	}
	if p.waits != nil {
		former := p.in
		former.RelayImage = p.set.Spec.Template.Spec.Containers[0].Image // there is one, or the relay would not wait
		return p.applier().Mend(ctx, p.relay, apply.Typed(desired.CronJob(former), batchv1ac.ExtractCronJob))
	}
	return p.apply(ctx, apply.Typed(desired.CronJob(p.in), batchv1ac.ExtractCronJob))
}

// place decides whether the region can take the relay. If not, nothing is started.
func (p *pass) place(ctx context.Context) error {
	facts, err := gather(ctx, p.Client, p.region)
	if err != nil {
		return err
	}
	p.nodes = facts.Nodes
	p.nodeNames = facts.Names
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
	p.placed = true
	return nil
}

// unplaced marks Placed False with an outcome's reason and message, and returns the
// outcome.
func (p *pass) unplaced(err error) error {
	v := outcome.Of(err)
	p.marks.Mark(v1alpha1.ConditionPlaced, metav1.ConditionFalse, v.Reason, v.Message)
	return err
}

// noteStart records that the relay runs, before its first pod can make a key. From the
// status, which only the operator may write, a deletion knows that there is something
// to erase; an admin of the namespace can delete everything else that the pass makes.
func (p *pass) noteStart(ctx context.Context) error {
	if p.status.StartedTime != nil {
		return nil
	}
	p.status.StartedTime = new(metav1.NewTime(p.Now()).Rfc3339Copy())
	if p.set == nil { // what the pass will say at its end is in the same write
		p.working = rolledOut(nil, p.relay.Spec.Replicas)
		if err := p.observe(ctx); err != nil {
			return err
		}
		p.conclude(nil)
	}
	return p.writeStatus(ctx)
}

// applyRelay runs the relay's pods; none if it is suspended.
func (p *pass) applyRelay(ctx context.Context) error {
	if err := p.applySet(ctx); err != nil {
		return err
	}
	budget := apply.Typed(desired.DisruptionBudget(p.in), policyv1ac.ExtractPodDisruptionBudget)
	if p.relay.Spec.Replicas > 1 {
		return p.apply(ctx, budget)
	}
	return p.remove(ctx, budget)
}

// applySet applies the relay's StatefulSet, and notes why its pods are not up. One that waits for its turn stays as it is.
func (p *pass) applySet(ctx context.Context) error {
	set := desired.StatefulSet(p.in, p.configHash)
	live, want := client.Object(p.set), *set.Spec.Replicas
	if p.waits == nil {
		var err error
		live, err = p.applier().Apply(ctx, p.relay, apply.Typed(set, appsv1ac.ExtractStatefulSet))
		p.updating = p.in.Updating != "" && (err == nil || outcome.Of(err).Reason == v1alpha1.ReasonProgressing)
		if err != nil {
			return err
		}
	} else {
		want = *p.set.Spec.Replicas
	}
	p.working = p.whyNoPod(ctx, live, rolledOut(live, want))
	return nil
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
