package command

import (
	"bytes"
	"context"
	"encoding/json"
	"fmt"
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"
	"time"

	corev1 "k8s.io/api/core/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"

	"github.com/relaykeep/relaykeep/api/contract"
	"github.com/relaykeep/relaykeep/api/v1alpha1"
	"github.com/relaykeep/relaykeep/cmd/kubectl-relay/internal/exit"
	"github.com/relaykeep/relaykeep/test/services/kubelet"
)

// used10 is a relay's answer: one day that is over, and one that is not.
func used10(name string, in, out int64) relayUsage {
	return relayUsage{Namespace: "acme", Name: name, Usage: contract.Usage{
		Version: contract.UsageVersion, Step: 10, ByteStep: 1_000_000, Until: time.Date(2026, 10, 2, 11, 0, 0, 0, time.UTC),
		Days: []contract.UsageDay{
			{
				Day: "2026-10-01", Customers: new(int64(40)), MediaBytes: contract.UsageBytes{Out: 12_000_000},
				Messages: []contract.UsageCount{{Direction: "in", Kind: "text", Count: in}, {Direction: "out", Kind: "image", Count: 10}, {Direction: "out", Kind: "text", Count: out}},
			},
			{Day: "2026-10-02", Messages: []contract.UsageCount{{Direction: "out", Kind: "text", Count: 20}}},
		},
	}}
}

func TestUsage_Print(t *testing.T) {
	span := days{"2026-10-01", "2026-10-31"}
	one := usageReport{days: span, answered: []relayUsage{used10("acme", 120, 3400)}}
	for name, tt := range map[string]struct {
		report usageReport
		format string
		one    bool
	}{
		"one.txt":     {one, "text", true},
		"one.json":    {one, "json", true},
		"one.csv":     {one, "csv", true},
		"several.txt": {usageReport{days: span, answered: []relayUsage{used10("acme", 120, 3400), used10("other", 0, 0)}}, "text", false},
		"nothing.txt": {usageReport{days: span, answered: []relayUsage{{Namespace: "acme", Name: "acme", Usage: contract.Usage{Until: used10("", 0, 0).Until}}}}, "text", true},
		"none.txt":    {usageReport{days: span}, "text", false},
	} {
		t.Run(name, func(t *testing.T) {
			var out bytes.Buffer
			check(t, tt.report.write(&out, tt.format, tt.one))
			golden(t, "usage/"+name, out.String())
		})
	}
}

// The sum of all relays without that of all but one is what is shown of the one, and so tells nothing more of it: also
// where the one shows nothing.
func TestUsage_SumsTellNoMoreThanEachRelay(t *testing.T) {
	for hidden := range int64(3) {
		relays := []relayUsage{used10("a", 120, 3400), used10("b", 10*hidden, 0), used10("c", 0, 0)}
		relays[2].Days = nil
		sumOf := func(relays []relayUsage) (sum used) {
			for _, r := range relays {
				sum.add(r.sum())
			}
			return sum
		}
		all := sumOf(relays)
		for i := range relays {
			others := sumOf(append(append([]relayUsage(nil), relays[:i]...), relays[i+1:]...))
			others.add(relays[i].sum())
			if others != all {
				t.Errorf("all relays without the others are not relay %s as it is shown", relays[i].Name)
			}
		}
		if all.in%10+all.out%10+all.customers%10+all.mediaOut%1_000_000 != 0 {
			t.Errorf("a sum is no multiple of what is shown: %+v", all)
		}
	}
}

func TestUsage_RefusesWhatMakesNoSpan(t *testing.T) {
	for args, want := range map[string]string{
		"--month 2026-10 --since 2026-10-01":    "give --month, or --since and --until",
		"--until 2026-10-01":                    "--until needs --since",
		"--month october":                       "--month is no month: write it as 2026-10",
		"--since 1.10.":                         "--since is no day",
		"--since 2026-10-01 --until tomorrow":   "--until is no day",
		"--since 2026-10-02 --until 2026-10-01": "--since is after --until",
		"-o yaml":                               "unknown output",
		"acme -A":                               "not both",
		"acme other":                            "give one BusinessRelay or none",
	} {
		_, _, err := run(t, append([]string{"usage"}, strings.Fields(args)...)...)
		if exit.Code(err) != exit.Usage || !strings.Contains(err.Error(), want) {
			t.Errorf("%s: exit %d, %v; want %q", args, exit.Code(err), err, want)
		}
	}
}

