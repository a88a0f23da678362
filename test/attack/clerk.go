package attack

import (
	"context"
	"errors"
	"fmt"

	batchv1 "k8s.io/api/batch/v1"
	corev1 "k8s.io/api/core/v1"
	networkingv1 "k8s.io/api/networking/v1"
	apierrors "k8s.io/apimachinery/pkg/api/errors"
	"k8s.io/apimachinery/pkg/api/meta"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"sigs.k8s.io/controller-runtime/pkg/client"

	"github.com/relaykeep/relaykeep/api/contract"
	"github.com/relaykeep/relaykeep/api/v1alpha1"
	"github.com/relaykeep/relaykeep/test/lab"
)

// candidate is a BusinessRelay as acme's clerk would write it: suspended, so that
// nothing of it runs. Its number is set aside for fiction.
func candidate(namespace string, edit func(*v1alpha1.BusinessRelay)) *v1alpha1.BusinessRelay {
	o := &v1alpha1.BusinessRelay{
		ObjectMeta: metav1.ObjectMeta{Namespace: namespace, Name: "attack"},
		Spec:       v1alpha1.BusinessRelaySpec{PhoneNumber: "+493023125109", DataRegion: "eu", Suspend: true},
	}
	if edit != nil {
		edit(o)
	}
	return o
}

// written has a user write a candidate, not really.
func written(user, namespace string, edit func(*v1alpha1.BusinessRelay)) act {
	return made(user, candidate(namespace, edit))
}

// settled has the clerk write a candidate for a moment and returns as an error the
// condition that says that it cannot be.
func settled(name string, edit func(*v1alpha1.BusinessRelay)) act {
	return func(ctx context.Context, s *Scene) (err error) {
		c, err := s.as(clerk)
		if err != nil {
			return err
		}
		o := candidate("acme", edit)
		o.Name = name + "-" + s.mark
		key := client.ObjectKeyFromObject(o)
		if err := c.Create(ctx, o); err != nil {
			return err
		}
		defer func() {
			if left := s.forget(context.WithoutCancel(ctx), o); left != nil {
				err = left
			}
		}()
		ctx, cancel := context.WithTimeout(ctx, pollFor)
		defer cancel()
		return lab.Poll(ctx, func(ctx context.Context) error {
			if err := s.lab.Client().Get(ctx, key, o); err != nil {
				return err
			}
			if c := stopped(o.Status.Conditions); c != nil {
				return lab.Final(conditionError{c.Reason, c.Message})
			}
			if placed := meta.FindStatusCondition(o.Status.Conditions, v1alpha1.ConditionPlaced); placed == nil || placed.Status != metav1.ConditionTrue {
				return fmt.Errorf("BusinessRelay %s is neither placed nor stalled", o.Name)
			}
			return nil
		})
	}
}

// stopped is the condition that says why a relay does not go on, nil if it does: somebody must change it, or what it asks
// for is not there or another's.
func stopped(all []metav1.Condition) *metav1.Condition {
	if c := meta.FindStatusCondition(all, v1alpha1.ConditionStalled); c != nil && c.Status == metav1.ConditionTrue {
		return c
	}
	c := meta.FindStatusCondition(all, v1alpha1.ConditionReady)
	for _, reason := range []string{v1alpha1.ReasonNumberInUse, v1alpha1.ReasonRegionNotFound, v1alpha1.ReasonNoMatchingNode} {
		if c != nil && c.Status == metav1.ConditionFalse && c.Reason == reason {
			return c
		}
	}
	return nil
}

// forget deletes a candidate and what it left behind for its janitor: there was never
// anything to erase.
func (s *Scene) forget(ctx context.Context, o *v1alpha1.BusinessRelay) error {
	ctx, cancel := context.WithTimeout(ctx, pollFor)
	defer cancel()
	c := s.lab.Client()
	if err := c.Delete(ctx, o); err != nil {
		return err
	}
	err := lab.Poll(ctx, func(ctx context.Context) error {
		err := c.Get(ctx, client.ObjectKeyFromObject(o), &v1alpha1.BusinessRelay{})
		if apierrors.IsNotFound(err) {
			return nil
		}
		return fmt.Errorf("BusinessRelay %s is still there: %w", o.Name, err)
	})
	if err != nil {
		return err
	}
	for _, kind := range []client.Object{
		&batchv1.CronJob{}, &corev1.ConfigMap{}, &corev1.ServiceAccount{}, &corev1.PersistentVolumeClaim{}, &networkingv1.NetworkPolicy{},
	} {
		if err := c.DeleteAllOf(ctx, kind, client.InNamespace(o.Namespace), client.MatchingLabels{v1alpha1.LabelInstance: o.Name}); err != nil {
			return err
		}
	}
	return nil
}

