//go:build e2e

package upgrade

import (
	"bytes"
	"context"
	"crypto/rand"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net/http"
	"slices"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
	apierrors "k8s.io/apimachinery/pkg/api/errors"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"sigs.k8s.io/controller-runtime/pkg/client"

	"github.com/relaykeep/relaykeep/api/v1alpha1"
	"github.com/relaykeep/relaykeep/relay/webhook/webhooktest"
	"github.com/relaykeep/relaykeep/test/lab"
)

// before is what must be the same afterwards.
type before struct {
	known    lab.Credentials
	identity string   // as it lies in Vault
	objects  []string // kind, name and UID
}

// TestInstallation_UpgradesInPlace upgrades a relay in the midst of a conversation, with
// a message that its webhook did not take yet, beside a relay that was deleted and left
// its janitor behind.
func TestInstallation_UpgradesInPlace(t *testing.T) {
	mark := rand.Text()[:6]
	asked, answered, waiting, later := "Asked before "+mark, "Answered before "+mark, "Waiting "+mark, "Asked after "+mark
	inbox, err := former.OpenInbox(lab.Acme)
	check(t, err)
	customer := former.Customer() // who upgrades nothing

	converse(t, customer, inbox, asked, answered)
	webhook := former.WebhookAway(lab.Acme)
	check(t, webhook.Begin(within(t)))
	t.Cleanup(func() { check(t, webhook.Restore(context.Background())) })
	chat, err := customer.Say(within(t), lab.Acme, waiting, 0)
	check(t, err)
	check(t, chat.Wait(within(t)))
	stored(t, 3)
	leaveBehind(t, lab.Globex)
	was := look(t, former)
	leftBehind := objects(t, lab.Globex)

	check(t, current.Upgrade(within(t), former))

	check(t, current.Runs(within(t), lab.Acme))
	check(t, webhook.Restore(within(t)))
	_, err = current.WaitCondition(within(t), lab.Acme.Relay(), v1alpha1.ConditionReady, metav1.ConditionTrue)
	check(t, err)
	t.Run("nothing was made again", func(t *testing.T) {
		for _, o := range append(was.objects, leftBehind...) {
			if now := append(objects(t, lab.Acme), objects(t, lab.Globex)...); !slices.Contains(now, o) {
				t.Errorf("%s is gone, there are\n%s", o, strings.Join(now, "\n"))
			}
		}
	})
	t.Run("identity and credentials are the same", func(t *testing.T) {
		is := look(t, current)
		if diff := cmp.Diff(was.known, is.known); diff != "" {
			t.Error("the credentials are others") // and not to be printed
		}
		if is.identity != was.identity {
			t.Error("the identity is another")
		}
	})
	t.Run("what waited arrives once", func(t *testing.T) { arrives(t, inbox, waiting) })
	t.Run("what was said can be read", func(t *testing.T) {
		said, err := request(within(t), was.known, http.MethodGet, "customers/"+customer.Digits(), "")
		check(t, err)
		for _, text := range []string{asked, answered, waiting} {
			if !strings.Contains(said, text) {
				t.Errorf("the customer's export does not contain %q", text)
			}
		}
	})
	t.Run("the conversation goes on", func(t *testing.T) { converse(t, customer, inbox, later, "Answered after "+mark) })
	t.Run("janitors go on", func(t *testing.T) {
		for _, b := range []*lab.Business{lab.Acme, lab.Globex} {
			result, err := current.RunJanitor(within(t), b, 0)
			check(t, err)
			if !result.Succeeded || result.LatestVersion < 1 {
				t.Errorf("the janitor of %s reports %+v", b.Name, result)
			}
		}
	})
	t.Run("relays outlive the operator, and another takes them over", func(t *testing.T) {
		pod, err := current.RelayPod(within(t), lab.Acme)
		check(t, err)
		made := append(objects(t, lab.Acme), objects(t, lab.Globex)...)
		check(t, current.Uninstall(within(t)))
		converse(t, customer, inbox, "Asked without "+mark, "Answered without "+mark)
		check(t, current.Install(within(t)))
		_, err = current.WaitCondition(within(t), lab.Acme.Relay(), v1alpha1.ConditionReady, metav1.ConditionTrue)
		check(t, err)
		if now := append(objects(t, lab.Acme), objects(t, lab.Globex)...); !slices.Equal(now, made) {
			t.Errorf("there were\n%s\nand are\n%s", strings.Join(made, "\n"), strings.Join(now, "\n"))
		}
		next, err := current.RelayPod(within(t), lab.Acme)
		check(t, err)
		if next.UID != pod.UID {
			t.Error("the relay was restarted")
		}
		converse(t, customer, inbox, "Asked again "+mark, "Answered again "+mark)
	})
}

