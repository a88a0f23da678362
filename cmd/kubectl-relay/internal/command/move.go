package command

import (
	"context"
	"errors"
	"fmt"
	"io"
	"os"
	"strings"
	"time"

	"github.com/hashicorp/vault/api"
	"github.com/spf13/cobra"
	corev1 "k8s.io/api/core/v1"
	apierrors "k8s.io/apimachinery/pkg/api/errors"
	"k8s.io/apimachinery/pkg/api/meta"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/cli-runtime/pkg/genericiooptions"
	"sigs.k8s.io/controller-runtime/pkg/client"

	"github.com/relaykeep/relaykeep/api/v1alpha1"
	"github.com/relaykeep/relaykeep/relay/retention"
	"github.com/relaykeep/relaykeep/relay/vault"
)

// moveFlags are the own flags of move.
type moveFlags struct {
	to         string
	back, yes  bool
	file       string
	timeout    time.Duration
	old, fresh vaultFlags // of the regions' Vaults
}

// vaultFlags say how the Vault of one region is reached.
type vaultFlags struct{ address, ca, tokenFile string }

func newMove(streams genericiooptions.IOStreams) *cobra.Command {
	var f moveFlags
	cmd := &cobra.Command{
		Use:   "move NAME --to-region REGION",
		Short: "Move a relay to another region, with all that it has",
		Long: `Move a relay to another DataRegion: stop it, carry its store, its identity and its credentials
to the new region in a file that only the new region's Vault can open, start it there, and
destroy what the old region has. Number, identity and sessions stay, no message is lost, and
none stays readable for longer. Customers' messages wait at the carrier meanwhile.

Both regions must have the same carrier domain, and each must name the other: the old one in
spec.moves.to, the new one in spec.moves.from. You need the verb move on both, the right to
change the relay and to forward ports to its pod, and an admin's login to both Vaults. The
token for the old region's Vault is in VAULT_TOKEN, ~/.vault-token or --vault-token-file; that
for the new one's in --to-vault-token-file, or the same if both are one Vault. Addresses and
CAs are the DataRegions', unless flags say otherwise; VAULT_ADDR is not used. If the relay's store
is in PostgreSQL, the new region has a server of its own, an empty database of the same name, and
its login in its Vault (docs/postgresql.md).

The file is written to this machine (--file), as large as the store, and removed at the end.
When something fails, run the command again, and it goes on; until the relay has been started
in the new region, --back starts it where it was. What is destroyed last stays destroyed.`,
		Example: `  # The cluster's admin lets relays move from eu to na
  kubectl patch dataregion eu --type merge -p '{"spec":{"moves":{"to":["na"]}}}'
  kubectl patch dataregion na --type merge -p '{"spec":{"moves":{"from":["eu"]}}}'

  export VAULT_TOKEN=...
  kubectl relay move acme -n acme --to-region na --to-vault-token-file na.token`,
		Args: oneRelay,
	}
	flags := cmd.Flags()
	flags.StringVar(&f.to, "to-region", "", "the DataRegion to move to")
	flags.BoolVar(&f.back, "back", false, "give the move up, and start the relay where it was")
	flags.BoolVar(&f.yes, "yes", false, "skip the confirmation prompt")
	flags.StringVar(&f.file, "file", "", "where the sealed file is kept meanwhile; default: NAME.NAMESPACE.age in this folder")
	flags.DurationVar(&f.timeout, "timeout", 10*time.Minute, "how long to wait for each step")
	for prefix, v := range map[string]*vaultFlags{"": &f.old, "to-": &f.fresh} {
		which := map[string]string{"": "old", "to-": "new"}[prefix]
		flags.StringVar(&v.address, prefix+"vault-address", "", "https URL of the "+which+" region's Vault, as this machine reaches it; default: the DataRegion's")
		flags.StringVar(&v.ca, prefix+"vault-ca", "", "PEM file with its CA certificates; default: the DataRegion's")
		flags.StringVar(&v.tokenFile, prefix+"vault-token-file", "", "file with a token of the "+which+" region's Vault")
	}
	cluster := newCluster(cmd)
	cmd.ValidArgsFunction = cluster.firstRelay()
	cmd.RunE = func(cmd *cobra.Command, args []string) error {
		if f.to == "" {
			return usage(cmd, "give the region to move to with --to-region")
		}
		k, namespace, err := cluster.connect()
		if err != nil {
			return err
		}
		if f.file == "" {
			f.file = args[0] + "." + namespace + ".age"
		}
		m := &move{moveFlags: f, streams: streams, cluster: cluster, k: k, namespace: namespace, name: args[0], begun: time.Now()}
		return m.run(cmd.Context())
	}
	return cmd
}

