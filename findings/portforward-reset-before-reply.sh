#!/bin/bash
# Port-forward over SPDY: to a port at which nothing listens, opening the connection itself may fail, as "Stream reset", while the reason waits unread.
#
# A connection through port-forward is two streams, one for errors and one for data. A good engineer opens both, and reads from
# the stream of errors once the stream of data ends early. The server side that kubelets use hands a new stream on before it has replied
# to it. If forwarding fails at once, the reset may be sent before the reply: then the client's CreateStream for the stream of data
# fails, with an error without a type. Why forwarding failed did arrive, on the stream of errors, which was opened first.
# It is a race; how often it is lost depends on the machine, so this counts until it was lost once.
# So: read the stream of errors also when the stream of data cannot be opened.
#
# Source: k8s.io/cri-streaming, pkg/streaming/portforward/httpstream.go (httpStreamReceived, portForward); k8s.io/streaming,
# pkg/httpstream/spdy/connection.go (newSpdyStream); and the output below.
. "$(dirname "$0")/lib/common.sh"

version=v0.37.1
cat >main.go <<'GO'
package main

import (
	"context"
	"errors"
	"fmt"
	"io"
	"net/http"
	"net/http/httptest"
	"net/url"
	"os"
	"strconv"
	"time"

	corev1 "k8s.io/api/core/v1"
	"k8s.io/apimachinery/pkg/util/runtime"
	"k8s.io/client-go/rest"
	"k8s.io/client-go/transport/spdy"
	"k8s.io/cri-streaming/pkg/streaming/portforward"
	"k8s.io/streaming/pkg/httpstream"
)

// closed is a pod at whose ports nothing listens.
type closed struct{}

func (closed) PortForward(context.Context, string, string, int32, io.ReadWriteCloser) error {
	return errors.New("connection refused")
}

func main() {
	runtime.ErrorHandlers = nil // the server would print each
	server := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		portforward.ServePortForward(w, r, closed{}, "web-0", "", nil, time.Minute, time.Minute, portforward.SupportedProtocols)
	}))
	defer server.Close()
	to, err := url.Parse(server.URL)
	must(err)
	transport, upgrader, err := spdy.RoundTripperFor(&rest.Config{Host: server.URL})
	must(err)
	conn, _, err := spdy.NewDialerForStreaming(upgrader, &http.Client{Transport: transport}, http.MethodPost, to).Dial("portforward.k8s.io")
	must(err)
	for i := range 200000 {
		open := func(kind string) (httpstream.Stream, error) {
			h := http.Header{}
			h.Set(corev1.StreamType, kind)
			h.Set(corev1.PortHeader, "81")
			h.Set(corev1.PortForwardRequestIDHeader, strconv.Itoa(i))
			return conn.CreateStream(h)
		}
		complaints, err := open(corev1.StreamTypeError)
		must(err)
		data, err := open(corev1.StreamTypeData)
		if err == nil {
			_ = data.Reset()
			_ = complaints.Reset()
			conn.RemoveStreams(complaints, data)
			continue
		}
		why, _ := io.ReadAll(complaints)
		fmt.Printf("opening the stream of data: %v\nthe stream of errors: %s\n", err, why)
		return
	}
	fmt.Println("it opened each time")
}

func must(err error) {
	if err != nil {
		fmt.Fprintln(os.Stderr, err)
		os.Exit(2)
	}
}
GO
go_program "k8s.io/client-go@$version" "k8s.io/cri-streaming@$version"
echo "k8s.io/client-go, k8s.io/cri-streaming $version"
expect 'opening the stream of data: Stream reset
the stream of errors: error forwarding port 81 to pod web-0, uid : connection refused' ./program
