package media

import (
	"bytes"
	"context"
	"crypto/tls"
	"crypto/x509"
	"errors"
	"fmt"
	"io"
	"net"
	"net/http"
	"net/netip"
	"net/url"
	"slices"
	"strconv"
	"strings"
	"time"
)

// Errors of transfers that a caller decides on; anything else may work later.
var (
	// ErrGone means that the web server has no such file, or does not give it to us.
	ErrGone = errors.New("media: the web server does not serve the file")
	// ErrTooLarge means that a file exceeds the limit.
	ErrTooLarge = errors.New("media: the file is too large")
	// ErrURL means that the relay does not follow such a link.
	ErrURL = errors.New("media: the relay does not follow such a link")
)

// Limits of a transfer.
const (
	// TransferTime is how long one transfer may take.
	TransferTime = 10 * time.Minute
	// stall is how long a transfer may go without progress.
	stall        = 30 * time.Second
	dialTime     = 10 * time.Second
	maxRedirects = 5
	maxHeader    = 64 << 10
)

// Client moves files over HTTP. Make one with NewPublic or NewCarrier. It is safe
// for concurrent use.
type Client struct {
	http    *http.Client
	plain   bool // http is followed as well as https
	oneHost bool // redirects to another host are not followed
}

// NewPublic returns a client for a business's links. It connects to public addresses only,
// whatever names resolve to and wherever redirects lead; a link to one of the private hosts, which are
// names in lower case, may also lead to a private network. Allow, when not nil, permits further
// addresses; it is for tests.
func NewPublic(allow func(netip.Addr) bool, private ...string) *Client {
	open := func(a netip.Addr) bool { return public(a) || allow != nil && allow(a) }
	outside := guard(&net.Dialer{Timeout: dialTime}, open)
	inside := guard(&net.Dialer{Timeout: dialTime}, func(a netip.Addr) bool { return open(a) || reachable(a) })
	dial := func(ctx context.Context, network, address string) (net.Conn, error) {
		host, _, err := net.SplitHostPort(address)
		if err == nil && slices.Contains(private, strings.ToLower(strings.TrimSuffix(host, "."))) {
			return inside.DialContext(ctx, network, address)
		}
		return outside.DialContext(ctx, network, address)
	}
	return newClient(dial, nil, true)
}

// Carrier says where a carrier's web server is.
type Carrier struct {
	Domain string
	// Address is the host:port of the carrier itself, when the domain does not resolve to it;
	// its web server is then expected on the same host. It may be any IP address, even a
	// loopback address, which is refused otherwise.
	Address string
	// CABundle is PEM; empty means the system's authorities.
	CABundle []byte
	// OneHost means that redirects to another host or port are not followed.
	OneHost bool
}

// NewCarrier returns a client for the carrier's upload service: https only, with
// certificates of the carrier's authority.
func NewCarrier(c Carrier) (*Client, error) {
	config := &tls.Config{MinVersion: tls.VersionTLS12}
	if len(c.CABundle) > 0 {
		config.RootCAs = x509.NewCertPool()
		if !config.RootCAs.AppendCertsFromPEM(c.CABundle) {
			return nil, errors.New("media: CA bundle holds no certificate in PEM")
		}
	}
	dialer := guard(&net.Dialer{Timeout: dialTime}, func(a netip.Addr) bool { return reachable(a) || c.at(a) })
	dial := func(ctx context.Context, network, address string) (net.Conn, error) {
		return dialer.DialContext(ctx, network, c.route(address))
	}
	client := newClient(dial, config, false)
	client.oneHost = c.OneHost
	return client, nil
}

// route directs connections to the carrier's domain to the carrier's address.
func (c Carrier) route(address string) string {
	host, port, err := net.SplitHostPort(address)
	if err != nil || c.Address == "" || !c.Owns(host) {
		return address
	}
	to, _, err := net.SplitHostPort(c.Address)
	if err != nil {
		return address
	}
	return net.JoinHostPort(to, port)
}

