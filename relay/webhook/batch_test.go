package webhook_test

import (
	"bytes"
	"fmt"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/relaykeep/relaykeep/api/contract"
	"github.com/relaykeep/relaykeep/relay/queue"
	"github.com/relaykeep/relaykeep/relay/webhook"
	"github.com/relaykeep/relaykeep/relay/webhook/webhooktest"
)

// updates are jobs with a payload of each.
func updates(t *testing.T, n int) (jobs []queue.Job) {
	t.Helper()
	for i := range n {
		body, err := account(t).MessagePayload(webhook.Message{ID: fmt.Sprintf("wamid.%d", i), From: mustNumber(t, "+491713920042"), User: "DE.1", Time: time.Now(), Text: "<Hallo> & größer"})
		if err != nil {
			t.Fatal(err)
		}
		jobs = append(jobs, queue.Job{ID: int64(i + 1), Created: time.Now(), Body: body})
	}
	return jobs
}

// told are the ids that webhooks tell of, one list for each.
func told(t *testing.T, bodies []string) (all [][]string) {
	t.Helper()
	for _, body := range bodies {
		decoded, err := webhooktest.Decode([]byte(body))
		if err != nil {
			t.Fatal(err)
		}
		var ids []string
		for _, u := range decoded {
			if u.Text != "<Hallo> & größer" {
				t.Errorf("an update says %q", u.Text)
			}
			ids = append(ids, strings.TrimPrefix(u.ID, "wamid."))
		}
		all = append(all, ids)
	}
	return all
}

func TestBatch_HasAtMostSoManyUpdatesInOrder(t *testing.T) {
	for most, want := range map[int]string{0: "[[0] [1] [2] [3] [4]]", 1: "[[0] [1] [2] [3] [4]]", 3: "[[0 1 2] [3 4]]", 1000: "[[0 1 2 3 4]]"} {
		r := newReceiver(t)
		f := deliverAtOnce(t, r.as(), most).start(t)
		f.reason(t, contract.True, webhook.ReasonVerified)
		for i, res := range f.Work(t.Context(), updates(t, 5)) {
			if !res.Done {
				t.Errorf("update %d is not delivered: %+v", i, res)
			}
		}
		got := told(t, r.got())
		if fmt.Sprint(got) != want || f.commits != len(got) || !slices.Equal(f.finished, []int64{1, 2, 3, 4, 5}) || r.badSigned != 0 {
			t.Errorf("with at most %d: %v, want %v; removed %v in %d steps, %d wrong signatures", most, got, want, f.finished, f.commits, r.badSigned)
		}
	}
}

func TestBatch_OfOneIsTheUpdateAsItWasWritten(t *testing.T) {
	r := newReceiver(t)
	f := deliverAtOnce(t, r.as(), 1000).start(t)
	f.reason(t, contract.True, webhook.ReasonVerified)
	j := updates(t, 1)
	f.Work(t.Context(), j)
	if got := r.got(); len(got) != 1 || got[0] != string(j[0].Body) {
		t.Errorf("sent %q", got)
	}
}

func TestBatch_FailsAndIsRetriedWhole(t *testing.T) {
	r := newReceiver(t)
	f := deliverAtOnce(t, r.as(), 1000).start(t)
	f.reason(t, contract.True, webhook.ReasonVerified)
	r.behave(echo, answer(500))
	jobs := updates(t, 4)
	jobs[1].Attempts = 1
	for i, res := range f.Work(t.Context(), jobs) {
		if res.Done || res.Uncounted || res.RetryAfter != 0 {
			t.Errorf("update %d: %+v, want that it is retried at once with the others", i, res)
		}
	}
	if c := f.Condition(); c.Reason != webhook.ReasonVerified { // one failure, and not four
		t.Errorf("the condition is %+v", c)
	}
	r.behave(echo, ok)
	jobs[0].Attempts, jobs[1].Attempts, jobs[2].Attempts, jobs[3].Attempts = 3, 4, 3, 1
	f.Work(t.Context(), jobs)
	// Update 1 failed four times: it goes alone, in case the receiver cannot take it.
	if got, want := fmt.Sprint(told(t, r.got()[1:])), "[[0] [1] [2 3]]"; got != want || len(f.finished) != 4 {
		t.Errorf("then %v, want %v; removed %v", got, want, f.finished)
	}
}

