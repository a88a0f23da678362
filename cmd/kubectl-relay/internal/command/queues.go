package command

import (
	"context"
	"errors"
	"fmt"
	"io"
	"net/http"
	"slices"
	"text/tabwriter"
	"time"

	dto "github.com/prometheus/client_model/go"
	"github.com/prometheus/common/expfmt"
	"github.com/prometheus/common/model"
	"k8s.io/apimachinery/pkg/util/duration"
	"sigs.k8s.io/controller-runtime/pkg/client"

	"github.com/relaykeep/relaykeep/api/v1alpha1"
	"github.com/relaykeep/relaykeep/cmd/kubectl-relay/internal/permission"
	"github.com/relaykeep/relaykeep/cmd/kubectl-relay/internal/printable"
)

const (
	// queuesTimeout bounds the asking of one relay for its queues.
	queuesTimeout = 5 * time.Second
	// maxMetrics is the largest answer that is read, in bytes.
	maxMetrics = 4 << 20
	// maxAsked is how many relays doctor and check ask for their queues: a pod that does not answer takes queuesTimeout.
	maxAsked = 20
	// waitsLong is from when on the first of a queue is told as a trouble, as the chart's alerts do.
	waitsLong = 30 * time.Minute
)

// Metrics of a relay about its queues.
const (
	metricJobs   = "relaykeep_queue_jobs"
	metricOldest = "relaykeep_queue_oldest_age_seconds"
)

// queueState is what waits in one of a relay's queues. It has counts and times only.
type queueState struct {
	Queue         string  `json:"queue"`
	Jobs          int64   `json:"jobs"`
	OldestSeconds float64 `json:"oldestSeconds"` // for how long the first has waited
}

func (q queueState) oldest() time.Duration {
	return time.Duration(q.OldestSeconds * float64(time.Second))
}

// String says it in words.
func (q queueState) String() string {
	return fmt.Sprintf("%d, the first for %s", q.Jobs, duration.HumanDuration(q.oldest()))
}

// queueAsker asks a relay for its queues.
type queueAsker func(context.Context, *v1alpha1.BusinessRelay) ([]queueState, error)

// askQueues returns how to ask relays through the API server.
func (c *cluster) askQueues(k client.Reader) queueAsker {
	return func(ctx context.Context, relay *v1alpha1.BusinessRelay) (waiting []queueState, err error) {
		config, err := c.config()
		if err != nil {
			return nil, err
		}
		err = askPods(ctx, config, k, relay, queuesTimeout, func(ctx context.Context, pod *http.Client) (err error) {
			waiting, err = fetchQueues(ctx, pod)
			return err
		})
		return waiting, err
	}
}

// fetchQueues reads a relay's metrics at its status port.
func fetchQueues(ctx context.Context, pod *http.Client) ([]queueState, error) {
	request, err := http.NewRequestWithContext(ctx, http.MethodGet, "http://relay/metrics", nil)
	if err != nil {
		return nil, err
	}
	answer, err := pod.Do(request)
	if err != nil {
		return nil, fmt.Errorf("asking the relay for its metrics: %w", errors.Unwrap(err))
	}
	defer func() { _ = answer.Body.Close() }()
	if answer.StatusCode != http.StatusOK {
		return nil, fmt.Errorf("asking the relay for its metrics: it answered %d", answer.StatusCode)
	}
	return parseQueues(io.LimitReader(answer.Body, maxMetrics))
}

// parseQueues reads what waits out of a relay's metrics. Empty queues are left out.
func parseQueues(metrics io.Reader) ([]queueState, error) {
	parser := expfmt.NewTextParser(model.UTF8Validation)
	families, err := parser.TextToMetricFamilies(metrics)
	if err != nil {
		return nil, fmt.Errorf("reading the relay's metrics: %w", err)
	}
	jobs, ages := byQueue(families[metricJobs]), byQueue(families[metricOldest])
	if jobs == nil {
		return nil, fmt.Errorf("the relay's metrics have no %s: it has not got its keys yet, or another replica holds its store", metricJobs)
	}
	var found []queueState
	for queue, n := range jobs {
		if jobs := bounded(n); jobs >= 1 {
			found = append(found, queueState{queue, int64(jobs), bounded(ages[queue])})
		}
	}
	slices.SortFunc(found, func(a, b queueState) int { return slices.Compare([]byte(a.Queue), []byte(b.Queue)) })
	return found, nil
}

// bounded is a number of a metric as one that every format can have: a pod may say anything.
func bounded(v float64) float64 {
	if !(v > 0) { // NaN, too
		return 0
	}
	return min(v, 1e9)
}

// byQueue returns a metric's values by their label queue, nil for a metric that is not there.
func byQueue(family *dto.MetricFamily) map[string]float64 {
	if family == nil {
		return nil
	}
	values := map[string]float64{}
	for _, m := range family.Metric {
		for _, label := range m.Label {
			if label.GetName() == "queue" && m.Gauge != nil {
				values[label.GetValue()] = m.Gauge.GetValue()
			}
		}
	}
	return values
}

// printQueues prints what waits in a relay, or why that is not known.
func printQueues(out io.Writer, waiting []queueState, failed error) error {
	fmt.Fprintln(out)
	if failed != nil {
		why := permission.Missing(failed)
		if why == "" {
			why = failed.Error()
		}
		_, err := fmt.Fprintf(out, "queues: not looked at: %s\n", printable.Text(why))
		return err
	}
	if len(waiting) == 0 {
		_, err := fmt.Fprintln(out, "queues: empty")
		return err
	}
	table := tabwriter.NewWriter(out, 0, 0, 3, ' ', 0)
	fmt.Fprintln(table, "QUEUE\tWAITING\tTHE FIRST FOR")
	for _, q := range waiting {
		fmt.Fprintf(table, "%s\t%d\t%s\n", printable.Text(q.Queue), q.Jobs, duration.HumanDuration(q.oldest()))
	}
	return table.Flush()
}

// queues looks at what waits in one of so many relays: messages and webhooks that wait for long are a trouble.
func (e examiner) queues(ctx context.Context, relay *v1alpha1.BusinessRelay, of int, r *report) {
	switch {
	case e.ask == nil || relay.Spec.Suspend || relay.Spec.Moving != nil:
		return
	case of > maxAsked:
		r.factf("queues: not looked at, of more than %d relays", maxAsked)
		return
	}
	waiting, err := e.ask(ctx, relay)
	if err != nil {
		r.unread("queues", err)
		return
	}
	if len(waiting) == 0 {
		r.factf("queues: empty")
	}
	for _, q := range waiting {
		switch {
		case q.oldest() <= waitsLong:
			r.factf("queue %s: %s", printable.Text(q.Queue), q)
		case q.Queue == "webhook":
			r.findings = append(r.findings, finding{"webhooks wait: " + q.String(), r.remedy("DeliveryFailing")})
		case q.Queue == "outbox":
			r.findings = append(r.findings, finding{"messages wait to be sent: " + q.String(), r.remedy(v1alpha1.ReasonCarrierUnreachable)})
		default:
			r.factf("queue %s: %s", printable.Text(q.Queue), q)
		}
	}
}
