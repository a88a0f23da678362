package command

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"net"
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"

	"github.com/relaykeep/relaykeep/api/v1alpha1"
)

const queueMetrics = `# TYPE relaykeep_queue_jobs gauge
relaykeep_queue_jobs{queue="outbox"} 0
relaykeep_queue_jobs{queue="webhook"} 12
relaykeep_queue_jobs{queue="receipts"} 2
# TYPE relaykeep_queue_oldest_age_seconds gauge
relaykeep_queue_oldest_age_seconds{queue="outbox"} 0
relaykeep_queue_oldest_age_seconds{queue="webhook"} 2700.5
relaykeep_queue_oldest_age_seconds{queue="receipts"} 3
`

// tells answers for a relay's queues with its metrics.
func tells(metrics string) queueAsker {
	return func(context.Context, *v1alpha1.BusinessRelay) ([]queueState, error) {
		return parseQueues(strings.NewReader(metrics))
	}
}

func TestQueues_AreAskedOfARelaysMetrics(t *testing.T) {
	for name, c := range map[string]struct {
		status int
		body   string
		want   string // of the error; empty for none
	}{
		"a relay":           {http.StatusOK, queueMetrics, ""},
		"one without keys":  {http.StatusOK, "# TYPE relaykeep_condition gauge\nrelaykeep_condition{type=\"KeysReady\"} 0\n", "has not got its keys yet"},
		"something else":    {http.StatusOK, "<html>", "reading the relay's metrics"},
		"one that is angry": {http.StatusInternalServerError, "", "it answered 500"},
	} {
		t.Run(name, func(t *testing.T) {
			server := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
				if r.URL.Path != "/metrics" {
					t.Errorf("it asks %s", r.URL.Path)
				}
				w.WriteHeader(c.status)
				_, _ = w.Write([]byte(c.body))
			}))
			defer server.Close()
			got, err := fetchQueues(t.Context(), &http.Client{Transport: &http.Transport{DisableKeepAlives: true, DialContext: func(ctx context.Context, network, _ string) (net.Conn, error) {
				return new(net.Dialer).DialContext(ctx, network, server.Listener.Addr().String())
			}}})
			if c.want != "" {
				if err == nil || !strings.Contains(err.Error(), c.want) {
					t.Errorf("error %v", err)
				}
				return
			}
			check(t, err)
			if len(got) != 2 || got[0] != (queueState{"receipts", 2, 3}) || got[1] != (queueState{"webhook", 12, 2700.5}) {
				t.Errorf("the queues are %+v", got)
			}
		})
	}
}

func TestQueues_AreShownByStatusAndLongOnesToldByDoctor(t *testing.T) {
	relays, k := patients(t)
	well := relays[:1]
	show := func(output string, ask queueAsker) string {
		t.Helper()
		var out bytes.Buffer
		f := statusFlags{output: output, ask: ask}
		check(t, f.print(t.Context(), &out, well, true, now()))
		return out.String()
	}
	refused := func(context.Context, *v1alpha1.BusinessRelay) ([]queueState, error) {
		return nil, errors.New("no way\x1b[2J")
	}
	empty := "# TYPE relaykeep_queue_jobs gauge\nrelaykeep_queue_jobs{queue=\"outbox\"} 0\n"
	for name, c := range map[string]struct{ text, want string }{
		"text":        {show("text", tells(queueMetrics)), "webhook    12        45m"},
		"JSON":        {show("json", tells(queueMetrics)), `"oldestSeconds": 2700.5`},
		"empty":       {show("text", tells(empty)), "queues: empty"},
		"not allowed": {show("text", refused), "queues: not looked at: no way"},
	} {
		if !strings.Contains(c.text, c.want) || strings.Contains(c.text, "\x1b") {
			t.Errorf("%s: %q is missing in\n%s", name, c.want, c.text)
		}
	}
	var doctor bytes.Buffer
	err := examine(t.Context(), &doctor, examiner{k, now(), tells(queueMetrics)}, well[0].Namespace, well[0].Name)
	if err == nil || !strings.Contains(doctor.String(), "webhooks wait: 12, the first for 45m") || strings.Contains(doctor.String(), "receipts") {
		t.Errorf("doctor says %v\n%s", err, doctor.String())
	}
	asleep := relays[3]
	asleep.Spec.Suspend = true
	r := relayReport(&asleep)
	nobody := examiner{k, now(), func(context.Context, *v1alpha1.BusinessRelay) ([]queueState, error) {
		t.Error("a relay is asked that is stopped, or one of many")
		return nil, nil
	}}
	nobody.queues(t.Context(), &asleep, 1, r)
	nobody.queues(t.Context(), &well[0], maxAsked+1, r)
}

func FuzzQueues(f *testing.F) {
	f.Add(queueMetrics)
	f.Add("# TYPE relaykeep_queue_jobs gauge\nrelaykeep_queue_jobs{queue=\"webhook\"} NaN\nrelaykeep_queue_jobs{queue=\"outbox\"} +Inf\n")
	f.Fuzz(func(t *testing.T, metrics string) {
		found, err := parseQueues(strings.NewReader(metrics))
		for _, q := range found {
			if err != nil || q.Jobs < 0 {
				t.Errorf("%+v, %v", q, err)
			}
			if _, failed := json.Marshal(q); failed != nil || q.String() == "" {
				t.Errorf("%+v cannot be printed: %v", q, failed)
			}
		}
	})
}
