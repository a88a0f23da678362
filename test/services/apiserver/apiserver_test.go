package apiserver

import (
	"strings"
	"testing"

	authenticationv1 "k8s.io/api/authentication/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/client-go/kubernetes"
	"k8s.io/client-go/tools/clientcmd"
)

func TestServer_ReviewerMayReviewTokensAndNobodyElse(t *testing.T) {
	s := StartT(t, Options{CRDs: []string{"config/crd/bases"}})
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

func TestServer_UserOfAKubeconfigIsKnownAndHasNoRights(t *testing.T) {
	s := StartT(t, Options{})
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