// at says whether an address is the carrier's configured one. That makes a carrier on this
// machine reachable, and nothing else on it.
func (c Carrier) at(a netip.Addr) bool {
	configured, err := netip.ParseAddrPort(c.Address)
	return err == nil && configured.Addr().Unmap() == a.Unmap()
}

// Owns says whether a host is the carrier's domain or below it.
func (c Carrier) Owns(host string) bool {
	host = strings.ToLower(strings.TrimSuffix(host, "."))
	return host == c.Domain || strings.HasSuffix(host, "."+c.Domain)
}

func newClient(dial func(context.Context, string, string) (net.Conn, error), config *tls.Config, plain bool) *Client {
	c := &Client{plain: plain}
	c.http = &http.Client{
		Transport: &http.Transport{
			DialContext: dial, TLSClientConfig: config, TLSHandshakeTimeout: dialTime, ForceAttemptHTTP2: true,
			ResponseHeaderTimeout: stall, ExpectContinueTimeout: time.Second, IdleConnTimeout: time.Minute,
			MaxIdleConns: 8, MaxResponseHeaderBytes: maxHeader, DisableCompression: true,
		},
		CheckRedirect: func(r *http.Request, via []*http.Request) error {
			if len(via) > maxRedirects {
				return fmt.Errorf("%w: too many redirects", ErrURL)
			}
			if c.oneHost && r.URL.Host != via[0].URL.Host {
				return fmt.Errorf("%w: it leads on to another host", ErrURL)
			}
			return c.follows(r.URL)
		},
	}
	return c
}

// Close drops idle connections.
func (c *Client) Close() { c.http.CloseIdleConnections() }

// follows returns an error for a link that the client does not follow.
func (c *Client) follows(u *url.URL) error {
	switch {
	case u.Scheme != "https" && (u.Scheme != "http" || !c.plain):
		return fmt.Errorf("%w: its scheme is not followed", ErrURL)
	case u.Hostname() == "" || u.User != nil || u.Opaque != "":
		return fmt.Errorf("%w: it has no host, or a password", ErrURL)
	}
	return nil
}

// File is a file that is being downloaded. Reading past the limit returns ErrTooLarge. Close
// ends the download.
type File struct {
	Type string // media type as the web server said it, or ""
	Name string // from the link; may be empty
	io.ReadCloser
}

// GuessType sets Type by the name and the beginning of a file whose web server does not say what
// it is. The file can still be read whole. Its errors are those of reading.
func (f *File) GuessType() error {
	switch f.Type {
	case "", "application/octet-stream", "binary/octet-stream":
	default:
		return nil
	}
	beginning := make([]byte, Sniffed)
	n, err := io.ReadFull(f, beginning)
	if err != nil && !errors.Is(err, io.EOF) && !errors.Is(err, io.ErrUnexpectedEOF) {
		return err
	}
	beginning, body := beginning[:n], f.ReadCloser
	f.Type = Guess(f.Name, beginning)
	f.ReadCloser = download{io.MultiReader(bytes.NewReader(beginning), body), func() { _ = body.Close() }}
	return nil
}

// download is a File's body.
type download struct {
	io.Reader
	end func()
}

func (d download) Close() error { d.end(); return nil }

// Get begins to download a file of at most limit bytes. Its errors do not contain the link.
func (c *Client) Get(ctx context.Context, link string, limit int64) (*File, error) {
	r, err := c.request(ctx, http.MethodGet, link, http.NoBody)
	if err != nil {
		return nil, err
	}
	ctx, watch := watched(ctx)
	response, err := c.http.Do(r.WithContext(ctx))
	if err != nil {
		watch.end()
		return nil, hidden(err)
	}
	end := func() { watch.end(); _ = response.Body.Close() }
	if err := statusError(response.StatusCode); err != nil {
		end()
		return nil, err
	}
	if response.ContentLength > limit {
		end()
		return nil, ErrTooLarge
	}
	body := readerFunc(func(p []byte) (int, error) {
		n, err := response.Body.Read(p)
		return n, hidden(err)
	})
	return &File{
		Type: Type(response.Header.Get("Content-Type")), Name: CleanName(r.URL.Path),
		ReadCloser: download{Bounded(watch.reader(body), limit), end},
	}, nil
}

