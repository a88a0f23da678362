package command

import (
	"cmp"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"maps"
	"slices"
	"strings"

	batchv1 "k8s.io/api/batch/v1"
	corev1 "k8s.io/api/core/v1"
	networkingv1 "k8s.io/api/networking/v1"
	"k8s.io/apimachinery/pkg/api/meta"
	"k8s.io/apimachinery/pkg/runtime"
	"sigs.k8s.io/controller-runtime/pkg/client"

	"github.com/relaykeep/relaykeep/api/v1alpha1"
	"github.com/relaykeep/relaykeep/cmd/kubectl-relay/internal/exit"
	"github.com/relaykeep/relaykeep/relay/vault"
)

// find lists the remnants of the region. It fails when any list fails: a relay missing
// from a partial list would look deleted.
func (o *orphans) find(ctx context.Context) ([]*remnant, error) {
	var relays v1alpha1.BusinessRelayList
	if err := o.k.List(ctx, &relays); err != nil {
		return nil, explain(err, "the list of BusinessRelays", "you need the right to list them in all namespaces")
	}
	o.relays = len(relays.Items)
	all := remnants{}
	if err := o.inCluster(ctx, all); err != nil {
		return nil, err
	}
	held, err := vault.Holdings(ctx, o.login, o.contract())
	if errors.Is(err, vault.ErrDenied) {
		return nil, fmt.Errorf("%w by Vault; use a token that may list keys and secrets, such as an admin's: %w", exit.ErrRefused, err)
	}
	if err != nil {
		return nil, fmt.Errorf("%w; nothing is listed, because a relay that is missing from a partial list would look deleted", err)
	}
	for _, h := range held {
		if name, is := strings.CutSuffix(h.Account, v1alpha1.SuffixRelay); is {
			all.of(h.Namespace, name).vault = h
		}
	}
	for i := range relays.Items {
		delete(all, relays.Items[i].Namespace+"/"+relays.Items[i].Name)
	}
	return slices.SortedFunc(maps.Values(all), func(a, b *remnant) int {
		return cmp.Or(cmp.Compare(a.namespace, b.namespace), cmp.Compare(a.relay, b.relay))
	}), nil
}

// remnants are those found so far, by namespace and name.
type remnants map[string]*remnant

func (all remnants) of(namespace, relay string) *remnant {
	r := &remnant{namespace: namespace, relay: relay}
	if all[r.name()] == nil {
		all[r.name()] = r
	}
	return all[r.name()]
}

// inCluster finds the objects that outlive relays, in the region.
func (o *orphans) inCluster(ctx context.Context, all remnants) error {
	ours := client.MatchingLabels{v1alpha1.LabelManagedBy: v1alpha1.ManagedBy, v1alpha1.LabelName: v1alpha1.NameRelay}
	var found []client.Object
	for _, list := range []client.ObjectList{
		&corev1.ConfigMapList{}, &batchv1.CronJobList{}, &corev1.PersistentVolumeClaimList{}, // these say which region
		&corev1.ServiceAccountList{}, &networkingv1.NetworkPolicyList{},
	} {
		if err := o.k.List(ctx, list, ours); err != nil {
			return explain(err, "what relays left behind in the cluster", "you need the right to list it in all namespaces")
		}
		err := meta.EachListItem(list, func(item runtime.Object) error {
			if object, is := item.(client.Object); is {
				found = append(found, object)
			}
			return nil
		})
		if err != nil {
			return fmt.Errorf("reading what relays left behind: %w", err)
		}
	}
	regions := map[string]string{}
	owner := func(object client.Object) string {
		return object.GetNamespace() + "/" + object.GetLabels()[v1alpha1.LabelInstance]
	}
	for _, object := range found {
		if region := regionNamedBy(object); region != "" {
			regions[owner(object)] = region
		}
	}
	for _, object := range found {
		// An object that names no region could belong to any: it is shown in each.
		if region := regions[owner(object)]; region == "" || region == o.region.Name {
			r := all.of(object.GetNamespace(), object.GetLabels()[v1alpha1.LabelInstance])
			r.objects = append(r.objects, object)
		}
	}
	return nil
}

// regionNamedBy returns the region that an object names, if it does.
func regionNamedBy(object client.Object) string {
	switch o := object.(type) {
	case *corev1.PersistentVolumeClaim:
		return o.Labels[v1alpha1.LabelRegion]
	case *batchv1.CronJob:
		return o.Spec.JobTemplate.Spec.Template.Labels[v1alpha1.LabelRegion]
	case *corev1.ConfigMap:
		var file struct {
			Region string `json:"region"`
		}
		if json.Unmarshal([]byte(o.Data["relay.json"]), &file) == nil {
			return file.Region
		}
	}
	return ""
}

func find(left []*remnant, name string) *remnant {
	for _, r := range left {
		if r.name() == name {
			return r
		}
	}
	return nil
}

// kindOf names an object's kind, which clients do not fill in.
func kindOf(object client.Object) string {
	switch object.(type) {
	case *corev1.PersistentVolumeClaim:
		return "PersistentVolumeClaim"
	case *corev1.ServiceAccount:
		return "ServiceAccount"
	case *corev1.ConfigMap:
		return "ConfigMap"
	case *batchv1.CronJob:
		return "CronJob"
	default:
		return "NetworkPolicy"
	}
}

func kindsOf(objects []client.Object) []string {
	kinds := map[string]bool{}
	for _, o := range objects {
		kinds[kindOf(o)] = true
	}
	return slices.Collect(maps.Keys(kinds))
}

func orNone(words []string) string {
	if len(words) == 0 {
		return "nothing"
	}
	slices.Sort(words)
	return strings.Join(words, ", ")
}

// ignoreEnd drops the error for the end of the input.
func ignoreEnd(err error) error {
	if errors.Is(err, io.EOF) {
		return nil
	}
	return err
}