// overwriting has the clerk name a BusinessRelay so that its configuration would
// take the place of a ConfigMap that is there.
func overwriting(ctx context.Context, s *Scene) error {
	theirs := &corev1.ConfigMap{
		ObjectMeta: metav1.ObjectMeta{Namespace: "acme", Name: v1alpha1.TenantName("taken-" + s.mark)}, Data: map[string]string{"theirs": "yes"},
	}
	if err := s.lab.Client().Create(ctx, theirs); err != nil {
		return fmt.Errorf("preparing: %w", err)
	}
	s.undo = append(s.undo, func(ctx context.Context) error { return s.lab.Client().Delete(ctx, theirs) })
	err := settled("taken", nil)(ctx, s)
	now := &corev1.ConfigMap{}
	if gone := s.lab.Client().Get(ctx, client.ObjectKeyFromObject(theirs), now); gone != nil {
		return fmt.Errorf("looking whether the ConfigMap is as it was: %w", gone)
	}
	if len(now.Data) != 1 || now.Data["theirs"] != "yes" {
		return errors.New("the ConfigMap was changed")
	}
	return err
}

// byTheClerk are attempts of a user who may do everything to BusinessRelays of acme's
// namespace, and nothing else, to have the operator read or write for them.
func byTheClerk() []Attempt {
	const (
		who    = "a clerk who may only write acme's BusinessRelays"
		rules  = "the rules of the BusinessRelay's fields"
		limits = "Kubernetes RBAC"
	)
	refused := func(tries string, evil, good func(*v1alpha1.BusinessRelay), owners string) Attempt {
		return Attempt{who, tries, rules, owners, written(clerk, "acme", evil), written(clerk, "acme", good), bySchema}
	}
	tls := func(name string) func(*v1alpha1.BusinessRelay) {
		return func(o *v1alpha1.BusinessRelay) { o.Spec.Endpoint.TLSSecretName = v1alpha1.ObjectName(name) }
	}
	webhook := func(url string) func(*v1alpha1.BusinessRelay) {
		return func(o *v1alpha1.BusinessRelay) { o.Spec.Webhook = &v1alpha1.Webhook{URL: url} }
	}
	certificate := func(name string) func(*v1alpha1.BusinessRelay) {
		return func(o *v1alpha1.BusinessRelay) {
			o.Spec.Webhook = &v1alpha1.Webhook{URL: "https://hooks.example.org/", ClientCertificateSecretName: v1alpha1.ObjectName(name)}
		}
	}
	named := func(name string) func(*v1alpha1.BusinessRelay) {
		return func(o *v1alpha1.BusinessRelay) { o.Name = name }
	}
	region := func(name string) func(*v1alpha1.BusinessRelay) {
		return func(o *v1alpha1.BusinessRelay) { o.Spec.DataRegion = v1alpha1.ObjectName(name) }
	}
	const likewise = "the clerk, within the namespace"
	status := &v1alpha1.BusinessRelay{ObjectMeta: metav1.ObjectMeta{Namespace: "acme", Name: "acme"}}
	return []Attempt{
		{who, "writes a BusinessRelay in globex's namespace", limits, "globex's clerk", written(clerk, "globex", nil), written(globexClerk, "globex", nil), byRBAC},
		{who, "reads the pod that the operator made for it", limits, "acme's admin", by(clerk, get("acme", "acme-relay-0", aPod)), by(acmeAdmin, get("acme", "acme-relay-0", aPod)), byRBAC},
		{who, "asks for a token of the relay's account", limits, "acme's admin", by(clerk, token("acme", "acme-relay", contract.AudienceCredentials(lab.EU.Name))), by(acmeAdmin, token("acme", "acme-relay", contract.AudienceCredentials(lab.EU.Name))), byRBAC},
		{who, "writes false values into its status", limits, "the operator", ready(clerk, status), ready(operator, status), byRBAC},
		refused("has a Secret of globex's mounted as certificate", tls("globex/attack"), tls("endpoint"), likewise),
		refused("has a Secret of globex's mounted for the webhook", certificate("../globex/attack"), certificate("client"), likewise),
		refused("has the operator write in globex's place by a name with a dot", named("globex.globex"), named("globex"), likewise),
		refused("has the operator read another path than a DataRegion's", region("eu/../../namespaces/globex"), region("eu"), "the clerk, a region's name"),
		refused("has the relay deliver to a metadata service in clear", webhook("http://169.254.169.254/latest/meta-data/"), webhook("https://hooks.example.org/"), "the clerk, over TLS; see above for an address"),
		refused("has the relay log in at a webhook by its URL", webhook("https://user:password@hooks.example.org/"), webhook("https://hooks.example.org/"), "the clerk, without a password"),
		{
			who, "takes globex's number", "the operator: a number belongs to its oldest relay", "the clerk, a number of their own",
			settled("thief", func(o *v1alpha1.BusinessRelay) { o.Spec.PhoneNumber = lab.Globex.Number }),
			settled("honest", nil), byCondition(v1alpha1.ReasonNumberInUse),
		},
		{
			who, "has the operator overwrite an object that is not a relay's", "the operator: it takes over no objects", "the clerk, a name that is free",
			overwriting, settled("free", nil), byCondition(v1alpha1.ReasonNameTaken),
		},
	}
}

// ready has a user write a relay's status, not really.
func ready(user string, o *v1alpha1.BusinessRelay) act {
	return by(user, func(ctx context.Context, c client.Client) error {
		patch := client.RawPatch("application/merge-patch+json", []byte(`{"status":{"quality":"GREEN"}}`))
		return c.Status().Patch(ctx, o.DeepCopy(), patch, client.DryRunAll)
	})
}