func TestBatch_StaysBelowItsSize(t *testing.T) {
	private, to := newPair(t)
	for name, encrypted := range map[string]bool{"in clear": false, "encrypted": true} {
		t.Run(name, func(t *testing.T) {
			r := newReceiver(t)
			var f *fixture
			if encrypted {
				f = deliverEncrypted(t, r, to.Encrypt)
			} else {
				f = deliverAtOnce(t, r.as(), webhook.MaxUpdates).start(t)
				f.reason(t, contract.True, webhook.ReasonVerified)
			}
			jobs := updates(t, 9)
			for i := range jobs { // 700,000 bytes each
				jobs[i].Body = bytes.Replace(jobs[i].Body, []byte(`"wamid.`), []byte(`"`+strings.Repeat("w", 700_000)), 1)
			}
			for i, res := range f.Work(t.Context(), jobs) {
				if !res.Done {
					t.Errorf("update %d: %+v", i, res)
				}
			}
			sizes, n := []int{}, 0
			for _, body := range r.got() {
				if sizes = append(sizes, len(body)); len(body) > 3_000_000 {
					t.Errorf("a webhook has %d bytes", len(body))
				}
				plain := []byte(body)
				if encrypted {
					var err error
					if plain, err = webhooktest.DecryptPayload(plain, private); err != nil {
						t.Fatal(err)
					}
				}
				decoded, err := webhooktest.Decode(plain)
				if err != nil {
					t.Fatal(err)
				}
				n += len(decoded)
			}
			if n != 9 || len(sizes) > 5 {
				t.Errorf("%d of 9 updates came, in webhooks of %v bytes", n, sizes)
			}
		})
	}
}

// What is no payload, or another's, goes as it is, and does not hold the others.
func TestBatch_LeavesOutWhatItCannotJoin(t *testing.T) {
	own := `{"object":"whatsapp_business_account","entry":[{"id":"` + account(t).BusinessAccountID + `","changes":[`
	const change = `{"value":{"metadata":{}},"field":"messages"}`
	for name, body := range map[string]string{
		"no payload":       `{"object":"x"}`,
		"no JSON":          `"changes":[]}]}`,
		"no changes":       own + `]}]}`,
		"two entries":      own + change + `]},{"id":"2","changes":[` + change + `]}]}`,
		"another account":  `{"object":"whatsapp_business_account","entry":[{"id":"1","changes":[` + change + `]}]}`,
		"another ordering": `{"entry":[{"changes":[` + change + `],"id":"1"}],"object":"whatsapp_business_account"}`,
	} {
		t.Run(name, func(t *testing.T) {
			r := newReceiver(t)
			f := deliverAtOnce(t, r.as(), 1000).start(t)
			f.reason(t, contract.True, webhook.ReasonVerified)
			jobs := updates(t, 5)
			jobs[2].Body = []byte(body)
			f.Work(t.Context(), jobs)
			got := r.got()
			if len(got) != 3 || got[1] != body || len(f.finished) != 5 {
				t.Fatalf("sent %q", got)
			}
			if ids := fmt.Sprint(told(t, []string{got[0], got[2]})); ids != "[[0 1] [3 4]]" {
				t.Errorf("the others tell of %s", ids)
			}
		})
	}
}

// A text that looks like a payload's own fields stays a text.
func TestBatch_JoinsWhateverCustomersWrite(t *testing.T) {
	r := newReceiver(t)
	f := deliverAtOnce(t, r.as(), 1000).start(t)
	f.reason(t, contract.True, webhook.ReasonVerified)
	texts := []string{`]}]}`, `"changes":[`, `\"changes":[]}]}`, "Grüße"}
	var jobs []queue.Job
	for i, text := range texts {
		body, err := account(t).MessagePayload(webhook.Message{ID: fmt.Sprintf("wamid.%d", i), From: mustNumber(t, "+491713920042"), User: text, Name: text, Time: time.Now(), Text: text})
		if err != nil {
			t.Fatal(err)
		}
		jobs = append(jobs, queue.Job{ID: int64(i + 1), Created: time.Now(), Body: body})
	}
	f.Work(t.Context(), jobs)
	got := r.got()
	if len(got) != 1 {
		t.Fatalf("sent %q", got)
	}
	decoded, err := webhooktest.Decode([]byte(got[0]))
	if err != nil || len(decoded) != len(texts) {
		t.Fatalf("%d updates, %v", len(decoded), err)
	}
	for i, u := range decoded {
		if u.Text != texts[i] {
			t.Errorf("update %d says %q, want %q", i, u.Text, texts[i])
		}
	}
}

func TestBatch_HasWhatWaitedUntilNumbersWereHidden(t *testing.T) {
	r := newReceiver(t)
	f := deliverAtOnce(t, r.as(), 1000).start(t)
	f.reason(t, contract.True, webhook.ReasonVerified)
	jobs := updates(t, 3)
	var err error
	if jobs[1].Body, err = hiding(t).Settled(jobs[1].Body, "DE.1"); err != nil {
		t.Fatal(err)
	}
	f.Work(t.Context(), jobs)
	if got := fmt.Sprint(told(t, r.got())); got != "[[0 1 2]]" {
		t.Errorf("sent %s", got)
	}
}
