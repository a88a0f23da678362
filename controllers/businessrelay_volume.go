package controllers

import (
	"context"
	"fmt"
	"slices"

	corev1 "k8s.io/api/core/v1"
	apierrors "k8s.io/apimachinery/pkg/api/errors"
	corev1ac "k8s.io/client-go/applyconfigurations/core/v1"
	"sigs.k8s.io/controller-runtime/pkg/client"

	"github.com/relaykeep/relaykeep/api/v1alpha1"
	"github.com/relaykeep/relaykeep/controllers/internal/apply"
	"github.com/relaykeep/relaykeep/controllers/internal/desired"
	"github.com/relaykeep/relaykeep/controllers/internal/outcome"
	"github.com/relaykeep/relaykeep/controllers/internal/placement"
)

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
	key := client.ObjectKey{Namespace: p.relay.Namespace, Name: v1alpha1.ClaimName(p.relay)}
	for _, from := range []client.Reader{p.Client, p.Live} {
		claim := &corev1.PersistentVolumeClaim{}
		err := from.Get(ctx, key, claim)
		if err == nil {
			return apply.Unpack(claim, &corev1.PersistentVolumeClaim{})
		}
		if !apierrors.IsNotFound(err) {
			return nil, fmt.Errorf("reading the relay's claim: %w", err)
		}
	}
	return &corev1.PersistentVolumeClaim{}, nil
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
	if gone := current.UID == "" || current.DeletionTimestamp != nil; gone && p.relay.Spec.Suspend && p.started() && !p.relay.Arrives() {
		return nil // an admin is about to put a copy in its place, and an empty one would be in the way
	}
	want := apply.Typed(desired.Claim(p.in, current.Spec.Resources.Requests[corev1.ResourceStorage]), corev1ac.ExtractPersistentVolumeClaim)
	var applyErr error
	if current.UID == "" {
		applyErr = p.applier().Make(ctx, want)
	} else {
		_, applyErr = p.applier().Apply(ctx, p.relay, want)
	}
	switch {
	case current.UID != "" && outcome.Of(applyErr).Reason == v1alpha1.ReasonRefused: // the relay goes on with the volume that it has
		p.grows = outcome.Stalled(v1alpha1.ReasonVolumeNotExpandable,
			"the volume cannot grow to storage.size: %s", outcome.Of(applyErr).Message)
	case applyErr != nil:
		return applyErr
	default:
		p.grows = growth(p.relay, current)
	}
	if p.grows != nil {
		p.lookAgain(outcome.Recheck) // nothing tells that a class has changed
	}
	if current.UID == "" {
		p.claimed = nil // it is there now
	}
	if err := p.nameVolume(ctx); err != nil {
		return err
	}
	return p.verifyVolume(ctx, current.Spec.VolumeName)
}

// nameVolume writes the UID of a claim that was just made into the configuration, and makes what had to wait for it.
func (p *pass) nameVolume(ctx context.Context) error {
	if p.in.Volume != "" {
		return nil
	}
	claim, err := p.claim(ctx)
	if err != nil {
		return err
	}
	p.in.Volume = string(claim.UID)
	if err := p.applyConfig(ctx); err != nil {
		return err
	}
	return p.applyJanitor(ctx)
}

// verifyVolume checks whether the volume itself is bound to the region.
func (p *pass) verifyVolume(ctx context.Context, name string) error {
	if name == "" {
		p.status.Region.Volume = ""
		return nil
	}
	key := client.ObjectKeyFromObject(p.relay)
	volume := p.volumes.read(key, name, p.Now())
	if volume == nil {
		volume = &corev1.PersistentVolume{}
		if err := p.Live.Get(ctx, client.ObjectKey{Name: name}, volume); err != nil {
			if !apierrors.IsNotFound(err) {
				return fmt.Errorf("reading the relay's volume: %w", err)
			}
			p.status.Region.Volume = v1alpha1.VolumeDeclared
			return nil
		}
		p.volumes.keep(key, volume, p.Now())
	}
	p.status.Region.Volume = placement.Evidence(p.region.Name, p.nodes, volume)
	return nil
}

// growth says what is to come until a claim's volume has the size that its relay asks for; nil if it has it, or if there is
// no volume yet. Kubernetes grants a request at once, and the storage may take its time or never be able to.
func growth(relay *v1alpha1.BusinessRelay, claim *corev1.PersistentVolumeClaim) error {
	has, bound := claim.Status.Capacity[corev1.ResourceStorage]
	size := relay.Spec.Storage.Size
	if !bound || has.Cmp(size) >= 0 {
		return nil
	}
	said := ""
	for _, c := range claim.Status.Conditions {
		failed := c.Type == corev1.PersistentVolumeClaimControllerResizeError || c.Type == corev1.PersistentVolumeClaimNodeResizeError
		switch {
		case c.Status != corev1.ConditionTrue:
		case failed:
			said = ": " + outcome.Clip(c.Message)
		case c.Type == corev1.PersistentVolumeClaimFileSystemResizePending:
			said = fmt.Sprintf("; its file system is next: if that does not happen, the driver needs the pod to start again (kubectl delete pod %s-0 -n %s)",
				v1alpha1.TenantName(relay.Name), relay.Namespace)
		}
	}
	infeasible := []corev1.ClaimResourceStatus{corev1.PersistentVolumeClaimControllerResizeInfeasible, corev1.PersistentVolumeClaimNodeResizeInfeasible}
	if slices.Contains(infeasible, claim.Status.AllocatedResourceStatuses[corev1.ResourceStorage]) {
		return outcome.Stalled(v1alpha1.ReasonVolumeNotExpandable, "the storage cannot make the volume larger than %s%s", has.String(), said)
	}
	return outcome.Waiting(outcome.Recheck, v1alpha1.ReasonVolumeResizing, "the volume grows from %s to storage.size, %s%s", has.String(), size.String(), said)
}
