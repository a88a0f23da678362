package probe

import (
	"bufio"
	"bytes"
	"context"
	"crypto/tls"
	"crypto/x509"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net"
	"net/http"
	"net/url"
	"time"

	corev1 "k8s.io/api/core/v1"
	"k8s.io/client-go/kubernetes"
	"sigs.k8s.io/controller-runtime/pkg/client"

	"github.com/relaykeep/relaykeep/api/contract"
	"github.com/relaykeep/relaykeep/api/v1alpha1"
	"github.com/relaykeep/relaykeep/cmd/kubectl-relay/internal/audit"
	"github.com/relaykeep/relaykeep/cmd/kubectl-relay/internal/forward"
)

const (
	// maxTrace bounds what is read of one log or of the metrics, in bytes.
	maxTrace = 4 << 20
	// maxLines bounds a log, in lines from its end.
	maxLines = 5000
	// maxEvents bounds the events of a namespace.
	maxEvents = 2000
	// renewal is how long before its end a certificate has to have been replaced: relays do so after two thirds of its
	// life, which is 72 hours where Vault signs it.
	renewal = time.Hour
)

// throughPod makes the checks that read what the relay's pod says.
func (a *auditor) throughPod(ctx context.Context, s *subject) outcomes {
	ctx, cancel := context.WithTimeout(ctx, connecting)
	defer cancel()
	pod := s.running()
	if pod == nil {
		return outcomes{audit.Certificate: s.noPod(), audit.Traces: first(a.traces(ctx, s, nil, nil), s.noPod())}
	}
	forwarder, err := forward.Open(ctx, a.Config, pod.Namespace, pod.Name)
	if err != nil {
		failed := unread("pod "+pod.Name+" through the API server", err)
		return outcomes{audit.Certificate: failed, audit.Traces: first(a.traces(ctx, s, pod, nil), failed)}
	}
	defer func() { _ = forwarder.Close() }()
	return outcomes{audit.Certificate: a.certificate(ctx, s, forwarder), audit.Traces: a.traces(ctx, s, pod, forwarder)}
}

// dialer opens connections to the ports of a pod.
type dialer interface {
	Dial(port int32) (net.Conn, error)
}

// certificate shakes hands with the endpoint.
func (a *auditor) certificate(ctx context.Context, s *subject, pod dialer) audit.Outcome {
	if s.relay.Spec.Endpoint.TerminateAtGateway {
		return byDesign("the gateway ends TLS and can read everything: spec.endpoint.terminateAtGateway")
	}
	at, err := url.Parse(s.relay.Status.Endpoint.URL)
	if err != nil || at.Hostname() == "" {
		return notTried("the relay has not said where its endpoint is")
	}
	conn, err := pod.Dial(contract.EndpointPort)
	if err != nil {
		return unread("the relay's endpoint", err)
	}
	defer func() { _ = conn.Close() }()
	stop := context.AfterFunc(ctx, func() { _ = conn.Close() })
	defer stop()
	// What the certificate says is judged below, so that the outcome says what is wrong with it.
	handshake := tls.Client(conn, &tls.Config{MinVersion: tls.VersionTLS12, ServerName: at.Hostname(), InsecureSkipVerify: true}) //nolint:gosec // verified below
	if err := handshake.HandshakeContext(ctx); err != nil {
		return unread("the endpoint's TLS", err)
	}
	return a.judgeCertificate(ctx, s, at.Hostname(), handshake.ConnectionState().PeerCertificates)
}

// judgeCertificate verifies a chain for a host.
func (a *auditor) judgeCertificate(ctx context.Context, s *subject, host string, chain []*x509.Certificate) audit.Outcome {
	show := "kubectl relay check relay/" + s.at()
	leaf := chain[0]
	switch {
	case leaf.VerifyHostname(host) != nil:
		return broken(show, "the endpoint's certificate is for another name than %s", host)
	case a.Now.After(leaf.NotAfter) || a.Now.Before(leaf.NotBefore):
		return broken(show, "the endpoint's certificate is not valid now")
	case leaf.NotAfter.Sub(a.Now) < renewal:
		return broken(show, "the endpoint's certificate ends within the hour, and was not replaced")
	}
	roots, from := (*x509.CertPool)(nil), "an authority that this machine knows"
	if s.relay.Spec.Endpoint.TLSSecretName == "" {
		from = "the region's Vault"
		pem, err := a.shared.authority(ctx, s)
		if err != nil {
			return unread("the authority of the region's Vault", err)
		}
		roots = x509.NewCertPool()
		roots.AppendCertsFromPEM(pem)
	}
	between := x509.NewCertPool()
	for _, c := range chain[1:] {
		between.AddCert(c)
	}
	_, err := leaf.Verify(x509.VerifyOptions{DNSName: host, Roots: roots, Intermediates: between, CurrentTime: a.Now})
	var unknown x509.UnknownAuthorityError
	switch {
	case errors.As(err, &unknown) && roots == nil:
		return notTried("the endpoint has a certificate of the business's own, whose authority this machine does not know")
	case err != nil:
		return broken(show, "the endpoint's certificate is not signed by %s", from)
	}
	return kept("signed by %s for %s, valid for %d more hours", from, host, int(leaf.NotAfter.Sub(a.Now)/time.Hour))
}

