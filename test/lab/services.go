package lab

import (
	"cmp"
	"context"
	"crypto/tls"
	"crypto/x509"
	"errors"
	"fmt"
	"net/http"
	"os"
	"path/filepath"
	"strings"
	"time"

	"github.com/relaykeep/relaykeep/test/lab/authority"
	"github.com/relaykeep/relaykeep/test/lab/process"
	"github.com/relaykeep/relaykeep/test/services/prosody"
)

// Names of the services' processes; Stop and Start take them.
func vaultProcess(r *Region) string     { return "vault-" + cmp.Or(r.vaultOf, r.Name) }
func prosodyProcess(r *Region) string   { return "prosody-" + r.Name }
func webhookProcess(b *Business) string { return "webhook-" + b.Name }

// patience is how long a service of this machine may take to answer.
const patience = 60 * time.Second

// openAuthority opens the lab's certificate authority.
func (l *Lab) openAuthority() (err error) {
	if l.authority == nil {
		l.authority, err = authority.Open(filepath.Join(l.dir, "ca"))
	}
	return err
}

// certificate returns a server's certificate, its key and the lab's authority, PEM.
func (l *Lab) certificate(name string, hosts ...string) (chain, key, ca []byte, err error) {
	pair, err := l.authority.Server(name, hosts...)
	if err != nil {
		return nil, nil, nil, err
	}
	if chain, err = os.ReadFile(pair.Cert); err == nil {
		key, err = os.ReadFile(pair.Key)
	}
	if err != nil {
		return nil, nil, nil, fmt.Errorf("reading the certificate of %s: %w", name, err)
	}
	return chain, key, []byte(l.authority.PEM()), nil
}

// prosody prepares a region's Prosody. Anyone may register an account at it, as a
// relay and a customer of the demo do.
func (l *Lab) prosody(r *Region) (*prosody.Server, error) {
	if err := l.openAuthority(); err != nil {
		return nil, err
	}
	chain, key, ca, err := l.certificate(prosodyProcess(r), r.Domain)
	if err != nil {
		return nil, err
	}
	return prosody.Prepare(l.ProsodyData(r), prosody.Options{
		Domains: []string{r.Domain}, Address: l.ProsodyAddress(r), Registration: true,
		UploadAddress: l.at(r.uploadPort),
		TLS:           &prosody.Certificate{Chain: chain, Key: key, CA: ca},
	})
}

// ProsodyData is the folder of everything that a region's Prosody writes.
func (l *Lab) ProsodyData(r *Region) string { return filepath.Join(l.dir, prosodyProcess(r)) }

func (l *Lab) startProsodies(ctx context.Context) (string, error) {
	if err := prosody.Install(ctx); err != nil {
		return "", err
	}
	var evidence strings.Builder
	for _, r := range regions() {
		s, err := l.prosody(r)
		if err != nil {
			return "", err
		}
		cmd := s.Command()
		err = l.keeper.Start(ctx, process.Spec{
			Name: prosodyProcess(r), Path: cmd.Path, Args: cmd.Args[1:], Dir: cmd.Dir,
			Env: plainEnv(), Log: filepath.Join(s.Dir, "console.log"),
		})
		if err != nil {
			return "", err
		}
		if err := waitWith(ctx, s.Wait); err != nil {
			return "", err
		}
		fmt.Fprintf(&evidence, "%s at %s\n", r.Domain, s.Addr)
	}
	return evidence.String(), nil
}

// startReceivers starts the businesses' webhooks. They refuse everything until
// they have their credentials, which come into being with the relays.
func (l *Lab) startReceivers(ctx context.Context) (string, error) {
	if err := l.openAuthority(); err != nil {
		return "", err
	}
	if err := os.MkdirAll(filepath.Join(l.dir, "business"), 0o700); err != nil {
		return "", fmt.Errorf("making the businesses' folder: %w", err)
	}
	var evidence strings.Builder
	for _, b := range businesses() {
		if err := l.startReceiver(ctx, b); err != nil {
			return "", err
		}
		fmt.Fprintf(&evidence, "%s of %s\n", l.WebhookURL(b), b.Name)
	}
	return evidence.String(), nil
}

func (l *Lab) startReceiver(ctx context.Context, b *Business) error {
	pair, err := l.authority.Server(webhookProcess(b), l.address)
	if err != nil {
		return err
	}
	err = l.keeper.Start(ctx, process.Spec{
		Name: webhookProcess(b), Path: l.bin("lab-receiver"), Dir: l.dir, Env: plainEnv(), Log: l.WebhookLog(b),
		Args: []string{"-listen", l.at(b.webhookPort), "-cert", pair.Cert, "-key", pair.Key, "-credentials", l.credentialsFile(b)},
	})
	if err != nil {
		return err
	}
	return waitWith(ctx, func(ctx context.Context) error { return l.answers(ctx, l.WebhookURL(b)) })
}

// credentialsFile is what a business keeps of its relay's credentials.
func (l *Lab) credentialsFile(b *Business) string {
	return filepath.Join(l.dir, "business", b.Name+".json")
}

// answers waits until a server that shows a certificate of the lab's authority
// answers anything at all.
func (l *Lab) answers(ctx context.Context, url string) error {
	c := l.httpClient()
	return Poll(ctx, func(ctx context.Context) error {
		req, err := http.NewRequestWithContext(ctx, http.MethodGet, url, http.NoBody)
		if err != nil {
			return err
		}
		res, err := c.Do(req)
		if err != nil {
			return err
		}
		return res.Body.Close()
	})
}

// httpClient trusts the lab's authority and nobody else.
func (l *Lab) httpClient() *http.Client {
	pool := x509.NewCertPool()
	pool.AppendCertsFromPEM([]byte(l.authority.PEM()))
	return &http.Client{
		Timeout:   5 * time.Second,
		Transport: &http.Transport{TLSClientConfig: &tls.Config{RootCAs: pool, MinVersion: tls.VersionTLS12}, DisableKeepAlives: true},
	}
}

// plainEnv is the environment of the services: what everyone may know.
func plainEnv() []string {
	return []string{"PATH=" + os.Getenv("PATH"), "HOME=/nonexistent", "LANG=C.UTF-8"}
}

// waitWith gives wait the lab's patience.
func waitWith(ctx context.Context, wait func(context.Context) error) error {
	ctx, cancel := context.WithTimeout(ctx, patience)
	defer cancel()
	return wait(ctx)
}

// finalError ends a Poll.
type finalError struct{ error }

func (f finalError) Unwrap() error { return f.error }

// Final marks an error that no further try mends: Poll returns it at once.
func Final(err error) error { return finalError{err} }

// Poll tries until try succeeds or fails for good, and returns its last error when
// ctx ends first.
func Poll(ctx context.Context, try func(context.Context) error) error {
	tick := time.NewTicker(250 * time.Millisecond)
	defer tick.Stop()
	for {
		err := try(ctx)
		if err == nil {
			return nil
		}
		if final, ok := errors.AsType[finalError](err); ok {
			return final.error
		}
		select {
		case <-tick.C:
		case <-ctx.Done():
			return fmt.Errorf("%w (%w)", err, ctx.Err())
		}
	}
}