// move is one call of the command.
type move struct {
	moveFlags
	streams         genericiooptions.IOStreams
	cluster         *cluster
	k               client.Client
	namespace, name string
	begun           time.Time

	relay       *v1alpha1.BusinessRelay // as read last
	from, into  *v1alpha1.DataRegion
	here, there *vault.Client // an admin's, of the old and of the new region's Vault
}

// run leads the relay from the state that it is in to the next, up to the end.
func (m *move) run(ctx context.Context) error {
	if err := m.read(ctx); err != nil {
		return err
	}
	moving := m.relay.Spec.Moving
	switch {
	case moving == nil && string(m.relay.Spec.DataRegion) == m.to:
		m.sayf("Relay %s is in region %s; there is nothing to do.", m.name, m.to)
		return nil
	case moving == nil && m.back:
		m.sayf("Relay %s is in region %s and not on its way; there is nothing to give up.", m.name, m.relay.Spec.DataRegion)
		return nil
	case moving != nil && string(moving.To) != m.to:
		return fmt.Errorf("relay %s is already moving from %s to %s: finish that, or give it up with --to-region %s --back", m.name, moving.From, moving.To, moving.To)
	case moving != nil && moving.Settled && m.back:
		return fmt.Errorf("relay %s runs in region %s already, and cannot return: finish the move, without --back", m.name, moving.To)
	}
	if err := m.connect(); err != nil {
		return err
	}
	if m.back {
		return m.turnBack(ctx)
	}
	if moving == nil {
		if err := m.begin(ctx); err != nil {
			return err
		}
	}
	err := m.goOn(ctx)
	switch {
	case err == nil || m.relay.Spec.Moving == nil:
		return err
	case m.relay.Spec.Moving.Settled:
		return fmt.Errorf("%w; the relay runs in region %s, but region %s still has its keys: run the command again to destroy them", err, m.to, m.from.Name)
	}
	return fmt.Errorf("%w; the relay is stopped meanwhile: run the command again to go on, or with --back to start it in region %s", err, m.from.Name)
}

// goOn does what is left from the state that the relay is in.
func (m *move) goOn(ctx context.Context) error {
	if m.relay.Spec.DataRegion == m.relay.Spec.Moving.From {
		if err := m.leave(ctx); err != nil {
			return err
		}
	}
	if !m.relay.Spec.Moving.Settled {
		if err := m.arrive(ctx); err != nil {
			return err
		}
	}
	return m.finish(ctx)
}

func (m *move) sayf(format string, a ...any) { fmt.Fprintf(m.streams.Out, format+"\n", a...) }

// read reads the relay and the regions.
func (m *move) read(ctx context.Context) (err error) {
	if m.relay, err = findRelay(ctx, m.k, m.namespace, m.name); err != nil {
		return err
	}
	from := string(m.relay.Spec.DataRegion)
	if moving := m.relay.Spec.Moving; moving != nil {
		from = string(moving.From)
	}
	if m.from, err = readRegion(ctx, m.k, from); err != nil {
		return err
	}
	m.into, err = readRegion(ctx, m.k, m.to)
	return err
}

// connect logs in at both regions' Vaults.
func (m *move) connect() error {
	a, b := m.from.Spec.Vault, m.into.Spec.Vault
	if strings.TrimSuffix(a.Address, "/") == strings.TrimSuffix(b.Address, "/") && (a.KVMount == b.KVMount || a.TransitMount == b.TransitMount) {
		return fmt.Errorf("the regions %s and %s keep secrets or keys in the same mounts of one Vault, so that destroying the old ones would destroy the new ones: give each region mounts of its own", m.from.Name, m.into.Name)
	}
	token := os.Getenv(api.EnvVaultToken)
	if token == "" {
		token = savedToken()
	}
	login, err := m.old.login(m.from, token)
	if err != nil {
		return err
	}
	if m.here, err = vault.ForAdmin(login, regionMounts(login, m.from), m.namespace, v1alpha1.TenantName(m.name)); err != nil {
		return err
	}
	shared := ""
	if strings.TrimSuffix(a.Address, "/") == strings.TrimSuffix(b.Address, "/") {
		shared = login.Token()
	}
	if login, err = m.fresh.login(m.into, shared); err != nil {
		return err
	}
	m.there, err = vault.ForAdmin(login, regionMounts(login, m.into), m.namespace, v1alpha1.TenantName(m.name))
	return err
}

