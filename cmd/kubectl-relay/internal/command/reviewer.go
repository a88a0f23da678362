package command

import (
	"context"
	"errors"
	"fmt"
	"time"

	corev1 "k8s.io/api/core/v1"
	rbacv1 "k8s.io/api/rbac/v1"
	apierrors "k8s.io/apimachinery/pkg/api/errors"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/util/wait"
	applycorev1 "k8s.io/client-go/applyconfigurations/core/v1"
	applyrbacv1 "k8s.io/client-go/applyconfigurations/rbac/v1"
	"sigs.k8s.io/controller-runtime/pkg/client"

	"github.com/relaykeep/relaykeep/cmd/kubectl-relay/internal/exit"
)

const (
	// fieldManager is the name under which this program applies objects.
	fieldManager = "kubectl-relay"
	// reviewerRole is Kubernetes' own role for asking whether a token is genuine.
	reviewerRole = "system:auth-delegator"
	// reviewerTokenWithin is how long Kubernetes may take to fill in the token.
	reviewerTokenWithin = 30 * time.Second
)

// reviewer is the service account with which Vault asks Kubernetes whether a relay's
// token is genuine.
type reviewer struct{ namespace, name string }

// token makes the account, lets it review tokens, and returns a token of it that
// does not expire by itself.
//
// A token from a TokenRequest would expire (the API server limits its lifetime), and
// from that day no relay could log in: Vault keeps one token and never requests
// another. The token's Secret can be deleted to revoke it; running the set-up again
// then makes another.
func (r reviewer) token(ctx context.Context, k client.Client) (string, error) {
	if err := r.apply(ctx, k); err != nil {
		return "", err
	}
	var token string
	err := wait.PollUntilContextTimeout(ctx, 200*time.Millisecond, reviewerTokenWithin, true, func(ctx context.Context) (bool, error) {
		var secret corev1.Secret
		if err := k.Get(ctx, client.ObjectKey{Namespace: r.namespace, Name: r.name}, &secret); err != nil {
			return false, err
		}
		token = string(secret.Data[corev1.ServiceAccountTokenKey])
		return token != "", nil
	})
	switch {
	case wait.Interrupted(err) && ctx.Err() == nil:
		return "", fmt.Errorf("kubernetes did not fill in the token of secret %s/%s: is its controller manager running?", r.namespace, r.name)
	case err != nil:
		return "", r.refused("reading the token", err)
	}
	return token, nil
}

// apply makes the account, its binding and the Secret for its token. Applying them
// again changes nothing.
func (r reviewer) apply(ctx context.Context, k client.Client) error {
	var namespace corev1.Namespace
	err := k.Get(ctx, client.ObjectKey{Name: r.namespace}, &namespace)
	if apierrors.IsNotFound(err) {
		err = k.Create(ctx, &corev1.Namespace{ObjectMeta: metav1.ObjectMeta{Name: r.namespace}})
	}
	if err != nil {
		return r.refused("making namespace "+r.namespace, err)
	}
	account := applycorev1.ServiceAccount(r.name, r.namespace).WithAutomountServiceAccountToken(false)
	binding := applyrbacv1.ClusterRoleBinding("relaykeep:" + r.namespace + ":" + r.name).
		WithRoleRef(applyrbacv1.RoleRef().WithAPIGroup(rbacv1.GroupName).WithKind("ClusterRole").WithName(reviewerRole)).
		WithSubjects(applyrbacv1.Subject().WithKind(rbacv1.ServiceAccountKind).WithNamespace(r.namespace).WithName(r.name))
	secret := applycorev1.Secret(r.name, r.namespace).WithType(corev1.SecretTypeServiceAccountToken).
		WithAnnotations(map[string]string{corev1.ServiceAccountNameKey: r.name})
	if err := k.Apply(ctx, account, client.FieldOwner(fieldManager)); err != nil {
		return r.refused("making the account", err)
	}
	if err := k.Apply(ctx, binding, client.FieldOwner(fieldManager)); err != nil {
		return r.refused("binding the account to "+reviewerRole, err)
	}
	if err := k.Apply(ctx, secret, client.FieldOwner(fieldManager)); err != nil {
		return r.refused("making the secret for the account's token", err)
	}
	return nil
}

// refused says what to do when Kubernetes does not let this user create the account.
func (r reviewer) refused(doing string, err error) error {
	err = fmt.Errorf("preparing service account %s/%s, with which Vault reviews tokens: %s: %w", r.namespace, r.name, doing, err)
	if apierrors.IsForbidden(err) || apierrors.IsUnauthorized(err) {
		err = errors.Join(exit.ErrRefused, fmt.Errorf("%w; run this as a cluster admin, or give a token with --reviewer-token-file", err))
	}
	return err
}
