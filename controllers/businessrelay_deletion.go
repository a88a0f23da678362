package controllers

import (
	"context"
	"fmt"
	"time"

	appsv1 "k8s.io/api/apps/v1"
	batchv1 "k8s.io/api/batch/v1"
	corev1 "k8s.io/api/core/v1"
	apierrors "k8s.io/apimachinery/pkg/api/errors"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	appsv1ac "k8s.io/client-go/applyconfigurations/apps/v1"
	batchv1ac "k8s.io/client-go/applyconfigurations/batch/v1"
	corev1ac "k8s.io/client-go/applyconfigurations/core/v1"
	networkingv1ac "k8s.io/client-go/applyconfigurations/networking/v1"
	"sigs.k8s.io/controller-runtime/pkg/client"
	"sigs.k8s.io/controller-runtime/pkg/controller/controllerutil"

	"github.com/relaykeep/relaykeep/api/v1alpha1"
	"github.com/relaykeep/relaykeep/controllers/internal/apply"
	"github.com/relaykeep/relaykeep/controllers/internal/desired"
	"github.com/relaykeep/relaykeep/controllers/internal/outcome"
)

const (
	// eraseCheck is how often a deletion in progress is checked: Jobs are not watched.
	eraseCheck = 3 * time.Second
	// eraseRetry is how long after a failed erase Job the next one starts.
	eraseRetry = time.Minute
)

// finish carries out the deletion policy and removes the finalizer; done says that the
// object is gone. With Retain there is nothing to do for a relay that has run: children
// that must outlive it have no owner reference, and Kubernetes deletes the others with the
// object.
func (p *pass) finish(ctx context.Context) (done bool, err error) {
	p.Poller.Forget(client.ObjectKeyFromObject(p.relay))
	if !controllerutil.ContainsFinalizer(p.relay, v1alpha1.Finalizer) {
		return true, nil
	}
	if p.relay.Spec.DeletionPolicy == v1alpha1.DeletionErase {
		if err := p.erase(ctx); err != nil {
			return false, err
		}
	} else if err := p.removeUnstarted(ctx); err != nil {
		return false, err
	}
	err = holdFinalizer(ctx, p.Client, p.relay, false)
	return err == nil || apierrors.IsNotFound(err), client.IgnoreNotFound(err)
}

// removeUnstarted removes the objects of a relay that never ran: there is no key that
// its janitor would have to erase.
func (p *pass) removeUnstarted(ctx context.Context) error {
	never, err := p.neverStarted(ctx)
	if err != nil || !never {
		return err
	}
	return p.deleteAll(ctx, "the relay never ran; removing its objects",
		append(remainders(p.relay), cronJobChild(p.relay))...)
}

// started says whether the status records that the relay ran. Only the operator may
// write it, so nobody can remove that record. Former releases recorded no start.
func (p *pass) started() bool {
	return p.status.StartedTime != nil || p.status.InitializedTime != nil || p.status.Retention.OldestKeyTime != nil
}

// neverStarted says whether no keys can exist under the relay's names: the operator never
// started it, and no object is older than the BusinessRelay, as an earlier relay's
// leftovers of the same name would be.
func (p *pass) neverStarted(ctx context.Context) (bool, error) {
	if p.started() {
		return false, nil
	}
	tenant := v1alpha1.TenantName(p.relay.Name)
	for _, o := range []client.Object{&appsv1.StatefulSet{}, &corev1.ServiceAccount{}, &corev1.PersistentVolumeClaim{}} {
		err := p.Live.Get(ctx, client.ObjectKey{Namespace: p.relay.Namespace, Name: tenant}, o)
		if apierrors.IsNotFound(err) {
			continue
		}
		if err != nil {
			return false, fmt.Errorf("looking whether the relay ever ran: %w", err)
		}
		_, workload := o.(*appsv1.StatefulSet)
		created := o.GetCreationTimestamp()
		if workload || created.Before(&p.relay.CreationTimestamp) {
			return false, nil
		}
	}
	return true, nil
}

// erase stops the relay, destroys its keys, and then removes the objects that outlive a
// relay otherwise. Each step can be repeated.
func (p *pass) erase(ctx context.Context) error {
	if err := p.deleteAll(ctx, "the relay stops", relayChild(p.relay), cronJobChild(p.relay)); err != nil {
		return err
	}
	if err := p.awaitNoPods(ctx); err != nil {
		return err
	}
	needed, err := p.hasKeys(ctx)
	if err != nil {
		return err
	}
	if needed {
		if err := p.runErase(ctx); err != nil {
			return err
		}
	}
	return p.deleteAll(ctx, "its keys are erased; removing its volume", remainders(p.relay)...)
}

