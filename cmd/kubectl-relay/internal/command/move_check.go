package command

import (
	"context"
	"errors"
	"fmt"
	"slices"

	corev1 "k8s.io/api/core/v1"
	apierrors "k8s.io/apimachinery/pkg/api/errors"
	"k8s.io/apimachinery/pkg/api/meta"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"sigs.k8s.io/controller-runtime/pkg/client"

	"github.com/relaykeep/relaykeep/api/contract"
	"github.com/relaykeep/relaykeep/api/v1alpha1"
	"github.com/relaykeep/relaykeep/relay/vault"
)

// check says why the relay cannot be moved now; nil if it can. It changes nothing.
func (m *move) check(ctx context.Context) error {
	if err := m.checkObjects(); err != nil {
		return err
	}
	if err := m.checkClaim(ctx); err != nil {
		return err
	}
	for _, at := range []struct {
		region *v1alpha1.DataRegion
		vault  *vault.Client
	}{{m.from, m.here}, {m.into, m.there}} {
		may, err := at.vault.MayMove(ctx, contract.RoleRelay(at.region.Name))
		if err != nil {
			return fmt.Errorf("looking at the Vault of region %s: %w", at.region.Name, err)
		}
		if !may {
			return fmt.Errorf("the Vault of region %s does not know of moves yet: run kubectl relay setup vault --region %s", at.region.Name, at.region.Name)
		}
	}
	return m.checkVault(ctx)
}

// checkVault looks whether the new region's Vault has what it must have of the relay, and nothing else.
func (m *move) checkVault(ctx context.Context) error {
	if m.relay.Spec.Storage.Postgres != nil {
		switch _, err := m.there.DatabaseLogin(ctx); {
		case errors.Is(err, vault.ErrNotFound):
			return fmt.Errorf("the Vault of region %s has no login at PostgreSQL for the relay: make an empty database %s there and put its login into that Vault, as docs/postgresql.md says",
				m.into.Name, m.relay.Spec.Storage.Postgres.Database)
		case err != nil:
			return fmt.Errorf("looking at the Vault of region %s: %w", m.into.Name, err)
		}
	}
	holds, err := m.there.HoldsMore(ctx)
	if err != nil {
		return fmt.Errorf("looking at the Vault of region %s: %w", m.into.Name, err)
	}
	if holds {
		return fmt.Errorf("the Vault of region %s already has keys or secrets of a relay %s in namespace %s: see kubectl relay orphans --region %s, and destroy what nobody needs with kubectl relay erase %s -n %s --region %s --force",
			m.into.Name, m.name, m.namespace, m.into.Name, m.name, m.namespace, m.into.Name)
	}
	return nil
}

// checkClaim looks whether the claim that the relay gets in the new region is free.
func (m *move) checkClaim(ctx context.Context) error {
	next := m.relay.DeepCopy()
	next.Spec.Moves++
	claim := &corev1.PersistentVolumeClaim{}
	err := m.k.Get(ctx, client.ObjectKey{Namespace: m.namespace, Name: v1alpha1.ClaimName(next)}, claim)
	switch {
	case apierrors.IsNotFound(err):
		return nil
	case err != nil:
		return explain(err, "claim "+v1alpha1.ClaimName(next), "")
	case claim.DeletionTimestamp != nil:
		return fmt.Errorf("claim %s, which the relay would get there, is still being deleted: run the command again once it is gone", claim.Name)
	}
	return fmt.Errorf("there is a claim %s already, which the relay would get there: if nothing needs it, kubectl delete pvc %s -n %s", claim.Name, claim.Name, m.namespace)
}

// checkObjects looks at the relay and at the regions.
func (m *move) checkObjects() error {
	relay, from, into := m.relay, m.from, m.into
	to := v1alpha1.ObjectName(into.Name)
	switch ready := meta.FindStatusCondition(relay.Status.Conditions, v1alpha1.ConditionKeysReady); {
	case relay.DeletionTimestamp != nil:
		return errors.New("the relay is being deleted")
	case relay.Spec.Storage.Postgres != nil && into.Spec.Postgres == nil:
		return fmt.Errorf("the relay's store is in PostgreSQL, and DataRegion %s names none: its admin sets spec.postgres", to)
	case relay.Spec.Storage.Postgres != nil && from.Spec.Postgres != nil && from.Spec.Postgres.Address == into.Spec.Postgres.Address:
		return fmt.Errorf("the regions %s and %s have the same PostgreSQL, in which the relay's database would be the same: give %s one of its own", from.Name, to, to)
	case relay.Spec.Suspend:
		return errors.New("the relay is stopped by spec.suspend: start it first, so that it is known to work")
	case ready == nil || ready.Status != metav1.ConditionTrue:
		why := "it has not reported yet"
		if ready != nil {
			why = ready.Reason + ": " + ready.Message
		}
		return fmt.Errorf("the relay does not work where it is, so its store cannot be read (KeysReady is not True; %s)", why)
	}
	if from.Spec.Carrier.XMPP == nil || into.Spec.Carrier.XMPP == nil || from.Spec.Carrier.XMPP.Domain != into.Spec.Carrier.XMPP.Domain {
		return fmt.Errorf("the regions %s and %s have different carrier domains, and customers write to an address of the domain", from.Name, into.Name)
	}
	switch ready := meta.FindStatusCondition(into.Status.Conditions, v1alpha1.ConditionReady); {
	case !slices.Contains(from.Spec.Moves.To, to):
		return fmt.Errorf("DataRegion %s lets no relay move to %s: its admin adds %s to spec.moves.to", from.Name, to, to)
	case !slices.Contains(into.Spec.Moves.From, v1alpha1.ObjectName(from.Name)):
		return fmt.Errorf("DataRegion %s takes no relay from %s: its admin adds %s to spec.moves.from", to, from.Name, from.Name)
	case into.DeletionTimestamp != nil:
		return fmt.Errorf("DataRegion %s is being deleted", to)
	case ready != nil && ready.Status == metav1.ConditionFalse:
		return fmt.Errorf("DataRegion %s takes no relays now (%s): %s", to, ready.Reason, ready.Message)
	}
	return nil
}
