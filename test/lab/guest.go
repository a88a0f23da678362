package lab

import (
	"context"
	"errors"
	"fmt"
	"os"

	networkingv1 "k8s.io/api/networking/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/util/intstr"

	"github.com/relaykeep/relaykeep/api/v1alpha1"
)

// Host makes a business that is not of the lab's cast, with its webhook, and waits until its relay is Ready. The
// region must let relays reach the webhook: see Equip.
func (l *Lab) Host(ctx context.Context, b *Business) error {
	if err := l.startReceiver(ctx, b); err != nil {
		return err
	}
	relay := l.businessRelay(b)
	relay.Spec.DeletionPolicy = v1alpha1.DeletionErase
	text, err := manifest(relay)
	if err != nil {
		return err
	}
	if err := l.makeNamespace(ctx, b.Name); err != nil {
		return err
	}
	if _, err := l.Apply(ctx, text); err != nil {
		return err
	}
	if err := l.bringToReady(ctx, b); err != nil {
		return fmt.Errorf("%w\n%s", err, l.trouble(ctx, b))
	}
	return nil
}

// Dismiss erases a business that Host made, and ends its webhook.
func (l *Lab) Dismiss(ctx context.Context, b *Business) error {
	var failed []error
	for _, args := range [][]string{
		{"delete", "brelay", "--all", "-n", b.Name, "--timeout=120s"},
		{"delete", "namespace", b.Name, "--timeout=90s"},
	} {
		_, err := l.Kubectl(ctx, args...)
		failed = append(failed, err)
	}
	failed = append(failed, l.keeper.Stop(ctx, webhookProcess(b)))
	for _, file := range []string{l.WebhookLog(b), l.credentialsFile(b), l.EndpointCA(b)} {
		if err := os.Remove(file); err != nil && !os.IsNotExist(err) {
			failed = append(failed, err)
		}
	}
	return errors.Join(failed...)
}

// Equip lets a region's relays reach a guest's webhook, and changes the region further. Equipping it for no guest takes
// everything back.
func (l *Lab) Equip(ctx context.Context, r *Region, guest *Business, further func(*v1alpha1.DataRegionSpec)) error {
	region := l.dataRegion(r)
	if guest != nil {
		ports := &region.Spec.Network.PrivateWebhooks[0].Ports
		*ports = append(*ports, networkingv1.NetworkPolicyPort{Port: new(intstr.FromInt(guest.webhookPort))})
		further(&region.Spec)
	}
	text, err := manifest(region)
	if err != nil {
		return err
	}
	if _, err := l.Apply(ctx, text); err != nil {
		return err
	}
	_, err = l.WaitCondition(ctx, &v1alpha1.DataRegion{ObjectMeta: metav1.ObjectMeta{Name: r.Name}}, v1alpha1.ConditionReady, metav1.ConditionTrue)
	return err
}
