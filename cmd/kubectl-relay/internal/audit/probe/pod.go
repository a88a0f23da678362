package probe

import (
	"bufio"
	"bytes"
	"context"
	"crypto/tls"
	"crypto/x509"
	"errors"
	"fmt"
	"io"
	"net"
	"net/http"
	"net/url"
	"time"

	corev1 "k8s.io/api/core/v1"
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
	all := []audit.Outcome{a.statusTrace(s), a.eventTrace(ctx, s), a.shared.operatorTrace(ctx)}
	if pod != nil {
		all = append(all, a.logTrace(ctx, pod, s.relay.Spec.PhoneNumber))
	}
	if metrics != nil {
		all = append(all, metricsTrace(ctx, metrics, s.relay.Spec.PhoneNumber))
	}
	if o := first(all...); o.State != audit.Kept {
		return o
	}
	return kept("status, events, logs and metrics hold nothing that is written like a number")
}

// traced is the outcome of a search.
func traced(where, show, own string, text []byte) audit.Outcome {
	lines := bufio.NewScanner(bytes.NewReader(text))
	lines.Buffer(nil, maxTrace+1)
	for n := 1; lines.Scan(); n++ {
		if holdsNumber(lines.Text(), own) {
			return broken(show, "%s holds what is written like a telephone number, in line %d", where, n)
		}
	}
	return kept("%s: no number", where)
}

func (a *auditor) statusTrace(s *subject) audit.Outcome {
	var text bytes.Buffer
	for _, c := range s.relay.Status.Conditions {
		fmt.Fprintln(&text, c.Message)
	}
	fmt.Fprintln(&text, s.relay.Status.Endpoint.URL, s.relay.Status.Image, s.relay.Status.Region.Node)
	return traced("the status of the BusinessRelay", "kubectl get brelay "+s.at()+" -o yaml", s.relay.Spec.PhoneNumber, text.Bytes())
}

func (a *auditor) eventTrace(ctx context.Context, s *subject) audit.Outcome {
	var list corev1.EventList
	if err := a.Client.List(ctx, &list, client.InNamespace(s.relay.Namespace), client.Limit(maxEvents)); err != nil {
		return unread("events of namespace "+s.relay.Namespace, err)
	}
	var text bytes.Buffer
	for i := range list.Items {
		e := &list.Items[i]
		name := e.InvolvedObject.Name
		if name == s.relay.Name || len(name) > len(s.relay.Name) && name[:len(s.relay.Name)+1] == s.relay.Name+"-" {
			fmt.Fprintln(&text, e.Reason, e.Message)
		}
	}
	return traced("an event of the relay's", "kubectl get events -n "+s.relay.Namespace, s.relay.Spec.PhoneNumber, text.Bytes())
}

// logTrace searches the end of a pod's log.
func (a *auditor) logTrace(ctx context.Context, pod *corev1.Pod, own string) audit.Outcome {
	stream, err := a.kube.CoreV1().Pods(pod.Namespace).GetLogs(pod.Name, &corev1.PodLogOptions{TailLines: new(int64(maxLines)), LimitBytes: new(int64(maxTrace))}).Stream(ctx)
	if err != nil {
		return unread("the log of pod "+pod.Name, err)
	}
	defer func() { _ = stream.Close() }()
	text, err := io.ReadAll(io.LimitReader(stream, maxTrace))
	if err != nil {
		return unread("the log of pod "+pod.Name, err)
	}
	return traced("the log of pod "+pod.Name, fmt.Sprintf("kubectl logs %s -n %s --tail %d", pod.Name, pod.Namespace, maxLines), own, text)
}

// operatorTrace searches the logs of the operator, once. It knows every business's number, and none is left out here.
func (s *shared) operatorTrace(ctx context.Context) audit.Outcome {
	return s.operatorLogs.of(struct{}{}, func() audit.Outcome {
		ctx, cancel := context.WithTimeout(context.WithoutCancel(ctx), connecting) // others wait for it, too
		defer cancel()
		var pods corev1.PodList
		err := s.Client.List(ctx, &pods, client.InNamespace(s.OperatorNamespace), client.MatchingLabels{v1alpha1.LabelComponent: v1alpha1.ComponentManager})
		if err != nil {
			return unread("the operator's pods", err)
		}
		if len(pods.Items) == 0 {
			return notTried("no pod of the operator is in namespace %s: name that with --operator-namespace", s.OperatorNamespace)
		}
		var all []audit.Outcome
		for i := range pods.Items {
			all = append(all, s.logTrace(ctx, &pods.Items[i], ""))
		}
		return first(all...)
	})
}

// metricsTrace searches what monitoring reads of the relay.
func metricsTrace(ctx context.Context, pod dialer, own string) audit.Outcome {
	one := &http.Client{Transport: &http.Transport{
		DialContext:       func(context.Context, string, string) (net.Conn, error) { return pod.Dial(contract.StatusPort) },
		DisableKeepAlives: true,
	}}
	request, err := http.NewRequestWithContext(ctx, http.MethodGet, "http://relay/metrics", http.NoBody)
	if err != nil {
		return unread("the relay's metrics", err)
	}
	answer, err := one.Do(request)
	if err != nil {
		return unread("the relay's metrics", err)
	}
	defer func() { _ = answer.Body.Close() }()
	text, err := io.ReadAll(io.LimitReader(answer.Body, maxTrace))
	if err != nil {
		return unread("the relay's metrics", err)
	}
	if answer.StatusCode != http.StatusOK {
		return notTried("the relay's metrics: it answered %d", answer.StatusCode)
	}
	return traced("a metric of the relay's", fmt.Sprintf("kubectl port-forward POD %d, and read /metrics there", contract.StatusPort), own, text)
}
