//go:build e2e

package e2e

import (
	"context"
	"crypto/rand"
	"errors"
	"fmt"
	"net"
	"slices"
	"strings"
	"testing"
	"time"

	appsv1 "k8s.io/api/apps/v1"
	corev1 "k8s.io/api/core/v1"
	policyv1 "k8s.io/api/policy/v1"
	apierrors "k8s.io/apimachinery/pkg/api/errors"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/types"
	"sigs.k8s.io/controller-runtime/pkg/client"

	"github.com/relaykeep/relaykeep/api/contract"
	"github.com/relaykeep/relaykeep/api/v1alpha1"
	"github.com/relaykeep/relaykeep/relay/customer"
	"github.com/relaykeep/relaykeep/relay/phone"
	"github.com/relaykeep/relaykeep/relay/webhook/webhooktest"
	"github.com/relaykeep/relaykeep/test/customers"
	"github.com/relaykeep/relaykeep/test/lab"
	"github.com/relaykeep/relaykeep/test/services/postgres"
)

// carrierOf is a region's Prosody, for customers' clients.
type carrierOf struct{ *lab.Region }

func (c carrierOf) Where() (domain, addr string, ca []byte) {
	return c.Domain, environment.ProsodyAddress(c.Region), []byte(environment.Authority())
}

// replicated is a relay on its way from a volume to replicas.
type replicated struct {
	*lab.Business
	t        *testing.T
	database lab.Database
	store    postgres.Database
	people   []*customers.Client
	inbox    *lab.Inbox
}

// TestReplicas moves a relay from its volume into PostgreSQL in the midst of a conversation, gives it replicas, and
// replaces, deletes and kills these while both sides write.
func TestReplicas(t *testing.T) {
	r := newReplicated(t)
	step := func(name string, do func(*testing.T)) {
		t.Helper()
		if !t.Run(name, do) {
			t.FailNow() // what follows builds on this
		}
	}
	step("the relay moves with its sessions", r.testMove)
	step("replicas run apart", r.testSpread)
	step("the network lets replicas reach each other and nothing more", r.testNetwork)
	step("a role reads no other database", r.testRoles)
	load := r.startLoad()
	step("an update refuses nothing", func(t *testing.T) { r.testUpdate(t, load) })
	step("a drain ends one at a time and refuses nothing", func(t *testing.T) { r.testDrain(t, load) })
	step("deleting the holder refuses nothing", func(t *testing.T) { r.testDeletion(t, load) })
	step("another takes over from a holder that was killed", func(t *testing.T) { r.testKill(t, load) })
	load.stop()
	step("nothing is lost or doubled", func(t *testing.T) { r.testCounts(t, load) })
}

// newReplicated makes the business and its database. For the time of the test both nodes are of its region.
func newReplicated(t *testing.T) *replicated {
	t.Helper()
	r := newGuest(t)
	moveNode(t, "na-1", "na", r.Region.Name)
	var err error
	r.database, err = environment.StartDatabase(within(t), r.Region)
	check(t, err)
	t.Cleanup(func() { check(t, r.database.End()) })
	r.store, err = r.database.NewDatabase(within(t))
	check(t, err)
	t.Cleanup(func() { check(t, environment.Equip(withoutTest(), r.Region, nil, nil)) })
	check(t, environment.Equip(within(t), r.Region, r.Business, func(s *v1alpha1.DataRegionSpec) { s.Postgres = r.database.Postgres() }))
	r.host(6)
	return r
}

// newGuest is a business for one test, whose relay is not there yet. Its number is its own: the carrier may remember an
// account that was not taken back.
func newGuest(t *testing.T) *replicated {
	t.Helper()
	business := *lab.Initrode
	business.Number = guestNumber(t)
	return &replicated{Business: &business, t: t}
}

// host brings the business's relay up until the test ends, and so many people who can write to it.
func (r *replicated) host(people int) {
	t := r.t
	t.Helper()
	t.Cleanup(func() { check(t, environment.Dismiss(withoutTest(), r.Business)) })
	check(t, environment.Host(within(t), r.Business))
	var err error
	r.inbox, err = environment.OpenInbox(r.Business)
	check(t, err)
	for range people {
		r.people = append(r.people, customers.Start(t, carrierOf{r.Region}, personNumber(t)))
	}
}

