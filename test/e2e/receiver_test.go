//go:build e2e

package e2e

import (
	"context"
	"fmt"
	"testing"

	corev1 "k8s.io/api/core/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"sigs.k8s.io/controller-runtime/pkg/client"

	"github.com/relaykeep/relaykeep/api/contract"
	"github.com/relaykeep/relaykeep/api/v1alpha1"
	"github.com/relaykeep/relaykeep/test/lab"
)

// TestReceiver_BringsItsOwnCredentials gives globex's relay, through a Secret that the kubelet mounts, what
// its receiver knows, and changes it while the relay runs.
func TestReceiver_BringsItsOwnCredentials(t *testing.T) {
	t.Parallel() // nothing else changes globex
	kube := environment.Client()
	known, err := environment.Credentials(lab.Globex)
	check(t, err)
	t.Cleanup(func() {
		check(t, uses(t, ""))
		check(t, environment.KeepCredentials(lab.Globex, known))
		_, err := environment.WaitCondition(withoutTest(), lab.Globex.Relay(), v1alpha1.ConditionReady, metav1.ConditionTrue)
		check(t, err)
	})
	if err := uses(t, "globex-other"); err == nil {
		t.Fatal("a Secret of another name was accepted")
	}
	check(t, uses(t, "globex-webhook-credentials"))
	waitWebhook(t, metav1.ConditionFalse, "CredentialsUnusable")

	own := &corev1.Secret{ObjectMeta: metav1.ObjectMeta{Namespace: "globex", Name: "globex-webhook-credentials"}}
	t.Cleanup(func() { check(t, client.IgnoreNotFound(kube.Delete(withoutTest(), own))) })
	give := func(round string) {
		t.Helper()
		brought := known
		brought.WebhookSecret, brought.VerifyToken = "the receiver's app secret "+round, "the receiver's token "+round
		check(t, environment.KeepCredentials(lab.Globex, brought))
		own.StringData = map[string]string{contract.AppSecretKey: brought.WebhookSecret, contract.VerifyTokenKey: brought.VerifyToken}
		if own.ResourceVersion == "" {
			check(t, kube.Create(within(t), own))
		} else {
			check(t, kube.Update(within(t), own))
		}
	}
	give("one")
	waitWebhook(t, metav1.ConditionTrue, "Verified")
	running := relayInstance(t, lab.Globex)
	own.StringData = map[string]string{contract.AppSecretKey: ""}
	check(t, kube.Update(within(t), own))
	waitWebhook(t, metav1.ConditionFalse, "CredentialsUnusable")
	give("two")
	waitWebhook(t, metav1.ConditionTrue, "Verified")
	if now := relayInstance(t, lab.Globex); now != running {
		t.Error("the relay was restarted to take the changed Secret")
	}
}

// uses has globex's webhook use a Secret's credentials; "" for the relay's own.
func uses(t *testing.T, secret string) error {
	t.Helper()
	value := "null"
	if secret != "" {
		value = fmt.Sprintf("%q", secret)
	}
	patch := client.RawPatch("application/merge-patch+json", fmt.Appendf(nil, `{"spec":{"webhook":{"credentialsSecretName":%s}}}`, value))
	return environment.Client().Patch(withoutTest(), lab.Globex.Relay(), patch)
}

// waitWebhook waits until globex's webhook has a condition with a reason.
func waitWebhook(t *testing.T, status metav1.ConditionStatus, reason string) {
	t.Helper()
	check(t, lab.Poll(within(t), func(ctx context.Context) error {
		c, err := environment.WaitCondition(ctx, lab.Globex.Relay(), v1alpha1.ConditionWebhookVerified, status)
		if err == nil && c.Reason != reason {
			err = fmt.Errorf("WebhookVerified is %s %s, want %s", status, c.Reason, reason)
		}
		return err
	}))
}