// login returns a client of a region's Vault. Token is used if no file has one.
func (f *vaultFlags) login(region *v1alpha1.DataRegion, token string) (*api.Client, error) {
	address, ca := region.Spec.Vault.Address, string(region.Spec.Vault.CABundle)
	if f.address != "" {
		address = f.address
	}
	if f.ca != "" {
		raw, err := os.ReadFile(f.ca)
		if err != nil {
			return nil, fmt.Errorf("reading the CA of region %s's Vault: %w", region.Name, err)
		}
		ca = string(raw)
	}
	if f.tokenFile != "" {
		raw, err := readSmall(f.tokenFile)
		if err != nil {
			return nil, fmt.Errorf("reading the token of region %s's Vault: %w", region.Name, err)
		}
		token = strings.TrimSpace(string(raw))
	}
	if token == "" {
		return nil, fmt.Errorf("no token for the Vault of region %s: give one with --vault-token-file (the old region's) or --to-vault-token-file (the new one's)", region.Name)
	}
	login, err := vaultAt(address, ca)
	if err != nil {
		return nil, err
	}
	login.SetToken(token)
	return login, nil
}

// readSmall reads a file that holds a token.
func readSmall(path string) ([]byte, error) {
	f, err := os.Open(path)
	if err != nil {
		return nil, err
	}
	raw, err := io.ReadAll(io.LimitReader(f, 64<<10))
	return raw, errors.Join(err, f.Close())
}

// change patches the relay. If it was changed meanwhile, the command can be run again.
func (m *move) change(ctx context.Context, edit func(*v1alpha1.BusinessRelaySpec), opts ...client.PatchOption) error {
	fresh := m.relay.DeepCopy()
	edit(&fresh.Spec)
	patch := client.MergeFromWithOptions(m.relay, client.MergeFromWithOptimisticLock{})
	err := m.k.Patch(ctx, fresh, patch, opts...)
	if apierrors.IsConflict(err) { // the operator writes, too: what we change, it does not
		current, readErr := findRelay(ctx, m.k, m.namespace, m.name)
		if readErr != nil {
			return readErr
		}
		if !sameMove(current, m.relay) {
			return fmt.Errorf("somebody else is moving relay %s: %w", m.name, err)
		}
		m.relay = current
		return m.change(ctx, edit, opts...)
	}
	if err != nil {
		return fmt.Errorf("changing BusinessRelay %s: %w", m.name, err)
	}
	if len(opts) == 0 {
		m.relay = fresh
	}
	return nil
}

// sameMove says whether two states of a relay are the same as far as its move goes.
func sameMove(a, b *v1alpha1.BusinessRelay) bool {
	if a.Spec.DataRegion != b.Spec.DataRegion || a.Spec.Moves != b.Spec.Moves || a.UID != b.UID || a.Spec.Suspend != b.Spec.Suspend {
		return false
	}
	if a.Spec.Moving == nil || b.Spec.Moving == nil {
		return a.Spec.Moving == b.Spec.Moving
	}
	return *a.Spec.Moving == *b.Spec.Moving
}

// begin looks whether the move can be made, and stops the relay.
func (m *move) begin(ctx context.Context) error {
	if err := m.check(ctx); err != nil {
		return fmt.Errorf("nothing was changed: %w", err)
	}
	start := func(s *v1alpha1.BusinessRelaySpec) {
		s.Suspend = true
		s.Moving = &v1alpha1.Moving{From: s.DataRegion, To: v1alpha1.ObjectName(m.to), CarrierDomain: m.from.Spec.Carrier.XMPP.Domain}
	}
	if err := m.change(ctx, start, client.DryRunAll); err != nil {
		return fmt.Errorf("nothing was changed: %w", err)
	}
	consequence := fmt.Sprintf("Relay %s of namespace %s stops for some minutes, and then runs in region %s; its keys in region %s are destroyed.", m.name, m.namespace, m.to, m.from.Name)
	if !m.yes && !confirmed(m.streams, m.name, consequence) {
		return errors.New("nothing was changed: the name was not confirmed")
	}
	m.begun = time.Now()
	return m.change(ctx, start)
}