// awaitNoPods waits until no pod of the relay or its janitor runs: a pod could create
// an erased key again.
func (p *pass) awaitNoPods(ctx context.Context) error {
	pods := &corev1.PodList{}
	err := p.Live.List(ctx, pods, client.InNamespace(p.relay.Namespace), client.MatchingLabels{
		v1alpha1.LabelManagedBy: v1alpha1.ManagedBy, v1alpha1.LabelInstance: p.relay.Name,
	})
	if err != nil {
		return fmt.Errorf("listing the relay's pods: %w", err)
	}
	for i := range pods.Items {
		pod := &pods.Items[i]
		ended := pod.Status.Phase == corev1.PodSucceeded || pod.Status.Phase == corev1.PodFailed
		if !ended && pod.Labels[batchv1.JobNameLabel] != eraseName(p.relay) {
			return outcome.Waiting(eraseCheck, v1alpha1.ReasonErasing, "pod %s is being stopped", pod.Name)
		}
	}
	return nil
}

// hasKeys says whether there may be something to erase in Vault: not if it was erased
// already; else if the relay was ever started, or if its configuration exists, which is
// made before anything that could log in. A missing configuration proves nothing: an
// admin of the namespace may have deleted it.
func (p *pass) hasKeys(ctx context.Context) (bool, error) {
	if p.relay.Annotations[v1alpha1.AnnotationErased] == v1alpha1.AnnotationErasedYes {
		return false, nil
	}
	err := p.Live.Get(ctx, client.ObjectKey{Namespace: p.relay.Namespace, Name: v1alpha1.TenantName(p.relay.Name)}, &corev1.ConfigMap{})
	if err != nil && !apierrors.IsNotFound(err) {
		return false, fmt.Errorf("reading the relay's configuration: %w", err)
	}
	return err == nil || p.started(), nil
}

// runErase runs the erase Job until it succeeds.
func (p *pass) runErase(ctx context.Context) error {
	if err := p.findRegion(ctx); err != nil {
		return err
	}
	job := &batchv1.Job{}
	err := p.Live.Get(ctx, client.ObjectKey{Namespace: p.relay.Namespace, Name: eraseName(p.relay)}, job)
	if client.IgnoreNotFound(err) != nil {
		return fmt.Errorf("reading the erase Job: %w", err)
	}
	if err != nil {
		return p.startErase(ctx)
	}
	for _, c := range job.Status.Conditions {
		if c.Status != corev1.ConditionTrue {
			continue
		}
		if c.Type == batchv1.JobComplete {
			return p.believe(ctx, job)
		}
		if c.Type == batchv1.JobFailed {
			return p.retryErase(ctx, c.LastTransitionTime.Time)
		}
	}
	waiting := outcome.Waiting(eraseCheck, v1alpha1.ReasonErasing, "the relay's keys are being erased by Job %s", job.Name)
	if job.Status.Active > 0 {
		return waiting
	}
	return p.withFailure(ctx, "Job", job, waiting)
}

// believe records that a Job has erased the keys once one of its pods proves it.
// Otherwise it creates the Job again, which does no harm.
func (p *pass) believe(ctx context.Context, job *batchv1.Job) error {
	proven, err := p.proven(ctx, job)
	if err != nil {
		return err
	}
	if !proven {
		return p.deleteAll(ctx, "Job "+job.Name+" ended, but no pod proves that the relay's keys are erased; the operator runs it again", eraseChild(p.relay))
	}
	return p.rememberErased(ctx)
}

// rememberErased records on the object that its keys are gone, because the next steps
// remove the objects from which a pass could tell.
func (p *pass) rememberErased(ctx context.Context) error {
	before := p.relay.DeepCopy()
	metav1.SetMetaDataAnnotation(&p.relay.ObjectMeta, v1alpha1.AnnotationErased, v1alpha1.AnnotationErasedYes)
	if err := p.Client.Patch(ctx, p.relay, client.MergeFrom(before), client.FieldOwner(v1alpha1.FieldManager)); err != nil {
		return fmt.Errorf("noting that the keys are erased: %w", err)
	}
	return nil
}

