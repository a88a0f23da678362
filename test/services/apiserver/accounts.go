package apiserver

import (
	"context"
	"fmt"
	"time"

	authenticationv1 "k8s.io/api/authentication/v1"
	corev1 "k8s.io/api/core/v1"
	rbacv1 "k8s.io/api/rbac/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
)

// reviewer is the service account by which Vault reviews tokens, and the name of its
// cluster role binding.
const reviewer = "reviewer"

// AddServiceAccount makes a service account in a namespace that exists.
func (s *Server) AddServiceAccount(ctx context.Context, namespace, name string) error {
	_, err := s.Kube.CoreV1().ServiceAccounts(namespace).Create(ctx,
		&corev1.ServiceAccount{ObjectMeta: metav1.ObjectMeta{Name: name}}, metav1.CreateOptions{})
	return err
}

// Token has the API server issue a token of a service account, for the server's own
// audience when none is named. It lasts a day, longer than any test: a kubelet renews tokens, and nobody does here.
func (s *Server) Token(ctx context.Context, namespace, name string, audiences ...string) (string, error) {
	answer, err := s.Kube.CoreV1().ServiceAccounts(namespace).CreateToken(ctx, name,
		&authenticationv1.TokenRequest{Spec: authenticationv1.TokenRequestSpec{
			Audiences: audiences, ExpirationSeconds: new(int64((24 * time.Hour).Seconds())),
		}}, metav1.CreateOptions{})
	if err != nil {
		return "", fmt.Errorf("requesting a token: %w", err)
	}
	return answer.Status.Token, nil
}

// AddReviewer makes a service account that may review tokens, as Vault needs it, and
// returns its token. Call it once for each server.
func (s *Server) AddReviewer(ctx context.Context) (string, error) {
	if err := s.AddServiceAccount(ctx, metav1.NamespaceDefault, reviewer); err != nil {
		return "", fmt.Errorf("making the reviewer's account: %w", err)
	}
	_, err := s.Kube.RbacV1().ClusterRoleBindings().Create(ctx, &rbacv1.ClusterRoleBinding{
		ObjectMeta: metav1.ObjectMeta{Name: reviewer},
		RoleRef:    rbacv1.RoleRef{APIGroup: rbacv1.GroupName, Kind: "ClusterRole", Name: "system:auth-delegator"},
		Subjects:   []rbacv1.Subject{{Kind: rbacv1.ServiceAccountKind, Namespace: metav1.NamespaceDefault, Name: reviewer}},
	}, metav1.CreateOptions{})
	if err != nil {
		return "", fmt.Errorf("granting the review of tokens: %w", err)
	}
	return s.Token(ctx, metav1.NamespaceDefault, reviewer)
}
