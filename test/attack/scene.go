package attack

import (
	"context"
	"errors"
	"fmt"
	"strings"
	"time"

	"github.com/hashicorp/vault/api"
	corev1 "k8s.io/api/core/v1"
	apierrors "k8s.io/apimachinery/pkg/api/errors"
	"sigs.k8s.io/controller-runtime/pkg/client"

	"github.com/relaykeep/relaykeep/api/contract"
	"github.com/relaykeep/relaykeep/test/lab"
)

// Scene is the environment in which attempts are made: who is there, and what there
// is to take.
type Scene struct {
	lab    *lab.Lab
	mark   string // makes the names of this scene's objects its own
	root   map[*lab.Region]*api.Client
	logins map[login]*api.Client
	// A data key of each business, wrapped by its wrapping key and by its settings key.
	wrapped, settings map[*lab.Business]string
	holders           map[holder]string // their access tokens
	hiding            bool              // globex's relay keeps customers' numbers from globex
	undo              []func(context.Context) error
}

// Close removes what the scene made, the last first.
func (s *Scene) Close(ctx context.Context) error {
	var failed []error
	for i := len(s.undo) - 1; i >= 0; i-- {
		failed = append(failed, s.undo[i](ctx))
	}
	s.undo = nil
	return errors.Join(failed...)
}

func (s *Scene) openVaults(ctx context.Context) error {
	for _, r := range []*lab.Region{lab.EU, lab.NA} {
		server, err := s.lab.Vault(ctx, r)
		if err != nil {
			return err
		}
		if s.root[r], err = server.Root(); err != nil {
			return fmt.Errorf("logging in as the admin of the Vault of %s: %w", r.Name, err)
		}
	}
	return nil
}

// The scene's users. What a service account may do is what its role in the cluster
// says; the others have the roles of makeUsers.
const (
	acmeAdmin   = "acme-admin"   // may do everything in acme's namespace
	globexAdmin = "globex-admin" // the same in globex's
	clerk       = "acme-clerk"   // may do to BusinessRelays of acme's namespace what he likes, and nothing else
	globexClerk = "globex-clerk"
	operator    = "system:serviceaccount:" + lab.Namespace + ":relaykeep-manager"
	acmeAccount = "system:serviceaccount:acme:acme-relay"
	admin       = "" // the cluster's
)

// usersYAML gives each business's admin and clerk their rights.
const usersYAML = `
apiVersion: rbac.authorization.k8s.io/v1
kind: RoleBinding
metadata: {name: attack-admin, namespace: %[1]s}
roleRef: {apiGroup: rbac.authorization.k8s.io, kind: ClusterRole, name: admin}
subjects: [{apiGroup: rbac.authorization.k8s.io, kind: User, name: %[1]s-admin}]
---
apiVersion: rbac.authorization.k8s.io/v1
kind: Role
metadata: {name: attack-clerk, namespace: %[1]s}
rules: [{apiGroups: [relaykeep.dev], resources: [businessrelays], verbs: [get, list, create, update, patch, delete]}]
---
apiVersion: rbac.authorization.k8s.io/v1
kind: RoleBinding
metadata: {name: attack-clerk, namespace: %[1]s}
roleRef: {apiGroup: rbac.authorization.k8s.io, kind: Role, name: attack-clerk}
subjects: [{apiGroup: rbac.authorization.k8s.io, kind: User, name: %[1]s-clerk}]
`

// secretYAML is a Secret, and an account that is no relay's.
const secretYAML = `
{apiVersion: v1, kind: Secret, metadata: {name: attack, namespace: %[1]s}, stringData: {password: attack}}
---
{apiVersion: v1, kind: ServiceAccount, metadata: {name: attack, namespace: %[1]s}}
`

func (s *Scene) makeUsers(ctx context.Context) error   { return s.apply(ctx, usersYAML) }
func (s *Scene) makeSecrets(ctx context.Context) error { return s.apply(ctx, secretYAML) }

// apply applies a manifest for each business, until Close.
func (s *Scene) apply(ctx context.Context, manifest string) error {
	for _, b := range []*lab.Business{lab.Acme, lab.Globex} {
		text := fmt.Sprintf(manifest, b.Name)
		s.undo = append(s.undo, func(ctx context.Context) error { return s.lab.Remove(ctx, text) })
		if _, err := s.lab.Apply(ctx, text); err != nil {
			return fmt.Errorf("preparing the namespace of %s: %w", b.Name, err)
		}
	}
	return nil
}

func (s *Scene) makeDataKeys(ctx context.Context) error {
	for _, b := range []*lab.Business{lab.Acme, lab.Globex} {
		for mount, keep := range map[string]map[*lab.Business]string{"transit": s.wrapped, "transit-settings": s.settings} {
			answer, err := s.root[b.Region].Logical().WriteWithContext(ctx, mount+"/datakey/wrapped/"+b.WrappingKey(), nil)
			if err != nil {
				return fmt.Errorf("making a data key of %s: %w", b.Name, err)
			}
			keep[b], _ = answer.Data["ciphertext"].(string)
		}
	}
	return nil
}

// What one may log in as at a Vault.
const (
	asRelay       = "relay"
	asJanitor     = "janitor"
	asCredentials = "credentials"
	asKeeper      = "keeper" // the region's, whichever business is named
)

