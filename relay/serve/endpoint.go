package serve

import (
	"context"
	"crypto/tls"
	"errors"
	"fmt"
	"log/slog"
	"net"
	"net/http"
	"path/filepath"
	"time"

	"github.com/cenkalti/backoff/v5"

	"github.com/relaykeep/relaykeep/api/contract"
	"github.com/relaykeep/relaykeep/relay/certfile"
	"github.com/relaykeep/relaykeep/relay/cloudapi"
)

// Limits of the endpoint's connections.
const (
	headerTimeout = 5 * time.Second
	readTimeout   = 15 * time.Second
	writeTimeout  = 30 * time.Second
	idleTimeout   = 2 * time.Minute
	maxHeader     = 16 << 10
	// lingerTime is for how long requests on connections that were taken last are waited for, where further
	// connections wait for another replica.
	lingerTime = 500 * time.Millisecond
)

// newServer returns a server with limits. Its own log lines contain addresses of clients, so
// they are dropped.
func newServer(h http.Handler) *http.Server {
	return &http.Server{
		Handler: h, ReadHeaderTimeout: headerTimeout, ReadTimeout: readTimeout, WriteTimeout: writeTimeout,
		IdleTimeout: idleTimeout, MaxHeaderBytes: maxHeader,
		ErrorLog: slog.NewLogLogger(slog.DiscardHandler, slog.LevelDebug),
	}
}

// serveEndpoint serves the business's endpoint until ctx ends, and then lets running requests
// finish.
func (p *parts) serveEndpoint(ctx context.Context) error {
	server := newServer(cloudapi.New(cloudapi.Options{
		Service:     service{p.messages, newTemplates(p.store), profiles{p.store}},
		Customers:   persons{p.messages},
		DeadLetters: letters{p},
		Ledger:      logFiles{p.ledger},
		Canaries:    canaries{p.messages},
		Requests:    requests{p.messages},
		Number:      p.shownNumber(),
		Token:       p.keys.access.AccessToken,
		Former:      p.keys.former.token(),
		Tokens:      p.tokens,
		HideNumbers: p.cfg.HideNumbers,
		BaseURL:     p.cfg.Endpoint.URL,
		Hosts:       p.hosts(),
		MarkFiles:   p.cfg.Endpoint.SharedHost != "",
		Encryption:  p.keys.encryption.endpoint(),
		Throughput:  p.cfg.Throughput,
		Quality:     func() string { return string(p.signals().Quality) },
		Tier:        func() string { return p.signals().Tier },
		Problems:    p.problems,
		Others:      p.otherNumbers,
		Log:         p.Log, Now: p.Now, Observe: p.metrics.request, Note: p.note,
	}))
	(&connections{most: maxConnections}).bound(server)
	certificates, err := p.certificates(ctx)
	if err != nil {
		return err
	}
	if certificates != nil {
		server.TLSConfig = &tls.Config{
			MinVersion: tls.VersionTLS12, GetCertificate: certificates,
			NextProtos: []string{"h2", "http/1.1"},
		}
	}
	var listener net.Listener
	if p.door != nil {
		listener = p.door.Open()
	} else if listener, err = p.listen(ctx); err != nil {
		return err
	}
	p.state.setServing(true)
	p.Log.LogAttrs(ctx, slog.LevelInfo, "endpoint is up", slog.String("tls", p.cfg.Endpoint.TLS))
	stop := context.AfterFunc(ctx, func() { p.drain(ctx, server) })
	defer stop()
	if server.TLSConfig != nil {
		err = server.ServeTLS(listener, "", "")
	} else {
		err = server.Serve(listener)
	}
	if errors.Is(err, http.ErrServerClosed) {
		<-p.drained
		return ctx.Err()
	}
	return fmt.Errorf("serving the endpoint: %w", err)
}

// drain accepts no new connections and waits for running requests.
func (p *parts) drain(ctx context.Context, server *http.Server) {
	defer close(p.drained)
	p.state.setServing(false)
	ctx, cancel := context.WithTimeout(context.WithoutCancel(ctx), drainTime)
	defer cancel()
	if p.door != nil {
		p.state.setWaiting()
		p.door.Leave()
		// Shutdown cuts connections whose first request has not come yet.
		<-time.After(lingerTime)
	}
	if server.Shutdown(ctx) != nil {
		_ = server.Close()
	}
}

// certificates returns the source of the endpoint's certificate, nil when a gateway terminates
// TLS. It returns once there is a certificate, however long that takes.
func (p *parts) certificates(ctx context.Context) (func(*tls.ClientHelloInfo) (*tls.Certificate, error), error) {
	switch p.cfg.Endpoint.TLS {
	case contract.TLSFromSecret:
		f := certfile.New(filepath.Join(p.TLSDir, "tls.crt"), filepath.Join(p.TLSDir, "tls.key"), p.Now)
		return f.Get, p.untilCertificate(ctx, func() error {
			if f.Load() != nil {
				return errCertificate
			}
			return nil
		})
	case contract.TLSFromPKI:
		c := &issuedCertificate{names: p.names(), sign: p.vault.Certificate, now: p.Now}
		if err := p.untilCertificate(ctx, func() error { return c.renew(ctx) }); err != nil {
			return nil, err
		}
		go c.keep(ctx, p.state.setCertificate)
		return c.get, nil
	}
	return nil, nil
}

// untilCertificate tries until there is a certificate or ctx ends.
func (p *parts) untilCertificate(ctx context.Context, try func() error) error {
	_, err := backoff.Retry(ctx, func() (struct{}, error) {
		err := try()
		p.state.setCertificate(err)
		if err != nil {
			p.Log.LogAttrs(ctx, slog.LevelWarn, "the endpoint has no certificate yet, retrying", slog.Any("error", err))
		}
		return struct{}{}, err
	}, patiently()...)
	return err
}

// names are the names that Vault's PKI signs for this relay: on the network and inside the
// cluster.
func (p *parts) names() []string {
	internal := p.cfg.Name + "." + p.cfg.Namespace + ".svc"
	if p.cfg.Endpoint.Host == internal {
		return []string{internal}
	}
	return []string{p.cfg.Endpoint.Host, internal}
}

// hosts are the names by which clients may ask for this relay.
func (p *parts) hosts() []string {
	if shared := p.cfg.Endpoint.SharedHost; shared != "" {
		return append(p.names(), shared)
	}
	return p.names()
}
