//go:build e2e

package e2e

import (
	"bytes"
	"context"
	"crypto/rand"
	"errors"
	"fmt"
	"math/big"
	"mime/multipart"
	"net/http"
	"path/filepath"
	"slices"
	"testing"
	"time"

	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"

	"github.com/relaykeep/relaykeep/api/v1alpha1"
	"github.com/relaykeep/relaykeep/cmd/kubectl-relay/scan"
	"github.com/relaykeep/relaykeep/relay/phone"
	"github.com/relaykeep/relaykeep/test/forensic"
	"github.com/relaykeep/relaykeep/test/lab"
	"github.com/relaykeep/relaykeep/test/services/vault"
)

// ward is a business that is there for one forensic test, with Vault's root.
type ward struct {
	*lab.Business
	t       *testing.T
	known   lab.Credentials
	witness forensic.Witness
}

// newWard makes a business and waits until its relay is Ready. It is erased when the
// test ends. Its number, of those set aside for fiction, is of this run alone: the
// carrier may remember an account that was not taken back. Wards of one time have
// another first digit each, 2 to 8.
func newWard(t *testing.T, name string, digit int) *ward {
	t.Helper()
	random, err := rand.Int(rand.Reader, big.NewInt(100))
	check(t, err)
	number := fmt.Sprintf("+493023125%d%02d", digit, random.Int64())
	b := &lab.Business{Name: name, DisplayName: "The ward " + name, Region: lab.EU, Number: number}
	server, err := environment.Vault(within(t), b.Region)
	check(t, err)
	root, err := server.Root()
	check(t, err)
	_, err = environment.Apply(within(t), fmt.Sprintf(`
{apiVersion: v1, kind: Namespace, metadata: {name: %[1]s, labels: {pod-security.kubernetes.io/enforce: restricted}}}
---
{apiVersion: relaykeep.dev/v1alpha1, kind: BusinessRelay, metadata: {name: %[1]s, namespace: %[1]s}, spec: {
  phoneNumber: %[2]q, dataRegion: %[3]s, profile: {displayName: %[4]q}, storage: {size: 128Mi}, deletionPolicy: Erase}}`,
		name, number, b.Region.Name, b.DisplayName))
	check(t, err)
	t.Cleanup(func() {
		for _, args := range [][]string{
			{"delete", "brelay", "--all", "-n", name, "--timeout=120s"},
			{"delete", "namespace", name, "--timeout=90s"},
		} {
			if _, err := environment.Kubectl(withoutTest(), args...); err != nil {
				t.Error(err)
			}
		}
	})
	_, err = environment.WaitCondition(within(t), b.Relay(), v1alpha1.ConditionReady, metav1.ConditionTrue)
	check(t, err)
	known, err := environment.TakeCredentials(within(t), b)
	check(t, err)
	return &ward{b, t, known, forensic.Witness{
		Root: root, Wrapping: b.WrappingKey(), Settings: b.SettingsKey(), Identity: fmt.Sprintf("kv/data/%s/%s/identity/1", name, b.Tenant()),
	}}
}

func (w *ward) volume() string {
	w.t.Helper()
	dir, err := environment.Volume(within(w.t), w.Business)
	check(w.t, err)
	return dir
}

// steal copies the volume.
func (w *ward) steal() forensic.Copy {
	w.t.Helper()
	c, err := forensic.Take(w.volume(), filepath.Join(w.t.TempDir(), "stolen"))
	check(w.t, err)
	return c
}

// receive lets a customer write, and waits until the message lies on the volume.
func (w *ward) receive(from *lab.Customer, text string, messages int) {
	w.t.Helper()
	chat, err := from.Say(within(w.t), w.Business, text, 0)
	check(w.t, err)
	check(w.t, chat.Wait(within(w.t)))
	check(w.t, awaitRows(w, messages))
}

// upload has the business give its relay a file, which lies on the volume when it is
// answered. The file's name and lines say a text.
func (w *ward) upload(text string) {
	w.t.Helper()
	client, err := environment.EndpointClient(within(w.t), w.Business)
	check(w.t, err)
	check(w.t, lab.Poll(within(w.t), func(ctx context.Context) error { return w.tryUpload(ctx, client, text) }))
}

func (w *ward) tryUpload(ctx context.Context, client *http.Client, text string) error {
	body, kind, err := uploadForm(text)
	if err != nil {
		return err
	}
	req, err := http.NewRequestWithContext(ctx, http.MethodPost, w.known.Endpoint+"/v23.0/"+w.known.PhoneNumberID+"/media", bytes.NewReader(body))
	if err != nil {
		return err
	}
	req.Header.Set("Authorization", "Bearer "+w.known.AccessToken)
	req.Header.Set("Content-Type", kind)
	res, err := client.Do(req)
	if err != nil {
		return err
	}
	if err := res.Body.Close(); err != nil || res.StatusCode != http.StatusOK {
		return errors.Join(fmt.Errorf("the answer to an upload is %s", res.Status), err)
	}
	return nil
}