// converse lets the customer ask and the business answer, with the credentials that it
// was given before the upgrade.
func converse(t *testing.T, customer *lab.Customer, inbox *lab.Inbox, question, answer string) {
	t.Helper()
	chat, err := customer.Say(within(t), lab.Acme, question, 1)
	check(t, err)
	arrives(t, inbox, question)
	known, err := former.Credentials(lab.Acme)
	check(t, err)
	body, err := json.Marshal(map[string]any{
		"messaging_product": "whatsapp", "to": customer.Digits(), "type": "text", "text": map[string]string{"body": answer},
	})
	check(t, err)
	_, err = request(within(t), known, http.MethodPost, known.PhoneNumberID+"/messages", string(body))
	check(t, err)
	got, err := chat.Next(within(t))
	check(t, err)
	if got != answer {
		t.Errorf("the customer sees %q, want %q", got, answer)
	}
	check(t, chat.Wait(within(t)))
}

// arrives wants a text to reach the webhook as one message.
func arrives(t *testing.T, inbox *lab.Inbox, text string) {
	t.Helper()
	_, err := inbox.Wait(within(t), "the customer's message", func(m webhooktest.Update) bool { return m.Text == text })
	check(t, err)
	all, err := inbox.Messages()
	check(t, err)
	ids := map[string]bool{}
	for _, m := range all {
		if m.Text == text {
			ids[m.ID] = true
		}
	}
	if len(ids) != 1 {
		t.Errorf("it arrived as %d messages", len(ids))
	}
}

// request asks something of acme's endpoint.
func request(ctx context.Context, known lab.Credentials, method, path, body string) (string, error) {
	c, err := current.EndpointClient(ctx, lab.Acme)
	if err != nil {
		return "", err
	}
	if !strings.Contains(path, known.PhoneNumberID) {
		path = known.PhoneNumberID + "/" + path
	}
	req, err := http.NewRequestWithContext(ctx, method, known.Endpoint+"/v23.0/"+path, bytes.NewReader([]byte(body)))
	if err != nil {
		return "", err
	}
	req.Header.Set("Authorization", "Bearer "+known.AccessToken)
	req.Header.Set("Content-Type", "application/json")
	res, err := c.Do(req)
	if err != nil {
		return "", err
	}
	defer func() { _ = res.Body.Close() }()
	data, err := io.ReadAll(io.LimitReader(res.Body, 1<<20))
	if err == nil && res.StatusCode != http.StatusOK {
		err = fmt.Errorf("the endpoint answers %s", res.Status)
	}
	return string(data), err
}

// stored waits until acme's volume holds so many messages.
func stored(t *testing.T, want int) {
	t.Helper()
	check(t, lab.Poll(within(t), func(ctx context.Context) error {
		n, err := former.StoredMessages(ctx, lab.Acme)
		if err == nil && n != want {
			err = fmt.Errorf("the volume holds %d messages, want %d", n, want)
		}
		return err
	}))
}

// leaveBehind deletes a relay under its policy, which is Retain, and waits until it and
// what it owns are gone: Kubernetes deletes those afterwards.
func leaveBehind(t *testing.T, b *lab.Business) {
	t.Helper()
	check(t, former.Client().Delete(within(t), b.Relay()))
	check(t, lab.Poll(within(t), func(ctx context.Context) error {
		err := former.Client().Get(ctx, client.ObjectKeyFromObject(b.Relay()), b.Relay())
		if !apierrors.IsNotFound(err) {
			return errors.Join(err, errors.New("the relay is there still"))
		}
		owners, err := former.Kubectl(ctx, "get", kinds, "-n", b.Name, "-o", "jsonpath={.items[*].metadata.ownerReferences[*].kind}")
		if err == nil && strings.Contains(owners, v1alpha1.KindBusinessRelay) {
			err = errors.New("the relay's own objects are there still")
		}
		return err
	}))
}

// kinds are those of the objects that a business has in the cluster.
const kinds = "businessrelays,serviceaccounts,configmaps,services,persistentvolumeclaims,statefulsets,cronjobs,networkpolicies"

// objects lists what a business has in the cluster.
func objects(t *testing.T, b *lab.Business) []string {
	t.Helper()
	out, err := former.Kubectl(within(t), "get", kinds, "-n", b.Name, "-o",
		`jsonpath={range .items[*]}{.kind}/{.metadata.name} {.metadata.uid}{"\n"}{end}`)
	check(t, err)
	var all []string
	for line := range strings.SplitSeq(strings.TrimSpace(out), "\n") {
		if strings.Contains(line, b.Name) {
			all = append(all, line)
		}
	}
	if len(all) < 4 { // its account, claim, configuration and janitor, at least
		t.Fatalf("%s has only %v", b.Name, all)
	}
	return all
}

// look looks at what must stay as it is.
func look(t *testing.T, l *lab.Lab) before {
	t.Helper()
	known, err := l.TakeCredentials(within(t), lab.Acme)
	check(t, err)
	server, err := former.Vault(within(t), lab.Acme.Region)
	check(t, err)
	root, err := server.Root()
	check(t, err)
	secret, err := root.Logical().ReadWithContext(within(t), fmt.Sprintf("kv/data/%s/%s/identity/1", lab.Acme.Name, lab.Acme.Tenant()))
	check(t, err)
	if secret == nil {
		t.Fatal("Vault has no identity of acme")
	}
	identity, err := json.Marshal(secret.Data)
	check(t, err)
	return before{known, string(identity), objects(t, lab.Acme)}
}
