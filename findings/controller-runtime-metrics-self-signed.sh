#!/bin/bash
# controller-runtime: a metrics server that is told where its certificate is serves one of its own making if there is none yet.
#
# An operator serves its metrics over TLS, with a certificate that something else writes into a directory: cert-manager into a
# mounted Secret, for example. If the files are not there when it starts, because the mount or the directory's name is wrong or the
# issuer is late, a good engineer expects an error, or that it waits. It starts without a word, with a self-signed certificate, and goes on
# with that one once the files are there, until the next start. Who scrapes it with verification is refused by a server that seems well; who
# skips verification notices nothing.
# So: look for the files before the manager starts, and do not start without them.
#
# Source: sigs.k8s.io/controller-runtime, pkg/metrics/server (the comment on Options.CertDir); and the output below.
. "$(dirname "$0")/lib/common.sh"

version=v0.25.2
cat >main.go <<'GO'
package main

import (
	"context"
	"crypto/tls"
	"errors"
	"fmt"
	"net"
	"net/http"
	"os"
	"time"

	"k8s.io/client-go/rest"
	"sigs.k8s.io/controller-runtime/pkg/metrics/server"
)

func main() {
	dir, err := os.MkdirTemp(".", "certificates")
	must(err)
	l, err := net.Listen("tcp", "127.0.0.1:0")
	must(err)
	addr := l.Addr().String()
	must(l.Close())

	s, err := server.NewServer(server.Options{SecureServing: true, CertDir: dir, BindAddress: addr}, &rest.Config{}, http.DefaultClient)
	must(err)
	ctx, cancel := context.WithTimeout(context.Background(), time.Minute)
	defer cancel()
	ended := make(chan error, 1)
	go func() { ended <- s.Start(ctx) }()
	var conn *tls.Conn
	for conn == nil {
		select {
		case err := <-ended:
			fmt.Println("it does not start:", err)
			return
		case <-time.After(100 * time.Millisecond):
		}
		if conn, err = tls.Dial("tcp", addr, &tls.Config{InsecureSkipVerify: true}); err != nil {
			conn = nil
		}
	}
	served := conn.ConnectionState().PeerCertificates[0]
	own := served.CheckSignatureFrom(conn.ConnectionState().PeerCertificates[len(conn.ConnectionState().PeerCertificates)-1]) == nil
	entries, err := os.ReadDir(dir)
	must(err)
	fmt.Printf("files in the directory: %d; it serves: true; signed by what it sends itself: %v\n", len(entries), own)
	cancel()
	if err := <-ended; err != nil && !errors.Is(err, context.Canceled) {
		fmt.Println("it ended with an error")
	}
}

func must(err error) {
	if err != nil {
		fmt.Fprintln(os.Stderr, err)
		os.Exit(2)
	}
}
GO
go_program "sigs.k8s.io/controller-runtime@$version"
echo "sigs.k8s.io/controller-runtime $version"
expect 'files in the directory: 0; it serves: true; signed by what it sends itself: true' ./program
