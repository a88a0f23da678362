package apiserver

import (
	"strings"
	"testing"

	authenticationv1 "k8s.io/api/authentication/v1"
	corev1 "k8s.io/api/core/v1"
	apierrors "k8s.io/apimachinery/pkg/api/errors"
	"k8s.io/apimachinery/pkg/api/resource"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/client-go/kubernetes"
	"k8s.io/client-go/tools/clientcmd"
)

func TestServer(t *testing.T) {
	s := StartT(t, Options{CRDs: []string{"config/crd/bases"}})
	t.Run("is as it was marked after its restoration", func(t *testing.T) { restores(t, s) })
	t.Run("reviewer may review tokens and nobody else", func(t *testing.T) { reviews(t, s) })
	t.Run("user of a kubeconfig is known and has no rights", func(t *testing.T) { knowsUser(t, s) })
}

func reviews(t *testing.T, s *Server) {
	review := func(reviewer, token string) (bool, error) {
		cfg := *s.Config
		cfg.CertData, cfg.KeyData, cfg.BearerToken = nil, nil, reviewer
		kube, err := kubernetes.NewForConfig(&cfg)
		if err != nil {
			t.Fatal(err)
		}
		answer, err := kube.AuthenticationV1().TokenReviews().Create(t.Context(), &authenticationv1.TokenReview{
			Spec: authenticationv1.TokenReviewSpec{Token: token, Audiences: []string{"somebody"}},
		}, metav1.CreateOptions{})
		if err != nil {
			return false, err
		}
		return answer.Status.Authenticated, nil
	}
	reviewer, err := s.AddReviewer(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	if err := s.AddServiceAccount(t.Context(), metav1.NamespaceDefault, "other"); err != nil {
		t.Fatal(err)
	}
	token, err := s.Token(t.Context(), metav1.NamespaceDefault, "other", "somebody")
	if err != nil {
		t.Fatal(err)
	}
	if is, err := review(reviewer, token); err != nil || !is {
		t.Errorf("the reviewer is told %v, %v of a good token", is, err)
	}
	other, err := s.Token(t.Context(), metav1.NamespaceDefault, "other")
	if err != nil {
		t.Fatal(err)
	}
	if is, err := review(other, token); err == nil || !strings.Contains(err.Error(), "forbidden") {
		t.Errorf("another account is told %v, %v", is, err)
	}
}

func knowsUser(t *testing.T, s *Server) {
	raw, err := s.UserKubeconfig("jane")
	if err != nil {
		t.Fatal(err)
	}
	cfg, err := clientcmd.RESTConfigFromKubeConfig(raw)
	if err != nil {
		t.Fatal(err)
	}
	kube, err := kubernetes.NewForConfig(cfg)
	if err != nil {
		t.Fatal(err)
	}
	_, err = kube.CoreV1().Namespaces().List(t.Context(), metav1.ListOptions{})
	if err == nil || !strings.Contains(err.Error(), `User "jane" cannot list`) {
		t.Errorf("jane's call ends with %v", err)
	}
}

func restores(t *testing.T, s *Server) {
	restore, err := s.Mark(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	for range 2 { // so that names are free again
		claim := &corev1.PersistentVolumeClaim{ // which the server gives a finalizer
			ObjectMeta: metav1.ObjectMeta{Name: "data"},
			Spec: corev1.PersistentVolumeClaimSpec{
				AccessModes: []corev1.PersistentVolumeAccessMode{corev1.ReadWriteOnce},
				Resources:   corev1.VolumeResourceRequirements{Requests: corev1.ResourceList{corev1.ResourceStorage: resource.MustParse("1Gi")}},
			},
		}
		if _, err := s.Kube.CoreV1().Namespaces().Create(t.Context(), &corev1.Namespace{ObjectMeta: metav1.ObjectMeta{Name: "acme"}}, metav1.CreateOptions{}); err != nil {
			t.Fatal(err)
		}
		if _, err := s.Kube.CoreV1().PersistentVolumeClaims("acme").Create(t.Context(), claim, metav1.CreateOptions{}); err != nil {
			t.Fatal(err)
		}
		if _, err := s.AddReviewer(t.Context()); err != nil {
			t.Fatal(err)
		}
		if err := restore(t.Context()); err != nil {
			t.Fatal(err)
		}
		if _, err := s.Kube.CoreV1().Namespaces().Get(t.Context(), "acme", metav1.GetOptions{}); !apierrors.IsNotFound(err) {
			t.Errorf("the namespace is there: %v", err)
		}
		if _, err := s.Kube.CoreV1().Namespaces().Get(t.Context(), metav1.NamespaceDefault, metav1.GetOptions{}); err != nil {
			t.Errorf("what was there before is gone: %v", err)
		}
	}
}