// moveNode labels a node as one of another region until the test ends. What runs there stays.
func moveNode(t *testing.T, name, from, to string) {
	t.Helper()
	label := func(ctx context.Context, region string) error {
		patch := client.RawPatch(types.MergePatchType, fmt.Appendf(nil, `{"metadata":{"labels":{%q:%q}}}`, v1alpha1.LabelNodeRegion, region))
		return environment.Client().Patch(ctx, &corev1.Node{ObjectMeta: metav1.ObjectMeta{Name: name}}, patch)
	}
	t.Cleanup(func() {
		check(t, label(withoutTest(), from))
		ctx, cancel := context.WithTimeout(withoutTest(), patience)
		defer cancel()
		_, err := environment.WaitCondition(ctx, lab.Globex.Relay(), v1alpha1.ConditionReady, metav1.ConditionTrue)
		check(t, err)
	})
	check(t, label(within(t), to))
}

func (r *replicated) Phone() phone.Number {
	r.t.Helper()
	n, err := phone.Parse(r.Number)
	check(r.t, err)
	return n
}

// Hide is for what only the business may have; TestStory looks for traces.
func (*replicated) Hide(...string) {}

// patch changes the BusinessRelay.
func (r *replicated) patch(t *testing.T, spec string) {
	t.Helper()
	check(t, environment.Client().Patch(within(t), r.Relay(), client.RawPatch(types.MergePatchType, []byte(`{"spec":`+spec+`}`))))
}

// converse lets each customer ask and the business answer.
func (r *replicated) converse(t *testing.T, mark string) {
	t.Helper()
	c, err := environment.EndpointClient(within(t), r.Business)
	check(t, err)
	known, err := environment.Credentials(r.Business)
	check(t, err)
	for i, p := range r.people {
		question := fmt.Sprintf("%s, asks customer %d", mark, i)
		p.Says(r, question)
		_, err := r.inbox.Wait(within(t), "the customer's question", func(m webhooktest.Update) bool { return m.Text == question })
		check(t, err)
		answer := fmt.Sprintf("%s, customer %d is answered", mark, i)
		if status, got := (asked{known.PhoneNumberID, known.AccessToken, textTo(p, answer)}).post(t, known.Endpoint, c); status != 200 {
			t.Fatalf("the business's answer is refused: %d %+v", status, got)
		}
		if n := p.Sees(answer); n != 1 {
			t.Errorf("the customer saw the answer %d times", n)
		}
	}
}

func textTo(p *customers.Client, text string) string {
	return fmt.Sprintf(`{"messaging_product":"whatsapp","to":%q,"type":"text","text":{"body":%q}}`, p.Number.E164(), text)
}

// testMove does what docs/postgresql.md says of moving, in the midst of a conversation.
func (r *replicated) testMove(t *testing.T) {
	mark := rand.Text()[:6]
	r.converse(t, "Before the move "+mark)
	before := r.status(t)
	check(t, environment.Suspend(within(t), r.Business))
	r.people[0].Says(r, "During the move "+mark)
	r.patch(t, fmt.Sprintf(`{"storage":{"postgres":{"database":%q}}}`, r.store.Name))
	check(t, environment.PutLogin(within(t), r.Business, r.store))
	check(t, environment.Resume(within(t), r.Business))
	_, err := r.inbox.Wait(within(t), "what was written during the move", func(m webhooktest.Update) bool { return m.Text == "During the move "+mark })
	check(t, err)
	r.converse(t, "After the move "+mark)
	if after := r.status(t); after.Identity != before.Identity || after.Endpoint != before.Endpoint {
		t.Error("the identity is another after the move")
	}
	log := kubectl(t, "logs", "-n", r.Name, r.Tenant()+"-0")
	contains(t, log, "moved the store into the database")
	for _, word := range []string{"session", "repair"} {
		if strings.Contains(log, word) {
			t.Errorf("the relay started new sessions:\n%s", log)
		}
	}
	r.readable(t)
}