// uploadForm is an upload's body and its content type.
func uploadForm(text string) ([]byte, string, error) {
	var body bytes.Buffer
	form := multipart.NewWriter(&body)
	failed := errors.Join(form.WriteField("messaging_product", "whatsapp"), form.WriteField("type", "text/plain"))
	part, err := form.CreateFormFile("file", text+".txt")
	if err = errors.Join(failed, err); err != nil {
		return nil, "", err
	}
	_, err = part.Write(forensic.TextFile(text))
	err = errors.Join(err, form.Close())
	return body.Bytes(), form.FormDataContentType(), err
}

func awaitRows(w *ward, messages int) error {
	ctx := within(w.t)
	return lab.Poll(ctx, func(ctx context.Context) error {
		rows, err := forensic.Messages(ctx, w.steal().Dir)
		if err == nil && len(rows) != messages {
			err = fmt.Errorf("the volume has %d messages, want %d", len(rows), messages)
		}
		return err
	})
}

// ageKeys lets time pass for the relay's keys, and returns what the wrapping key was
// before.
func (w *ward) ageKeys(by time.Duration) map[int]string {
	w.t.Helper()
	_, err := vault.AgeKey(within(w.t), w.witness.Root, w.witness.Settings, by)
	check(w.t, err)
	backup, err := vault.AgeKey(within(w.t), w.witness.Root, w.witness.Wrapping, by)
	check(w.t, err)
	material, err := vault.KeyMaterial(backup)
	check(w.t, err)
	return material
}

// nextDay lets a day and an hour pass while the relay is down: Vault rotates the key,
// and the relay begins a new period.
func (w *ward) nextDay() {
	w.t.Helper()
	const day = 25 * time.Hour
	check(w.t, environment.Suspend(within(w.t), w.Business))
	w.ageKeys(day)
	check(w.t, forensic.Age(within(w.t), w.volume(), day))
	_, err := w.witness.Root.Logical().WriteWithContext(within(w.t), "transit/keys/"+w.witness.Wrapping+"/rotate", nil)
	check(w.t, err)
	check(w.t, environment.Resume(within(w.t), w.Business))
}

// TestRetention_EndsEveryCopy lets 30 days and an hour pass over two
// messages and two files, of which the second ones are a day younger, and restores a
// copy of the volume beside the relay, whether that ran meanwhile or was stopped.
func TestRetention_EndsEveryCopy(t *testing.T) {
	t.Parallel() // beside tests of objects that nothing runs for, after all the others
	for i, c := range []struct {
		what, name    string
		stopped       bool
		older, recent string // the customers' numbers
	}{
		{"the relay runs", "initech", false, "+491713920043", "+491713920044"},
		{"the relay is stopped", "hooli", true, "+491713920045", "+491713920046"},
	} {
		t.Run(c.what, func(t *testing.T) {
			t.Parallel() // each has a business and customers of its own, and waits most of the time
			w := newWard(t, c.name, 2+i)
			old, current := environment.CustomerAs(c.older), environment.CustomerAs(c.recent)
			mark := rand.Text()[:6]
			oldText, youngText := "Said thirty days ago, "+mark, "Said twenty-nine days ago, "+mark
			oldFile, youngFile := "Sent thirty days ago, "+mark, "Sent twenty-nine days ago, "+mark
			w.receive(old, oldText, 1)
			w.upload(oldFile)
			w.nextDay()
			w.receive(current, youngText, 2)
			w.upload(youngFile)
			if c.stopped {
				check(t, environment.Suspend(within(t), w.Business))
			}
			stolen := w.steal()
			former := w.ageKeys(29 * 24 * time.Hour)
			result, err := environment.RunJanitor(within(t), w.Business, 0)
			check(t, err)
			if result.Erased != 1 {
				t.Errorf("the janitor erased %d versions, want 1", result.Erased)
			}
			rows, err := forensic.Messages(within(t), stolen.Dir)
			check(t, err)
			if len(rows) != 2 || rows[0].Epoch == rows[1].Epoch {
				t.Fatalf("the copy has %d messages, want 2 of different periods", len(rows))
			}
			check(t, forensic.Examine(within(t), forensic.Case{
				Copy: stolen, Witness: w.witness, Expired: []int64{rows[0].Epoch}, Young: youngText, YoungFile: youngFile,
				Old: numberOf(t, old), Current: numberOf(t, current), Former: former,
				Never: slices.Concat(forensic.FileSecrets(oldFile), forensic.FileSecrets(youngFile), []scan.Secret{
					{Name: "the older text", Bytes: oldText},
					{Name: "the younger text", Bytes: youngText},
					{Name: "the old customer's number", Bytes: old.Digits()},
					{Name: "the current customer's number", Bytes: current.Digits()},
					{Name: "the business's number", Bytes: w.Number[1:]},
					{Name: "the business's name", Bytes: w.DisplayName},
				}),
			}, t.TempDir()))
			if c.stopped {
				check(t, environment.Resume(within(t), w.Business))
			}
			w.goesOn(current, "Said today, "+mark)
		})
	}
}

// goesOn wants the relay to take messages as before.
func (w *ward) goesOn(from *lab.Customer, text string) {
	w.t.Helper()
	rows, err := forensic.Messages(within(w.t), w.steal().Dir)
	check(w.t, err)
	w.receive(from, text, len(rows)+1)
}

func numberOf(t *testing.T, c *lab.Customer) phone.Number {
	t.Helper()
	n, err := phone.Parse(c.Number)
	check(t, err)
	return n
}
