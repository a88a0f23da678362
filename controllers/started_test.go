package controllers_test

import (
	"slices"
	"testing"

	appsv1 "k8s.io/api/apps/v1"
	batchv1 "k8s.io/api/batch/v1"
	corev1 "k8s.io/api/core/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"sigs.k8s.io/controller-runtime/pkg/client"

	"github.com/relaykeep/relaykeep/api/v1alpha1"
)

// clear deletes every child, as an admin of the namespace can.
func (w *world) clear(relay *v1alpha1.BusinessRelay) {
	w.t.Helper()
	for _, o := range w.children(relay) {
		if err := server.Client.Delete(w.t.Context(), o); client.IgnoreNotFound(err) != nil {
			w.t.Fatal(err)
		}
	}
	w.releaseClaim()
}

func TestErasureIsNotSkippedForWhatATenantDeletes(t *testing.T) {
	w := newWorld(t)
	relay := w.relay("acme")
	relay.Spec.DeletionPolicy = v1alpha1.DeletionErase
	w.create(relay)
	w.pass(relay) // and the relay never reports anything
	w.clear(relay)
	w.delete(relay)
	if job := w.untilJob(relay); len(job.Spec.Template.Spec.Containers) != 1 || !w.held(relay) {
		t.Errorf("the keys are not erased by %+v", job.Spec.Template.Spec)
	}
}

func TestJanitorOutlivesARelayWhoseWorkloadATenantDeleted(t *testing.T) {
	w := newWorld(t)
	relay := w.relay("acme")
	w.create(relay)
	w.pass(relay)
	if err := server.Client.Delete(t.Context(), w.children(relay)["StatefulSet"]); err != nil {
		t.Fatal(err)
	}
	w.delete(relay)
	for range 3 {
		w.pass(relay)
	}
	for _, kind := range kept {
		if w.children(relay)[kind] == nil {
			t.Errorf("%s is gone, though keys may live", kind)
		}
	}
}

func TestStartIsNotedBeforeAnythingRunsAndOnce(t *testing.T) {
	w := newWorld(t)
	relay := w.relay("acme")
	w.create(relay)
	w.pass(relay)
	writes := w.written()
	noted := slices.IndexFunc(writes, func(s string) bool { return s == "apply status *client.unstructuredApplyConfiguration" })
	made := slices.Index(writes, "apply *v1.StatefulSetApplyConfiguration")
	if noted < 0 || made < 0 || noted > made {
		t.Errorf("the start is noted at %d, the workload made at %d of %q", noted, made, writes)
	}
	started := w.reread(relay).Status.StartedTime
	if !started.Equal(new(metav1.NewTime(w.now))) {
		t.Errorf("it started at %v, want %v", started, w.now)
	}
	w.now = w.now.Add(30 * 60e9)
	w.pass(relay)
	if again := w.reread(relay).Status.StartedTime; !again.Equal(started) {
		t.Errorf("it started at %v, and then at %v", started, again)
	}

	bare := bareWorld(t)
	bare.create(bare.region()) // which has no node
	relay = bare.relay("acme")
	bare.create(relay)
	bare.pass(relay)
	if bare.get("acme-relay", &appsv1.StatefulSet{}) || bare.reread(relay).Status.StartedTime != nil {
		t.Error("a relay without a node has started")
	}
}

// forged is a Job as an admin of the namespace might make it in the place of the one
// that erases, with labels and all.
func (w *world) forged() *batchv1.Job {
	labels := map[string]string{
		v1alpha1.LabelManagedBy: v1alpha1.ManagedBy, v1alpha1.LabelName: v1alpha1.NameRelay, v1alpha1.LabelInstance: "acme",
	}
	return &batchv1.Job{
		ObjectMeta: metav1.ObjectMeta{Namespace: w.name, Name: "acme-erase", Labels: labels},
		Spec: batchv1.JobSpec{Template: corev1.PodTemplateSpec{
			ObjectMeta: metav1.ObjectMeta{Labels: labels},
			Spec: corev1.PodSpec{
				RestartPolicy: corev1.RestartPolicyNever, ServiceAccountName: "acme-relay",
				Containers: []corev1.Container{{Name: "janitor", Image: "ghcr.io/relaykeep/relay:dev", Args: []string{"erase"}}},
			},
		}},
	}
}

func TestEraseJob_WithoutProofIsNotBelieved(t *testing.T) {
	projected := func(audiences ...string) func(*corev1.Pod) {
		return func(pod *corev1.Pod) {
			pod.Spec.Volumes = nil
			for i, a := range audiences {
				pod.Spec.Volumes = append(pod.Spec.Volumes, corev1.Volume{Name: string(rune('a' + i)), VolumeSource: corev1.VolumeSource{
					Projected: &corev1.ProjectedVolumeSource{Sources: []corev1.VolumeProjection{{ServiceAccountToken: &corev1.ServiceAccountTokenProjection{Audience: a, Path: "token"}}}},
				}})
			}
			pod.Spec.Containers[0].VolumeMounts = nil
		}
	}
	for name, pretend := range map[string]func(*world, *batchv1.Job){
		"without a pod":            func(*world, *batchv1.Job) {},
		"with a pod without token": func(w *world, job *batchv1.Job) { w.succeed(job, projected()) },
		"with a janitor":           func(w *world, job *batchv1.Job) { w.succeed(job, projected("relaykeep.dev/janitor/"+w.name)) },
		"with another region's": func(w *world, job *batchv1.Job) {
			w.succeed(job, projected("relaykeep.dev/janitor/na", "relaykeep.dev/relay/na"))
		},
		"with another account": func(w *world, job *batchv1.Job) {
			w.succeed(job, func(pod *corev1.Pod) { pod.Spec.ServiceAccountName = "default" })
		},
		"with another Job's": func(w *world, job *batchv1.Job) {
			w.succeed(job, func(pod *corev1.Pod) { pod.OwnerReferences[0].UID = "another" })
		},
	} {
		t.Run(name, func(t *testing.T) {
			w := newWorld(t)
			relay := w.erasing()
			job := w.untilJob(relay)
			pretend(w, job)
			w.conclude(job, batchv1.JobComplete, w.now)
			w.disbelieves(relay, job)
		})
	}
	t.Run("of somebody else's making", func(t *testing.T) {
		w := newWorld(t)
		job := w.forged()
		w.create(job)
		w.end(job, batchv1.JobComplete, w.now)
		w.disbelieves(w.erasing(), job)
	})
}

// disbelieves wants another Job in the place of one that pretends to have erased.
func (w *world) disbelieves(relay *v1alpha1.BusinessRelay, pretender *batchv1.Job) {
	w.t.Helper()
	for range 6 {
		w.pass(relay)
		if fresh := w.reread(relay); fresh.Annotations[v1alpha1.AnnotationErased] != "" {
			w.t.Fatal("the keys are noted as erased")
		}
		job := &batchv1.Job{}
		if w.get("acme-erase", job) && job.UID != pretender.UID {
			return
		}
	}
	w.t.Errorf("the Job is not made again: %+v", w.reread(relay).Status.Conditions)
}