// readable wants everything that any customer or the business got to be readable, under the identity that is known.
func (r *replicated) readable(t *testing.T) {
	t.Helper()
	for i, p := range r.people {
		if p.Has(func(e customer.Event) bool { return e.Kind == customer.Unreadable || e.IdentityChanged }) {
			t.Errorf("customer %d got what could not be read, or another identity", i)
		}
	}
	all, err := r.inbox.Messages()
	check(t, err)
	for _, m := range all {
		if m.Type == "unsupported" {
			t.Error("the business was told of a message that could not be read")
		}
	}
}

func (r *replicated) status(t *testing.T) v1alpha1.BusinessRelayStatus {
	t.Helper()
	relay := r.Relay()
	check(t, environment.Client().Get(within(t), key(relay), relay))
	return relay.Status
}

// testSpread lets go of the volume and asks for a second replica.
func (r *replicated) testSpread(t *testing.T) {
	r.patch(t, `{"replicas":2}`)
	kubectl(t, "annotate", "pvc", r.Tenant(), "-n", r.Name, "relaykeep.dev/allow-deletion=true")
	kubectl(t, "delete", "pvc", r.Tenant(), "-n", r.Name, "--timeout=90s")
	pods := r.rolledOut(t)
	if pods[0].Spec.NodeName == pods[1].Spec.NodeName {
		t.Errorf("both replicas run on node %s", pods[0].Spec.NodeName)
	}
	_, err := environment.WaitCondition(within(t), r.Relay(), v1alpha1.ConditionReady, metav1.ConditionTrue)
	check(t, err)
	budget := &policyv1.PodDisruptionBudget{ObjectMeta: metav1.ObjectMeta{Namespace: r.Name, Name: r.Tenant()}}
	check(t, lab.Poll(within(t), func(ctx context.Context) error {
		if err := environment.Client().Get(ctx, key(budget), budget); err != nil {
			return err
		}
		if s := budget.Status; s.ExpectedPods != 2 || s.DisruptionsAllowed != 1 {
			return fmt.Errorf("of %d pods %d may be disrupted", s.ExpectedPods, s.DisruptionsAllowed)
		}
		return nil
	}))
}

// rolledOut waits until both replicas are of the latest revision and ready, and returns them.
func (r *replicated) rolledOut(t *testing.T) (pods []corev1.Pod) {
	t.Helper()
	set := &appsv1.StatefulSet{ObjectMeta: metav1.ObjectMeta{Namespace: r.Name, Name: r.Tenant()}}
	check(t, lab.Poll(within(t), func(ctx context.Context) (err error) {
		relay := r.Relay()
		if err := errors.Join(environment.Client().Get(ctx, key(set), set), environment.Client().Get(ctx, key(relay), relay)); err != nil {
			return err
		}
		s := set.Status
		if relay.Status.ObservedGeneration != relay.Generation || s.ObservedGeneration != set.Generation ||
			s.UpdateRevision != s.CurrentRevision || s.Replicas != 2 || s.UpdatedReplicas != 2 || s.ReadyReplicas != 2 {
			return fmt.Errorf("of %d replicas %d are updated and %d ready", s.Replicas, s.UpdatedReplicas, s.ReadyReplicas)
		}
		if pods, err = environment.RelayPods(ctx, r.Business); err == nil && len(pods) != 2 {
			err = fmt.Errorf("there are %d pods", len(pods))
		}
		return err
	}))
	return pods
}

// holder returns the pod that holds the store, and another.
func (r *replicated) holder(t *testing.T) (holder, other *corev1.Pod) {
	t.Helper()
	check(t, lab.Poll(within(t), func(ctx context.Context) error {
		at, err := r.database.Holder(ctx, r.store.Name)
		if err != nil {
			return err
		}
		pods, err := environment.RelayPods(ctx, r.Business)
		if err != nil {
			return err
		}
		holder, other = nil, nil
		for i := range pods {
			if net.JoinHostPort(pods[i].Status.PodIP, fmt.Sprint(contract.EndpointPort)) == at {
				holder = &pods[i]
			} else {
				other = &pods[i]
			}
		}
		if holder == nil || other == nil {
			return fmt.Errorf("%s is the holder, of %d pods", at, len(pods))
		}
		return nil
	}))
	return holder, other
}

