package lab

import (
	"context"
	"errors"
	"fmt"

	corev1 "k8s.io/api/core/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"sigs.k8s.io/controller-runtime/pkg/client"

	"github.com/relaykeep/relaykeep/api/v1alpha1"
)

// Suspend stops a business's relay and waits until no process of it is left.
func (l *Lab) Suspend(ctx context.Context, b *Business) error {
	if err := l.suspend(ctx, b, true); err != nil {
		return err
	}
	return Poll(ctx, func(ctx context.Context) error {
		var pods corev1.PodList
		err := l.kube.List(ctx, &pods, client.InNamespace(b.Name), client.MatchingLabels{
			v1alpha1.LabelInstance: b.Name, v1alpha1.LabelComponent: v1alpha1.ComponentRelay,
		})
		if err == nil && len(pods.Items) > 0 {
			err = errors.New("the relay's pod is still there")
		}
		if err != nil {
			return fmt.Errorf("suspending %s: %w", b.Name, err)
		}
		return nil
	})
}

// Resume starts a suspended relay and waits until it is Ready.
func (l *Lab) Resume(ctx context.Context, b *Business) error {
	if err := l.suspend(ctx, b, false); err != nil {
		return err
	}
	_, err := l.WaitCondition(ctx, b.Relay(), v1alpha1.ConditionReady, metav1.ConditionTrue)
	return err
}

func (l *Lab) suspend(ctx context.Context, b *Business, yes bool) error {
	patch := client.RawPatch("application/merge-patch+json", fmt.Appendf(nil, `{"spec":{"suspend":%t}}`, yes))
	if err := l.kube.Patch(ctx, b.Relay(), patch); err != nil {
		return fmt.Errorf("suspending or resuming %s: %w", b.Name, err)
	}
	return nil
}
