// Package forward opens connections to a pod's ports through the API server, as kubectl port-forward does, but without a
// port on this machine that others could use. It must not know what is said on them.
package forward

import (
	"context"
	"errors"
	"fmt"
	"net"
	"net/http"
	"net/url"
	"strconv"
	"sync/atomic"

	corev1 "k8s.io/api/core/v1"
	apierrors "k8s.io/apimachinery/pkg/api/errors"
	clientgoscheme "k8s.io/client-go/kubernetes/scheme"
	"k8s.io/client-go/rest"
	"k8s.io/client-go/tools/portforward"
	"k8s.io/client-go/transport/spdy"
	"k8s.io/streaming/pkg/httpstream"
)

// Forwarder opens connections to the ports of one pod. It is safe for concurrent use.
type Forwarder struct {
	pod      string
	conn     httpstream.Connection
	requests atomic.Int64
}

// Open connects to a pod through the API server: over a websocket, or over SPDY if the API server or a proxy before it
// accepts no websocket. It returns the API server's refusal so that apierrors knows it. The context bounds the
// connecting only.
func Open(ctx context.Context, config *rest.Config, namespace, pod string) (*Forwarder, error) {
	dialer, err := dialerOf(config, namespace, pod)
	if err != nil {
		return nil, fmt.Errorf("preparing a connection to pod %s: %w", pod, err)
	}
	type answer struct {
		conn httpstream.Connection
		err  error
	}
	answers := make(chan answer, 1)
	go func() { // the dialer knows no context
		conn, _, err := dialer.Dial(portforward.PortForwardProtocolV1Name)
		answers <- answer{conn, err}
	}()
	select {
	case a := <-answers:
		if a.err != nil {
			return nil, fmt.Errorf("connecting to pod %s through the API server: %w", pod, a.err)
		}
		return &Forwarder{pod: pod, conn: a.conn}, nil
	case <-ctx.Done():
		go func() {
			if a := <-answers; a.conn != nil {
				_ = a.conn.Close()
			}
		}()
		return nil, fmt.Errorf("connecting to pod %s through the API server: %w", pod, ctx.Err())
	}
}

// dialerOf returns what connects to a pod, as kubectl does it.
func dialerOf(config *rest.Config, namespace, pod string) (httpstream.Dialer, error) {
	at, err := address(config, namespace, pod)
	if err != nil {
		return nil, err
	}
	websocket, err := portforward.NewSPDYOverWebsocketDialerForStreaming(at, config)
	if err != nil {
		return nil, err
	}
	transport, upgrader, err := spdy.RoundTripperFor(config)
	if err != nil {
		return nil, err
	}
	older := spdy.NewDialerForStreaming(upgrader, &http.Client{Transport: transport}, http.MethodPost, at)
	d := &dialer{}
	d.Dialer = portforward.NewFallbackDialerForStreaming(websocket, older, func(err error) bool {
		var failed *httpstream.UpgradeFailureError
		if errors.As(err, &failed) {
			_ = errors.As(failed.Cause, &d.refused)
		}
		return failed != nil || httpstream.IsHTTPSProxyError(err)
	})
	return d, nil
}

// dialer remembers how the API server refused a websocket. SPDY, which is tried after it, words a refusal as a text.
type dialer struct {
	httpstream.Dialer
	refused *apierrors.StatusError
}

// Dial implements httpstream.Dialer.
func (d *dialer) Dial(protocols ...string) (httpstream.Connection, string, error) {
	conn, protocol, err := d.Dialer.Dial(protocols...)
	if err != nil && d.refused != nil {
		err = &refusal{err, d.refused}
	}
	return conn, protocol, err
}

// refusal is a refusal in the words of the last attempt, and of the kind of the first.
type refusal struct {
	error
	kind *apierrors.StatusError
}

// Unwrap lets apierrors know the kind.
func (r *refusal) Unwrap() error { return r.kind }

// address is the URL of a pod's subresource portforward.
func address(config *rest.Config, namespace, pod string) (*url.URL, error) {
	core := rest.CopyConfig(config)
	core.GroupVersion, core.APIPath = &corev1.SchemeGroupVersion, "/api"
	core.NegotiatedSerializer = clientgoscheme.Codecs.WithoutConversion()
	client, err := rest.RESTClientFor(core)
	if err != nil {
		return nil, err
	}
	return client.Post().Resource("pods").Namespace(namespace).Name(pod).SubResource("portforward").URL(), nil
}

// Dial connects to a port of the pod. Whether something listens there shows here, when the node is quick, or when the
// connection is read from: both end with a RefusedError.
func (f *Forwarder) Dial(port int32) (net.Conn, error) {
	id := strconv.FormatInt(f.requests.Add(1), 10)
	open := func(kind string) (httpstream.Stream, error) {
		headers := http.Header{}
		headers.Set(corev1.StreamType, kind)
		headers.Set(corev1.PortHeader, strconv.Itoa(int(port)))
		headers.Set(corev1.PortForwardRequestIDHeader, id)
		return f.conn.CreateStream(headers)
	}
	stream, err := open(corev1.StreamTypeError)
	if err != nil {
		return nil, fmt.Errorf("opening port %d of pod %s: %w", port, f.pod, err)
	}
	_ = stream.Close() // we send nothing on it
	complaints := listen(stream)
	data, err := open(corev1.StreamTypeData)
	if err != nil { // over SPDY a node may end a stream before it has agreed to it
		err = f.explain(port, complaints, err)
		_ = stream.Reset()
		f.conn.RemoveStreams(stream)
		return nil, fmt.Errorf("opening port %d of pod %s: %w", port, f.pod, err)
	}
	return &conn{forwarder: f, port: port, data: data, complaints: complaints}, nil
}

// Close ends all connections to the pod.
func (f *Forwarder) Close() error { return f.conn.Close() }