// testNetwork looks who reaches the replicas and their database. Who is cut off is so beside somebody who is not.
func (r *replicated) testNetwork(t *testing.T) {
	holder, other := r.holder(t)
	stranger, err := environment.RelayPod(within(t), lab.Acme)
	check(t, err)
	gateway, err := environment.EdgePod(within(t))
	check(t, err)
	endpoint := func(p *corev1.Pod) string {
		return "https://" + net.JoinHostPort(p.Status.PodIP, fmt.Sprint(contract.EndpointPort))
	}
	status := "http://" + net.JoinHostPort(holder.Status.PodIP, fmt.Sprint(contract.StatusPort))
	database := "https://" + r.database.Addr // which speaks something else, once it is reached
	call := func(from *corev1.Pod, url string) error {
		_, err := environment.From(within(t), from, "curl", "-sS", "-k", "--max-time", "4", "-o", "/dev/null", url)
		return err
	}
	for _, way := range []struct {
		name  string
		from  *corev1.Pod
		url   string
		opens bool
	}{
		{"a replica to the other's endpoint", other, endpoint(holder), true},
		{"the holder to the other's endpoint", holder, endpoint(other), true},
		{"the gateway to a replica's endpoint", gateway, endpoint(other), true},
		{"a replica to its database", other, database, true},
		{"a replica to the other's status", other, status, false},
		{"another business's relay to a replica's endpoint", stranger, endpoint(other), false},
		{"another business's relay to the holder's endpoint", stranger, endpoint(holder), false},
		{"another business's relay to the database", stranger, database, false},
		{"a replica to another business's relay", other, endpoint(stranger), false},
	} {
		if !way.opens {
			if err := call(way.from, way.url); !lab.CutOff(err) {
				t.Errorf("%s: it is not cut off: %v", way.name, err)
			}
			continue
		}
		check(t, lab.Poll(within(t), func(context.Context) error {
			if err := call(way.from, way.url); lab.CutOff(err) {
				return fmt.Errorf("%s: %w", way.name, err)
			}
			return nil
		}))
	}
}

// testRoles tries to read the relay's database as another business's role.
func (r *replicated) testRoles(t *testing.T) {
	thief, err := r.database.NewDatabase(within(t))
	check(t, err)
	const rows = "SELECT count(*) FROM relaykeep.messages"
	for _, attempt := range []struct{ database, text string }{
		{r.store.Name, rows},
		{thief.Name, "SET ROLE " + r.store.Name},
		{postgres.Superuser, "COPY (SELECT 1) TO PROGRAM 'id'"},
	} {
		if _, err := thief.Query(within(t), attempt.database, attempt.text); err == nil || !strings.Contains(err.Error(), "42501") { // insufficient_privilege
			t.Errorf("another business's role may %s in %s: %v", attempt.text, attempt.database, err)
		}
	}
	if found, err := r.store.Query(within(t), r.store.Name, rows); err != nil || found[0][0] == "0" {
		t.Errorf("the rightful role reads %v, %v", found, err)
	}
}

// startLoad has both sides write until the load is stopped.
func (r *replicated) startLoad() *load {
	r.t.Helper()
	c, err := environment.EndpointClient(within(r.t), r.Business)
	check(r.t, err)
	fresh, err := environment.EndpointClient(within(r.t), r.Business)
	check(r.t, err)
	known, err := environment.Credentials(r.Business)
	check(r.t, err)
	return startLoad(r.t, r.people, r.Phone(), known, c, fresh)
}