// Put uploads a file of exactly size bytes, with headers that the carrier asked for.
func (c *Client) Put(ctx context.Context, link string, header http.Header, body io.Reader, size int64) error {
	ctx, watch := watched(ctx)
	defer watch.end()
	r, err := c.request(ctx, http.MethodPut, link, watch.reader(body))
	if err != nil {
		return err
	}
	for name, values := range header {
		r.Header[name] = values
	}
	r.ContentLength = size
	r.Header.Set("Content-Type", "application/octet-stream")
	response, err := c.http.Do(r)
	if err != nil {
		return hidden(err)
	}
	defer response.Body.Close()
	return statusError(response.StatusCode)
}

func (c *Client) request(ctx context.Context, method, link string, body io.Reader) (*http.Request, error) {
	r, err := http.NewRequestWithContext(ctx, method, link, body)
	if err != nil {
		return nil, ErrURL // err would contain the link
	}
	if err := c.follows(r.URL); err != nil {
		return nil, err
	}
	r.Header.Set("User-Agent", "relaykeep")
	return r, nil
}

// statusError sorts a web server's answers.
func statusError(status int) error {
	switch {
	case status >= 200 && status < 300:
		return nil
	case status == http.StatusRequestEntityTooLarge:
		return ErrTooLarge
	case status >= 400 && status < 500 && status != http.StatusRequestTimeout && status != http.StatusTooManyRequests:
		return fmt.Errorf("%w: it answers %s", ErrGone, strconv.Itoa(status))
	}
	return fmt.Errorf("media: the web server answers %d", status)
}

// hidden removes the link from an error of net/http, and addresses and names from one of the
// dialer.
func hidden(err error) error {
	if err == nil || err == io.EOF { //nolint:errorlint // readers return it as it is
		return err
	}
	for _, known := range []error{ErrAddress, ErrURL, ErrTooLarge, context.DeadlineExceeded, context.Canceled, errStalled} {
		if errors.Is(err, known) {
			return fmt.Errorf("media: transfer: %w", known)
		}
	}
	unknown := (*net.DNSError)(nil)
	if errors.As(err, &unknown) && unknown.IsNotFound {
		return fmt.Errorf("%w: its host is unknown", ErrGone)
	}
	certificate := (*tls.CertificateVerificationError)(nil)
	if errors.As(err, &certificate) {
		return errors.New("media: transfer: the web server's certificate is not trusted")
	}
	return errors.New("media: transfer: the web server cannot be reached, or the connection broke")
}

// errStalled means that a transfer made no progress.
var errStalled = errors.New("media: the transfer makes no progress")

// watcher ends a transfer that makes no progress or takes too long.
type watcher struct {
	timer *time.Timer
	end   func()
}

func watched(ctx context.Context) (context.Context, *watcher) {
	ctx, stop := context.WithTimeout(ctx, TransferTime)
	ctx, cancel := context.WithCancelCause(ctx)
	w := &watcher{timer: time.AfterFunc(stall, func() { cancel(errStalled) })}
	w.end = func() {
		w.timer.Stop()
		cancel(nil)
		stop()
	}
	return ctx, w
}

// reader notes progress each time something is read.
func (w *watcher) reader(r io.Reader) io.Reader {
	return readerFunc(func(p []byte) (int, error) {
		w.timer.Reset(stall)
		return r.Read(p)
	})
}

type readerFunc func([]byte) (int, error)

func (f readerFunc) Read(p []byte) (int, error) { return f(p) }

// bounded returns ErrTooLarge once more than left bytes were read.
type bounded struct {
	r    io.Reader
	left int64
}

func (b *bounded) Read(p []byte) (int, error) {
	n, err := b.r.Read(p)
	if b.left -= int64(n); b.left < 0 {
		return 0, ErrTooLarge
	}
	return n, err
}

// Bounded reads at most limit bytes of r; past that it returns ErrTooLarge.
func Bounded(r io.Reader, limit int64) io.Reader { return &bounded{r: r, left: limit} }
