package forward

import (
	"errors"
	"io"
	"net/http"
	"strings"
	"testing"

	corev1 "k8s.io/api/core/v1"
	"k8s.io/streaming/pkg/httpstream"
)

// hasty is a connection over SPDY to a node that says why it cannot connect, and ends the stream of data before it agreed to it.
type hasty struct{ httpstream.Connection }

func (hasty) CreateStream(h http.Header) (httpstream.Stream, error) {
	if h.Get(corev1.StreamType) == corev1.StreamTypeData {
		return nil, errors.New("Stream reset")
	}
	return complaint{Reader: strings.NewReader("nothing listens at port 81")}, nil
}

func (hasty) RemoveStreams(...httpstream.Stream) {}

// complaint is a stream of errors.
type complaint struct {
	httpstream.Stream
	io.Reader
}

func (c complaint) Read(p []byte) (int, error) { return c.Reader.Read(p) }
func (complaint) Close() error                 { return nil }
func (complaint) Reset() error                 { return nil }

func TestDial_SaysWhyANodeRefusedBeforeTheConnectionWasThere(t *testing.T) {
	_, err := (&Forwarder{pod: "acme-relay-0", conn: hasty{}}).Dial(81)
	var refused *RefusedError
	if !errors.As(err, &refused) || refused.Port != 81 || !strings.Contains(err.Error(), "nothing listens at port 81") {
		t.Errorf("error %v", err)
	}
}