// login is somebody's login at the Vault of a region.
type login struct {
	business *lab.Business
	as       string
	region   *lab.Region
}

func relayOf(b *lab.Business) login       { return login{b, asRelay, b.Region} }
func keeperOf(b *lab.Business) login      { return login{b, asKeeper, b.Region} }
func janitorOf(b *lab.Business) login     { return login{b, asJanitor, b.Region} }
func credentialsOf(b *lab.Business) login { return login{b, asCredentials, b.Region} }

// at is the same login at another region's Vault, by a token as that region's nodes get
// it for their own pods: a tenant among others there.
func (l login) at(r *lab.Region) login { l.region = r; return l }

// vault logs in at a region's Vault, or takes an earlier login.
func (s *Scene) vault(ctx context.Context, l login) (*api.Client, error) {
	if c := s.logins[l]; c != nil {
		return c, nil
	}
	token, err := s.token(ctx, l)
	if err != nil {
		return nil, err
	}
	c, err := s.lab.VaultLoginAs(ctx, l.region, roleOf(l.as, l.region), token)
	if err == nil {
		s.logins[l] = c
	}
	return c, err
}

// roleOf returns the role in a region's Vault.
func roleOf(as string, r *lab.Region) string {
	switch as {
	case asJanitor:
		return contract.RoleJanitor(r.Name)
	case asKeeper:
		return contract.RoleKeeper(r.Name)
	case asCredentials:
		return contract.RoleCredentials(r.Name)
	default:
		return contract.RoleRelay(r.Name)
	}
}

// audienceOf returns that of a role's tokens.
func audienceOf(as string, r *lab.Region) string {
	switch as {
	case asJanitor:
		return contract.AudienceJanitor(r.Name)
	case asKeeper:
		return contract.AudienceKeeper(r.Name)
	case asCredentials:
		return contract.AudienceCredentials(r.Name)
	default:
		return contract.AudienceRelay(r.Name)
	}
}

// token returns the token with which a business's relay, janitor or admin logs in.
// The relay's is the one that its node projected; nodes alone may ask for another.
func (s *Scene) token(ctx context.Context, l login) (string, error) {
	if l.as == asRelay && l.region == l.business.Region {
		return s.lab.RelayToken(ctx, l.business)
	}
	if l.as == asKeeper {
		return s.lab.NodeToken(ctx, lab.Namespace, contract.KeeperName(l.region.Name), audienceOf(l.as, l.region))
	}
	return s.lab.NodeToken(ctx, l.business.Name, l.business.Tenant(), audienceOf(l.as, l.region))
}

// as is a client of a user's; admin is the cluster's.
func (s *Scene) as(user string) (client.Client, error) {
	if user == admin {
		return s.lab.Client(), nil
	}
	groups := []string{"system:authenticated"}
	if strings.HasPrefix(user, "system:serviceaccount:") {
		groups = append(groups, "system:serviceaccounts")
	}
	return s.lab.As(user, groups...)
}

// Refusals.

// byVault is Vault's 403.
func byVault(err error) bool { return vaultStatus(err) == 403 }

// byVaultsRules is Vault's answer for what its policies or its roles forbid.
func byVaultsRules(err error) bool { return vaultStatus(err) == 400 || vaultStatus(err) == 403 }

func vaultStatus(err error) int {
	if refusal, ok := errors.AsType[*api.ResponseError](err); ok {
		return refusal.StatusCode
	}
	return 0
}

// byRBAC is the API server's refusal for want of rights.
func byRBAC(err error) bool {
	said := strings.Contains(err.Error(), "(Forbidden)") || strings.Contains(err.Error(), " is forbidden: User ") // by kubectl
	return (apierrors.IsForbidden(err) || said) &&
		!strings.Contains(err.Error(), "ValidatingAdmissionPolicy")
}

// byPolicy is the refusal of one of Relaykeep's admission policies.
func byPolicy(err error) bool {
	return strings.Contains(err.Error(), "ValidatingAdmissionPolicy 'relaykeep-")
}

// bySchema is the refusal of a rule of the kinds' own.
func bySchema(err error) bool { return apierrors.IsInvalid(err) }

// byNetwork is curl without a connection.
func byNetwork(err error) bool { return lab.CutOff(err) }

// conditionError is a condition that says no.
type conditionError struct{ reason, message string }

func (e conditionError) Error() string { return e.reason + ": " + e.message }

// byCondition is a condition with a reason.
func byCondition(reason string) refusal {
	return func(err error) bool {
		c, ok := errors.AsType[conditionError](err)
		return ok && c.reason == reason
	}
}

// pollFor is the patience with what has to come about on the cluster.
const pollFor = 60 * time.Second

// operatorPod finds the operator's pod.
func (s *Scene) operatorPod(ctx context.Context) (*corev1.Pod, error) {
	var pods corev1.PodList
	if err := s.lab.Client().List(ctx, &pods, client.InNamespace(lab.Namespace), client.MatchingLabels{"app.kubernetes.io/component": "manager"}); err != nil {
		return nil, fmt.Errorf("looking for the operator: %w", err)
	}
	for i := range pods.Items {
		if p := &pods.Items[i]; p.DeletionTimestamp == nil && p.Status.PodIP != "" {
			return p, nil
		}
	}
	return nil, errors.New("no operator runs")
}