// arrive has the new region's relay take the file in, and starts it.
func (m *move) arrive(ctx context.Context) error {
	if err := m.bring(ctx); err != nil {
		return err
	}
	m.sayf("The store has arrived in region %s and opens.", m.to)
	return m.change(ctx, func(s *v1alpha1.BusinessRelaySpec) { s.Suspend, s.Moving.Settled = false, true })
}

// finish waits until the relay works in the new region, and destroys what the old one has.
func (m *move) finish(ctx context.Context) error {
	if err := m.awaitKeys(ctx); err != nil {
		return err
	}
	m.sayf("The relay runs in region %s, %s after the move began.", m.to, time.Since(m.begun).Round(time.Second))
	if err := m.vaultsAreRight(ctx, m.here, m.there, m.from.Name, hasArrival); err != nil {
		return err
	}
	erased, err := retention.Erase(ctx, m.here, nil)
	if err != nil {
		return explainErase(err)
	}
	m.sayf("Destroyed the keys and %d secrets in region %s.", erased.Secrets, m.from.Name)
	noteReceipt(m.streams.ErrOut, erased, m.from.Name)
	if err := m.deleteClaim(ctx, m.from.Name); err != nil {
		return err
	}
	m.sayOfDatabase(m.from.Name)
	if err := m.there.EndArrival(ctx); err != nil {
		return fmt.Errorf("destroying the key of the sealed file: %w", err)
	}
	if err := m.change(ctx, func(s *v1alpha1.BusinessRelaySpec) { s.Moving = nil }); err != nil {
		return err
	}
	m.removeFile()
	m.sayf("Relay %s has moved to region %s. If a tool such as Argo CD or Flux applies the object, set dataRegion to %s and moves to %d at its source.", m.name, m.to, m.to, m.relay.Spec.Moves)
	if url := m.relay.Status.Endpoint.URL; url != "" {
		m.sayf("Its programs reach it at %s; see kubectl relay credentials %s -n %s.", url, m.name, m.namespace)
	}
	m.sayf("Its log goes on, signed by that region's key: keep what kubectl relay log key %s -n %s prints beside the former key, and add it at a witness (relay witness add).", m.name, m.namespace)
	return nil
}

// turnBack starts the relay where it was, and destroys what came into the new region.
func (m *move) turnBack(ctx context.Context) error {
	if m.relay.Spec.DataRegion != m.relay.Spec.Moving.From {
		err := m.change(ctx, func(s *v1alpha1.BusinessRelaySpec) {
			s.DataRegion = s.Moving.From
			s.Moves--
		})
		if err != nil {
			return err
		}
	}
	if err := m.awaitPodIn(ctx, m.from.Name); err != nil {
		return err
	}
	if err := m.vaultsAreRight(ctx, m.there, m.here, m.to, hasDeparture); err != nil {
		return err
	}
	erased, err := retention.Erase(ctx, m.there, nil)
	if err != nil {
		return explainErase(err)
	}
	noteReceipt(m.streams.ErrOut, erased, m.to)
	if err := m.there.EndArrival(ctx); err != nil {
		return fmt.Errorf("destroying the key of the sealed file: %w", err)
	}
	if err := m.here.ForgetDeparture(ctx); err != nil {
		return fmt.Errorf("taking back what allowed the move: %w", err)
	}
	if err := m.deleteClaim(ctx, m.to); err != nil {
		return err
	}
	m.sayOfDatabase(m.to)
	if err := m.change(ctx, func(s *v1alpha1.BusinessRelaySpec) { s.Suspend, s.Moving = false, nil }); err != nil {
		return err
	}
	m.removeFile()
	if err := m.awaitKeys(ctx); err != nil {
		return err
	}
	m.sayf("Relay %s runs in region %s, as before.", m.name, m.from.Name)
	return nil
}

// hasArrival and hasDeparture say whether a Vault holds what only the new or only the old region's does.
func hasArrival(ctx context.Context, c *vault.Client) error {
	_, err := c.Arrival(ctx)
	return err
}

func hasDeparture(ctx context.Context, c *vault.Client) error {
	_, err := c.Departure(ctx)
	return err
}

