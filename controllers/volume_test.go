package controllers_test

import (
	"strings"
	"testing"

	appsv1 "k8s.io/api/apps/v1"
	corev1 "k8s.io/api/core/v1"

	"github.com/relaykeep/relaykeep/api/v1alpha1"
)

func TestConfiguration_NamesTheVolumeFromTheFirstPod(t *testing.T) {
	w := newWorld(t)
	relay := w.relay("acme")
	w.create(relay)
	w.pass(relay)
	claim, file, set := &corev1.PersistentVolumeClaim{}, &corev1.ConfigMap{}, &appsv1.StatefulSet{}
	if !w.get("acme-relay", claim) || !w.get("acme-relay", file) || !w.get("acme-relay", set) {
		t.Fatal("a child is missing")
	}
	if !strings.Contains(file.Data["relay.json"], `"volume": "`+string(claim.UID)+`"`) {
		t.Errorf("the configuration does not name the volume:\n%s", file.Data["relay.json"])
	}
	hash := set.Spec.Template.Annotations[v1alpha1.AnnotationConfigHash]
	w.pass(relay)
	if !w.get("acme-relay", set) || set.Spec.Template.Annotations[v1alpha1.AnnotationConfigHash] != hash {
		t.Error("the second pass restarts the relay")
	}
}