// traces looks for telephone numbers in what the platform keeps. The business's own is left out.
func (a *auditor) traces(ctx context.Context, s *subject, pod *corev1.Pod, metrics dialer) audit.Outcome {
	own := s.relay.Spec.PhoneNumber
	all := []audit.Outcome{statusText(s).traced(own), a.eventText(ctx, s).traced(own), a.shared.operatorTrace(ctx)}
	if pod != nil {
		all = append(all, a.logText(ctx, pod).traced(own))
	}
	if metrics != nil {
		all = append(all, metricsText(ctx, metrics).traced(own))
	}
	if o := first(all...); o.State != audit.Kept {
		return o
	}
	return kept("status, events, logs and metrics hold nothing that is written like a number")
}

// Text is what one place of the platform says of a relay.
type Text struct {
	Place audit.Place
	Where string // in a sentence
	Show  string // the command that shows it
	Bytes []byte
	// Failed says why it could not be read; nil if it was.
	Failed *audit.Outcome
}

// Texts reads a relay's object, events, logs, metrics and status page. Each call reads them again.
func Texts(ctx context.Context, o Options, relay *v1alpha1.BusinessRelay) ([]Text, error) {
	kube, err := kubernetes.NewForConfig(o.Config)
	if err != nil {
		return nil, fmt.Errorf("connecting to the cluster: %w", err)
	}
	a := &auditor{Options: o, kube: kube}
	a.shared = &shared{auditor: a}
	s := a.gather(ctx, relay)
	all := append([]Text{a.objectText(ctx, s), a.eventText(ctx, s)}, a.operatorTexts(ctx)...)
	pod := s.running()
	if pod == nil {
		failed := s.noPod()
		return append(all, Text{Place: audit.InLogs, Failed: &failed}, Text{Place: audit.InMetrics, Failed: &failed}), nil
	}
	all = append(all, a.logText(ctx, pod))
	ctx, cancel := context.WithTimeout(ctx, connecting)
	defer cancel()
	forwarder, err := forward.Open(ctx, a.Config, pod.Namespace, pod.Name)
	if err != nil {
		failed := unread("pod "+pod.Name+" through the API server", err)
		return append(all, Text{Place: audit.InMetrics, Failed: &failed}, Text{Place: audit.InStatus, Failed: &failed}), nil
	}
	defer func() { _ = forwarder.Close() }()
	return append(all, metricsText(ctx, forwarder), page(ctx, forwarder, audit.InStatus, "/status", "the relay's status page")), nil
}

// traced looks for what is written like a telephone number.
func (t Text) traced(own string) audit.Outcome {
	if t.Failed != nil {
		return *t.Failed
	}
	lines := bufio.NewScanner(bytes.NewReader(t.Bytes))
	lines.Buffer(nil, maxTrace+1)
	for n := 1; lines.Scan(); n++ {
		if holdsNumber(lines.Text(), own) {
			return broken(t.Show, "%s holds what is written like a telephone number, in line %d", t.Where, n)
		}
	}
	return kept("%s: no number", t.Where)
}

// unreadable is a text that could not be read.
func (t Text) unreadable(what string, err error) Text {
	t.Failed = new(unread(what, err))
	return t
}

func statusText(s *subject) Text {
	var text bytes.Buffer
	for _, c := range s.relay.Status.Conditions {
		fmt.Fprintln(&text, c.Message)
	}
	fmt.Fprintln(&text, s.relay.Status.Endpoint.URL, s.relay.Status.Image, s.relay.Status.Region.Node)
	return Text{Place: audit.InStatus, Where: "the status of the BusinessRelay", Show: showRelay(s), Bytes: text.Bytes()}
}

func showRelay(s *subject) string { return "kubectl get brelay " + s.at() + " -o yaml" }

// objectText is the whole BusinessRelay as it is now.
func (a *auditor) objectText(ctx context.Context, s *subject) Text {
	t := Text{Place: audit.InStatus, Where: "the BusinessRelay", Show: showRelay(s)}
	now := get(ctx, a.Client, client.ObjectKeyFromObject(s.relay), &v1alpha1.BusinessRelay{})
	if now.err != nil {
		return t.unreadable(t.Where, now.err)
	}
	raw, err := json.Marshal(now.value)
	if err != nil {
		return t.unreadable(t.Where, err)
	}
	t.Bytes = raw
	return t
}