// vaultsAreRight looks, before everything in one Vault is erased, whether flags did not lead to the other: that one holds
// what the relay goes on with, and a record that this one must not have.
func (m *move) vaultsAreRight(ctx context.Context, erased, kept *vault.Client, region string, record func(context.Context, *vault.Client) error) error {
	holds, err := kept.HoldsMore(ctx)
	if err != nil {
		return fmt.Errorf("looking at the Vault that keeps the relay's keys: %w", err)
	}
	err = record(ctx, erased)
	if err != nil && !errors.Is(err, vault.ErrNotFound) {
		return fmt.Errorf("looking at the Vault of region %s: %w", region, err)
	}
	if !holds || err == nil {
		return fmt.Errorf("the Vault that was given for region %s is the other region's: check the addresses and tokens of both", region)
	}
	return nil
}

func (m *move) removeFile() {
	if err := os.Remove(m.file); err != nil && !errors.Is(err, os.ErrNotExist) {
		fmt.Fprintf(m.streams.ErrOut, "note: %s could not be removed; nothing can open it any more\n", m.file)
	}
}

// deleteClaim deletes the relay's claim in its other region.
func (m *move) deleteClaim(ctx context.Context, region string) error {
	claim := &corev1.PersistentVolumeClaim{}
	name := v1alpha1.OtherClaimName(m.relay)
	err := m.k.Get(ctx, client.ObjectKey{Namespace: m.namespace, Name: name}, claim)
	switch {
	case apierrors.IsNotFound(err):
		return nil
	case err != nil:
		return explain(err, "claim "+name, "")
	case claim.Labels[v1alpha1.LabelRegion] != region || claim.Labels[v1alpha1.LabelInstance] != m.name:
		return fmt.Errorf("claim %s is not the relay's in region %s: look at it, and delete it if nothing needs it", name, region)
	}
	before := claim.DeepCopy()
	metav1.SetMetaDataAnnotation(&claim.ObjectMeta, v1alpha1.AnnotationAllowDeletion, "true")
	if err := m.k.Patch(ctx, claim, client.MergeFrom(before)); err != nil {
		return fmt.Errorf("deleting claim %s: %w", name, err)
	}
	if err := client.IgnoreNotFound(m.k.Delete(ctx, claim)); err != nil {
		return fmt.Errorf("deleting claim %s: %w", name, err)
	}
	m.sayf("Deleted claim %s.", name)
	return nil
}

// sayOfDatabase says what is left of a store in PostgreSQL in a region that has nothing of the relay any more.
func (m *move) sayOfDatabase(region string) {
	if p := m.relay.Spec.Storage.Postgres; p != nil {
		m.sayf("What database %s of region %s still holds cannot be read any more, and its login is gone from Vault: drop the database there.", p.Database, region)
	}
}

// awaitKeys waits until the relay has opened its keys where it is.
func (m *move) awaitKeys(ctx context.Context) error {
	last := "the operator has not reported yet"
	err := m.wait(ctx, func(ctx context.Context) (bool, error) {
		relay, err := findRelay(ctx, m.k, m.namespace, m.name)
		if err != nil {
			return false, err
		}
		c := meta.FindStatusCondition(relay.Status.Conditions, v1alpha1.ConditionKeysReady)
		if c == nil || relay.Status.ObservedGeneration != relay.Generation {
			return false, nil
		}
		last = c.Reason + ": " + c.Message
		if c.Status == metav1.ConditionTrue {
			m.relay = relay
		}
		return c.Status == metav1.ConditionTrue, nil
	})
	if errors.Is(err, errWaited) {
		return fmt.Errorf("the relay does not work in region %s after %s: KeysReady is %s", m.relay.Spec.DataRegion, m.timeout, last)
	}
	return err
}

// errWaited means that something did not come about in time.
var errWaited = errors.New("it took too long")

// waitEvery is how often something is looked at that is waited for.
const waitEvery = 500 * time.Millisecond

// wait asks until the answer is yes.
func (m *move) wait(ctx context.Context, ask func(context.Context) (bool, error)) error {
	limited, cancel := context.WithTimeout(ctx, m.timeout)
	defer cancel()
	for {
		done, err := ask(limited)
		if done || err != nil && limited.Err() == nil {
			return err
		}
		select {
		case <-limited.Done():
			if ctx.Err() != nil {
				return ctx.Err()
			}
			return errWaited
		case <-time.After(waitEvery):
		}
	}
}
