#!/bin/bash
# client-go: when the API server refuses a port-forward, apierrors.IsForbidden and its like say no, over each transport.
#
# A client that connects to a pod through the API server, as kubectl port-forward does, gets a 403 with a Status when its user
# may not create pods/portforward. A good engineer asks apierrors.IsForbidden, as after any other call, to say which right is
# missing. Over a websocket the StatusError is the Cause of an UpgradeFailureError, which has no Unwrap, so nothing finds it but who knows
# that field. Over SPDY the Status is decoded, and only its message kept, as a new error without a type. With both, the websocket first, as
# kubectl does it, the second attempt's text is what is left.
# So: take the refusal out of UpgradeFailureError.Cause in the function that decides whether to fall back.
#
# Source: k8s.io/client-go, transport/websocket/roundtripper.go and tools/portforward; k8s.io/streaming, pkg/httpstream/spdy; and
# the output below.
. "$(dirname "$0")/lib/common.sh"

version=v0.37.1
cat >main.go <<'GO'
package main

import (
	"errors"
	"fmt"
	"net/http"
	"net/http/httptest"
	"net/url"
	"os"

	apierrors "k8s.io/apimachinery/pkg/api/errors"
	"k8s.io/client-go/rest"
	"k8s.io/client-go/tools/portforward"
	"k8s.io/client-go/transport/spdy"
	"k8s.io/streaming/pkg/httpstream"
)

const refusal = `{"kind":"Status","apiVersion":"v1","status":"Failure","message":"pods \"web-0\" is forbidden","reason":"Forbidden","code":403}`

func main() {
	// It answers as an API server does to who has no right to create pods/portforward.
	server := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) {
		w.Header().Set("Content-Type", "application/json")
		w.WriteHeader(http.StatusForbidden)
		fmt.Fprint(w, refusal)
	}))
	defer server.Close()
	config := &rest.Config{Host: server.URL}
	to, err := url.Parse(server.URL + "/api/v1/namespaces/shop/pods/web-0/portforward")
	must(err)
	transport, upgrader, err := spdy.RoundTripperFor(config)
	must(err)
	older := spdy.NewDialerForStreaming(upgrader, &http.Client{Transport: transport}, http.MethodPost, to)
	websocket, err := portforward.NewSPDYOverWebsocketDialerForStreaming(to, config)
	must(err)
	try("websocket", websocket)
	try("SPDY", older)
	try("websocket, then SPDY", portforward.NewFallbackDialerForStreaming(websocket, older, httpstream.IsUpgradeFailure))
}

func try(name string, d httpstream.Dialer) {
	_, _, err := d.Dial("portforward.k8s.io")
	var failed *httpstream.UpgradeFailureError
	has := errors.As(err, &failed)
	fmt.Printf("%s: forbidden %v; a cause %v", name, apierrors.IsForbidden(err), has)
	if has {
		fmt.Printf(", forbidden %v", apierrors.IsForbidden(failed.Cause))
	}
	fmt.Println()
}

func must(err error) {
	if err != nil {
		fmt.Fprintln(os.Stderr, err)
		os.Exit(2)
	}
}
GO
go_program "k8s.io/client-go@$version"
echo "k8s.io/client-go $version"
expect 'websocket: forbidden false; a cause true, forbidden true
SPDY: forbidden false; a cause false
websocket, then SPDY: forbidden false; a cause false' ./program
