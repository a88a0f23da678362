//go:build e2e

package e2e

import (
	"context"
	"errors"
	"os"
	"os/exec"
	"testing"

	corev1 "k8s.io/api/core/v1"
	apierrors "k8s.io/apimachinery/pkg/api/errors"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"sigs.k8s.io/controller-runtime/pkg/client"

	"github.com/relaykeep/relaykeep/api/v1alpha1"
	"github.com/relaykeep/relaykeep/relay/webhook/webhooktest"
	"github.com/relaykeep/relaykeep/test/lab"
)

// TestRestore_OfACopyOfAVolume puts a copy of a relay's volume behind a claim of its own, by the steps that docs/operations.md
// has for a VolumeSnapshot: the relay knows that its store was restored, begins new sessions, and goes on. The copying itself,
// which a CSI driver would do, is ours: the cluster has no such driver.
func TestRestore_OfACopyOfAVolume(t *testing.T) {
	r := newGuest(t)
	restored, copied := "initrode-restored", ""
	t.Cleanup(func() { // after the business, whose claim holds the volume
		_, err := environment.Kubectl(withoutTest(), "delete", "pv", restored, "--ignore-not-found", "--timeout=60s")
		check(t, err)
		if copied != "" {
			check(t, os.RemoveAll(copied))
		}
	})
	t.Cleanup(func() { check(t, environment.Equip(withoutTest(), r.Region, nil, nil)) })
	check(t, environment.Equip(within(t), r.Region, r.Business, func(*v1alpha1.DataRegionSpec) {}))
	r.host(1)
	r.converse(t, "Before the copy")

	check(t, environment.Suspend(within(t), r.Business))
	volume, err := environment.Volume(within(t), r.Business)
	check(t, err)
	copied = volume + "-restored"
	if out, err := exec.CommandContext(within(t), "cp", "-a", volume, copied).CombinedOutput(); err != nil {
		t.Fatalf("copying the volume: %v\n%s", err, out)
	}
	r.putInPlace(t, restored, copied)
	check(t, environment.Resume(within(t), r.Business))
	contains(t, kubectl(t, "logs", "-n", r.Name, r.Tenant()+"-0"), "the store was restored from a copy: new sessions begin")

	// The business begins new sessions; a customer who writes in an old one is offered a new one first.
	client, err := environment.EndpointClient(within(t), r.Business)
	check(t, err)
	known, err := environment.Credentials(r.Business)
	check(t, err)
	const answer, question = "Written from the copy", "Written to the copy"
	if status, got := (asked{known.PhoneNumberID, known.AccessToken, textTo(r.people[0], answer)}).post(t, known.Endpoint, client); status != 200 {
		t.Fatalf("the business's message is refused: %d %+v", status, got)
	}
	if n := r.people[0].Sees(answer); n != 1 {
		t.Errorf("the customer saw it %d times", n)
	}
	r.people[0].Says(r, question)
	_, err = r.inbox.Wait(within(t), "what the customer answers", func(m webhooktest.Update) bool { return m.Text == question })
	check(t, err)
}

// putInPlace replaces the claim of a suspended relay by one of the same name, for a volume with what is in a folder.
func (r *replicated) putInPlace(t *testing.T, name, folder string) {
	t.Helper()
	k, key := environment.Client(), client.ObjectKey{Namespace: r.Name, Name: r.Tenant()}
	lost := &corev1.PersistentVolumeClaim{}
	check(t, k.Get(within(t), key, lost))
	former := &corev1.PersistentVolume{}
	check(t, k.Get(within(t), client.ObjectKey{Name: lost.Spec.VolumeName}, former))
	kubectl(t, "annotate", "pvc", key.Name, "-n", key.Namespace, v1alpha1.AnnotationAllowDeletion+"=true")
	kubectl(t, "delete", "pvc", key.Name, "-n", key.Namespace, "--timeout=60s")
	_, err := environment.WaitCondition(within(t), r.Relay(), v1alpha1.ConditionReady, metav1.ConditionTrue)
	check(t, err) // suspended, as was asked
	if err := k.Get(within(t), key, &corev1.PersistentVolumeClaim{}); !apierrors.IsNotFound(err) {
		t.Fatalf("a suspended relay got an empty volume: %v", err)
	}
	volume := &corev1.PersistentVolume{ObjectMeta: metav1.ObjectMeta{Name: name}, Spec: *former.Spec.DeepCopy()}
	volume.Spec.ClaimRef, volume.Spec.PersistentVolumeReclaimPolicy = nil, corev1.PersistentVolumeReclaimRetain
	if volume.Spec.HostPath != nil {
		volume.Spec.HostPath.Path = folder
	} else {
		volume.Spec.Local.Path = folder
	}
	check(t, k.Create(within(t), volume))
	claim := &corev1.PersistentVolumeClaim{
		ObjectMeta: metav1.ObjectMeta{Namespace: key.Namespace, Name: key.Name, Labels: lost.Labels},
		Spec: corev1.PersistentVolumeClaimSpec{
			AccessModes: lost.Spec.AccessModes, StorageClassName: lost.Spec.StorageClassName, Resources: lost.Spec.Resources, VolumeName: name,
		},
	}
	check(t, k.Create(within(t), claim))
	check(t, lab.Poll(within(t), func(ctx context.Context) error {
		if err := k.Get(ctx, key, claim); err != nil {
			return err
		}
		if claim.Status.Phase != corev1.ClaimBound {
			return errors.New("the claim is not bound yet")
		}
		return nil
	}))
}