// testUpdate changes something that restarts each replica.
func (r *replicated) testUpdate(t *testing.T, load *load) {
	before, _ := r.holder(t)
	load.begin()
	begun := time.Now()
	r.patch(t, `{"throughput":100}`)
	pods := r.rolledOut(t)
	if slices.ContainsFunc(pods, func(p corev1.Pod) bool { return p.UID == before.UID }) {
		t.Error("the former holder runs still")
	}
	load.refusedNothing(t, time.Since(begun))
	if pods[0].Spec.NodeName == pods[1].Spec.NodeName {
		t.Errorf("both replicas run on node %s", pods[0].Spec.NodeName)
	}
}

// testDrain evicts the holder, as draining its node does, and at once tries to evict the other.
func (r *replicated) testDrain(t *testing.T, load *load) {
	holder, other := r.holder(t)
	evict := func(p *corev1.Pod) error {
		return environment.Client().SubResource("eviction").Create(within(t), p, &policyv1.Eviction{ObjectMeta: metav1.ObjectMeta{Namespace: p.Namespace, Name: p.Name}})
	}
	load.begin()
	begun := time.Now()
	check(t, evict(holder))
	if err := evict(other); !apierrors.IsTooManyRequests(err) {
		t.Errorf("the other may be evicted, too: %v", err)
	}
	if now, _ := r.holder(t); now.UID == holder.UID {
		t.Error("the store's holder is the one that was evicted")
	}
	r.rolledOut(t)
	load.refusedNothing(t, time.Since(begun))
}

func (r *replicated) testDeletion(t *testing.T, load *load) {
	holder, _ := r.holder(t)
	load.begin()
	begun := time.Now()
	kubectl(t, "delete", "pod", holder.Name, "-n", r.Name, "--timeout=60s")
	r.rolledOut(t)
	load.refusedNothing(t, time.Since(begun))
}

// testKill kills the holder's process without a word.
func (r *replicated) testKill(t *testing.T, load *load) {
	holder, _ := r.holder(t)
	check(t, environment.KillRelay(within(t), holder))
	begun := time.Now()
	load.begin()
	check(t, lab.Poll(within(t), func(context.Context) error { return load.answeredAgain() }))
	took, cuts := load.takeover(begun)
	t.Logf("requests were answered again %s after the kill; %s", took.Round(time.Millisecond), cuts)
	if took > 15*time.Second {
		t.Errorf("taking over took %s", took)
	}
	r.rolledOut(t)
	_, err := environment.WaitCondition(within(t), r.Relay(), v1alpha1.ConditionReady, metav1.ConditionTrue)
	check(t, err)
}

// testCounts counts at both ends what was accepted.
func (r *replicated) testCounts(t *testing.T, load *load) {
	for text, message := range load.accepted {
		if n := r.people[message.to].Sees(text); n != 1 {
			t.Errorf("a customer saw a message %d times", n)
		}
	}
	check(t, lab.Poll(within(t), func(context.Context) error { return r.told(load) }))
	all, err := r.inbox.Messages()
	check(t, err)
	ids := map[string]map[string]bool{}
	for _, m := range all {
		if m.Type == "text" {
			if ids[m.Text] == nil {
				ids[m.Text] = map[string]bool{}
			}
			ids[m.Text][m.ID] = true
		}
	}
	for text := range ids {
		if n := len(ids[text]); n != 1 {
			t.Errorf("the business has a message as %d", n)
		}
	}
	t.Logf("%d messages to customers and %d to the business, each once", len(load.accepted), len(load.written))
	r.readable(t)
}

// told says whether the business was told of each message of either side.
func (r *replicated) told(load *load) error {
	all, err := r.inbox.Messages()
	if err != nil {
		return err
	}
	texts, sent := map[string]bool{}, map[string]bool{}
	for _, m := range all {
		if m.Type == "text" {
			texts[m.Text] = true
		}
		if m.Status == "delivered" || m.Status == "read" {
			sent[m.ID] = true
		}
		if m.Status == "failed" {
			return lab.Final(errors.New("a message failed"))
		}
	}
	missing := 0
	for _, text := range load.written {
		if !texts[text] {
			missing++
		}
	}
	for _, message := range load.accepted {
		if !sent[message.id] {
			missing++
		}
	}
	if missing > 0 {
		return fmt.Errorf("the business was not told of %d messages or statuses", missing)
	}
	return nil
}