func (p *pass) startErase(ctx context.Context) error {
	file, _, err := desired.Config(p.in)
	if err != nil {
		return err
	}
	err = p.apply(ctx,
		apply.Typed(desired.JanitorPolicy(p.in), networkingv1ac.ExtractNetworkPolicy),
		apply.Typed(desired.ErasePolicy(p.in), networkingv1ac.ExtractNetworkPolicy),
		apply.Typed(desired.ServiceAccount(p.in), corev1ac.ExtractServiceAccount),
		apply.Typed(desired.ConfigMap(p.in, file), corev1ac.ExtractConfigMap),
	)
	if err == nil {
		// Jobs are not in the cache: the operator may not list them.
		live := p.applier()
		live.Client = liveReads{p.Client, p.Live}
		_, err = live.Apply(ctx, p.relay, apply.Typed(desired.EraseJob(p.in), batchv1ac.ExtractJob))
	}
	if outcome.Of(err).Reason == v1alpha1.ReasonNamespaceTerminating {
		return outcome.Waiting(outcome.Recheck, v1alpha1.ReasonNamespaceTerminating,
			"the namespace is being deleted and accepts no Job that could erase the relay's keys: run kubectl relay erase with an admin's Vault login, then annotate this object with %s=%s", v1alpha1.AnnotationErased, v1alpha1.AnnotationErasedYes)
	}
	if err != nil {
		return err
	}
	return outcome.Waiting(eraseCheck, v1alpha1.ReasonErasing, "the relay's keys are being erased")
}

// retryErase removes a failed Job once it has been visible for a while; the next pass
// creates another.
func (p *pass) retryErase(ctx context.Context, failed time.Time) error {
	if left := failed.Add(eraseRetry).Sub(p.Now()); left > 0 {
		return outcome.Waiting(left, v1alpha1.ReasonEraseFailed,
			"Job %s could not erase the relay's keys (see its logs); the operator retries every minute; or run kubectl relay erase with an admin's Vault login, then annotate this object with %s=%s",
			eraseName(p.relay), v1alpha1.AnnotationErased, v1alpha1.AnnotationErasedYes)
	}
	return p.deleteAll(ctx, "retrying the erase Job", eraseChild(p.relay))
}

// deleteAll deletes children. Until all are gone, it returns an outcome that says what
// happens meanwhile.
func (p *pass) deleteAll(ctx context.Context, meanwhile string, children ...apply.Child) error {
	all := true
	for _, c := range children {
		gone, err := p.applier().Delete(ctx, p.relay, c)
		if err != nil {
			return err
		}
		all = all && gone
	}
	if all {
		return nil
	}
	return outcome.Waiting(eraseCheck, v1alpha1.ReasonErasing, "%s", meanwhile)
}

func eraseName(relay *v1alpha1.BusinessRelay) string { return relay.Name + v1alpha1.SuffixErase }

// The children below are named without their content, which deleting does not need.

func relayChild(r *v1alpha1.BusinessRelay) apply.Child {
	return apply.Typed(appsv1ac.StatefulSet(v1alpha1.TenantName(r.Name), r.Namespace), appsv1ac.ExtractStatefulSet)
}

func cronJobChild(r *v1alpha1.BusinessRelay) apply.Child {
	return apply.Typed(batchv1ac.CronJob(r.Name+v1alpha1.SuffixRetention, r.Namespace), batchv1ac.ExtractCronJob)
}

func eraseChild(r *v1alpha1.BusinessRelay) apply.Child {
	return apply.Typed(batchv1ac.Job(eraseName(r), r.Namespace), batchv1ac.ExtractJob)
}

// remainders are the children that outlive a relay unless it is erased, and the erase Job.
func remainders(r *v1alpha1.BusinessRelay) []apply.Child {
	tenant := v1alpha1.TenantName(r.Name)
	return []apply.Child{
		apply.Typed(corev1ac.PersistentVolumeClaim(v1alpha1.ClaimName(r), r.Namespace), corev1ac.ExtractPersistentVolumeClaim),
		apply.Typed(networkingv1ac.NetworkPolicy(r.Name+v1alpha1.SuffixJanitorPolicy, r.Namespace), networkingv1ac.ExtractNetworkPolicy),
		apply.Typed(networkingv1ac.NetworkPolicy(eraseName(r), r.Namespace), networkingv1ac.ExtractNetworkPolicy),
		apply.Typed(corev1ac.ServiceAccount(tenant, r.Namespace), corev1ac.ExtractServiceAccount),
		apply.Typed(corev1ac.ConfigMap(tenant, r.Namespace), corev1ac.ExtractConfigMap),
		eraseChild(r),
	}
}