func FuzzReadUsage(f *testing.F) {
	text, err := json.Marshal(used10("acme", 10, 20).Usage)
	if err != nil {
		f.Fatal(err)
	}
	f.Add(string(text))
	f.Add(`{"version":1,"step":10,"byteStep":1,"days":[{"day":"x"}]}`)
	f.Add("null")
	f.Fuzz(func(t *testing.T, text string) {
		u, err := readUsage(strings.NewReader(text))
		if err != nil {
			return
		}
		r := usageReport{answered: []relayUsage{{Usage: u}}}
		for _, format := range []string{"text", "csv", "json"} {
			var out bytes.Buffer
			if r.write(&out, format, true) != nil || strings.ContainsAny(out.String(), "\x1b\x07") {
				t.Errorf("printed %q", out.String())
			}
		}
	})
}

// testReplicas asks a relay of two pods, of which one stands by, and another relay, which is stopped.
func testReplicas(t *testing.T, k *kubernetes) {
	says := func(code int, usage, metrics string) string {
		pod := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
			switch r.URL.String() {
			case "/usage?since=2026-10-01&until=2026-10-31":
				w.WriteHeader(code)
				_, _ = fmt.Fprint(w, usage)
			case "/metrics":
				_, _ = fmt.Fprint(w, metrics)
			default:
				t.Errorf("asked for %s", r.URL)
			}
		}))
		t.Cleanup(pod.Close)
		return pod.Listener.Addr().String()
	}
	text, err := json.Marshal(used10("acme", 120, 3400).Usage)
	check(t, err)
	kubelet.StartT(t, k.server.Kube, "standing-by", kubelet.Ports{contract.StatusPort: says(
		http.StatusServiceUnavailable, "another replica holds the store: ask that one", "# TYPE relaykeep_storage_mode gauge\nrelaykeep_storage_mode{mode=\"Retained\"} 1\n",
	)})
	kubelet.StartT(t, k.server.Kube, "holding", kubelet.Ports{contract.StatusPort: says(http.StatusOK, string(text), queueMetrics)})
	check(t, k.client.Create(t.Context(), &corev1.Namespace{ObjectMeta: metav1.ObjectMeta{Name: "metered"}}))
	relay, _ := acme()
	relay.Namespace, relay.Spec.PhoneNumber, relay.Spec.Replicas = "metered", "+4930222222", 2
	relay.Spec.Storage.Postgres = &v1alpha1.PostgresStorage{Database: "acme"}
	check(t, k.client.Create(t.Context(), relay))
	stopped, _ := acme()
	stopped.Namespace, stopped.Name, stopped.Spec.PhoneNumber, stopped.Spec.Suspend = "metered", "stopped", "+4930333333", true
	check(t, k.client.Create(t.Context(), stopped))
	for i, node := range []string{"standing-by", "holding"} {
		pod := fmt.Sprintf("acme-relay-%d", i)
		check(t, kubelet.RunPod(t.Context(), k.server.Kube, node, "metered", pod, corev1.PodRunning))
		t.Cleanup(func() {
			_ = k.server.Kube.CoreV1().Pods("metered").Delete(context.WithoutCancel(t.Context()), pod, metav1.DeleteOptions{GracePeriodSeconds: new(int64(0))})
		})
	}
	args := []string{"-n", "metered", "--month", "2026-10", "--kubeconfig=" + k.kubeconfig}
	out, _, err := run(t, append([]string{"usage", "acme"}, args...)...)
	if err != nil || !strings.Contains(out, "3430") {
		t.Errorf("%v, printed %s", err, out)
	}
	out, errOut, err := run(t, append([]string{"usage"}, args...)...)
	if exit.Code(err) != exit.Failed || !strings.Contains(out, "3430") || !strings.Contains(errOut, "Relay stopped in namespace metered is missing: relay stopped is stopped by spec.suspend") {
		t.Errorf("%v, printed %s and %s", err, out, errOut)
	}
	out, _, err = run(t, "status", "acme", "-n", "metered", "--kubeconfig="+k.kubeconfig)
	if err != nil || !strings.Contains(out, "webhook    12        45m") {
		t.Errorf("%v, the status is %s", err, out)
	}
}