func (a *auditor) eventText(ctx context.Context, s *subject) Text {
	t := Text{Place: audit.InEvents, Where: "an event of the relay's", Show: "kubectl get events -n " + s.relay.Namespace}
	var list corev1.EventList
	if err := a.Client.List(ctx, &list, client.InNamespace(s.relay.Namespace), client.Limit(maxEvents)); err != nil {
		return t.unreadable("events of namespace "+s.relay.Namespace, err)
	}
	var text bytes.Buffer
	for i := range list.Items {
		e := &list.Items[i]
		name := e.InvolvedObject.Name
		if name == s.relay.Name || len(name) > len(s.relay.Name) && name[:len(s.relay.Name)+1] == s.relay.Name+"-" {
			fmt.Fprintln(&text, e.Reason, e.Message)
		}
	}
	t.Bytes = text.Bytes()
	return t
}

// logText reads the end of a pod's log.
func (a *auditor) logText(ctx context.Context, pod *corev1.Pod) Text {
	t := Text{
		Place: audit.InLogs, Where: "the log of pod " + pod.Name, Show: fmt.Sprintf("kubectl logs %s -n %s --tail %d", pod.Name, pod.Namespace, maxLines),
	}
	stream, err := a.kube.CoreV1().Pods(pod.Namespace).GetLogs(pod.Name, &corev1.PodLogOptions{TailLines: new(int64(maxLines)), LimitBytes: new(int64(maxTrace))}).Stream(ctx)
	if err != nil {
		return t.unreadable(t.Where, err)
	}
	defer func() { _ = stream.Close() }()
	if t.Bytes, err = io.ReadAll(io.LimitReader(stream, maxTrace)); err != nil {
		return t.unreadable(t.Where, err)
	}
	return t
}

// operatorTrace searches the logs of the operator, once. It knows every business's number, and none is left out here.
func (s *shared) operatorTrace(ctx context.Context) audit.Outcome {
	return s.operatorLogs.of(struct{}{}, func() audit.Outcome {
		ctx, cancel := context.WithTimeout(context.WithoutCancel(ctx), connecting) // others wait for it, too
		defer cancel()
		var all []audit.Outcome
		for _, t := range s.operatorTexts(ctx) {
			all = append(all, t.traced(""))
		}
		return first(all...)
	})
}

// operatorTexts are the logs of the operator's pods, or one text that says why there are none.
func (a *auditor) operatorTexts(ctx context.Context) []Text {
	none := Text{Place: audit.InLogs}
	var pods corev1.PodList
	err := a.Client.List(ctx, &pods, client.InNamespace(a.OperatorNamespace), client.MatchingLabels{v1alpha1.LabelComponent: v1alpha1.ComponentManager})
	if err != nil {
		return []Text{none.unreadable("the operator's pods", err)}
	}
	if len(pods.Items) == 0 {
		none.Failed = new(notTried("no pod of the operator is in namespace %s: name that with --operator-namespace", a.OperatorNamespace))
		return []Text{none}
	}
	var all []Text
	for i := range pods.Items {
		all = append(all, a.logText(ctx, &pods.Items[i]))
	}
	return all
}

// metricsText is what monitoring reads of the relay.
func metricsText(ctx context.Context, pod dialer) Text {
	return page(ctx, pod, audit.InMetrics, "/metrics", "a metric of the relay's")
}

// page is what the relay's status port serves below a path.
func page(ctx context.Context, pod dialer, place audit.Place, path, where string) Text {
	t := Text{Place: place, Where: where, Show: fmt.Sprintf("kubectl port-forward POD %d, and read %s there", contract.StatusPort, path)}
	what := "the relay's " + path
	one := &http.Client{Transport: &http.Transport{
		DialContext:       func(context.Context, string, string) (net.Conn, error) { return pod.Dial(contract.StatusPort) },
		DisableKeepAlives: true,
	}}
	request, err := http.NewRequestWithContext(ctx, http.MethodGet, "http://relay"+path, http.NoBody)
	if err != nil {
		return t.unreadable(what, err)
	}
	answer, err := one.Do(request)
	if err != nil {
		return t.unreadable(what, err)
	}
	defer func() { _ = answer.Body.Close() }()
	if t.Bytes, err = io.ReadAll(io.LimitReader(answer.Body, maxTrace)); err != nil {
		return t.unreadable(what, err)
	}
	if answer.StatusCode != http.StatusOK {
		t.Failed = new(notTried("%s: it answered %d", what, answer.StatusCode))
	}
	return t
}
