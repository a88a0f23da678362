package lab

import (
	"bufio"
	"bytes"
	"context"
	"crypto/tls"
	"crypto/x509"
	"fmt"
	"io"
	"net"
	"net/http"
	"os/exec"
	"path/filepath"
	"strconv"
	"strings"
	"syscall"
	"time"

	"github.com/relaykeep/relaykeep/api/contract"
)

// Customer is someone who writes to a business, with `kubectl relay chat`.
type Customer struct {
	Number string // E.164
	lab    *Lab
	state  string
}

// Customer returns the lab's customer: a number set aside for fiction, and the
// folder of its keys and sessions.
func (l *Lab) Customer() *Customer {
	const number = "+491713920042"
	return &Customer{Number: number, lab: l, state: l.CustomerState()}
}

// CustomerAs returns another customer, of a number, with keys and sessions of its own.
func (l *Lab) CustomerAs(number string) *Customer {
	return &Customer{Number: number, lab: l, state: filepath.Join(l.dir, "customer"+number)}
}

// CustomerState is where the customer's keys and sessions are kept.
func (l *Lab) CustomerState() string { return filepath.Join(l.dir, "customer") }

// Digits is the customer's number as the Cloud API writes it.
func (c *Customer) Digits() string { return strings.TrimPrefix(c.Number, "+") }

// chatPatience is how long a chat may take from its first line to its last.
const chatPatience = 90 * time.Second

// Chat is a running chat, which ends by itself when the expected messages came.
type Chat struct {
	cmd   *exec.Cmd
	lines chan string
	notes *capture
	ended chan struct{} // closed when the process has ended
	err   error         // how it ended, once it has
}

// Say starts a chat that sends a text, or nothing when it is empty, and ends when
// as many messages came as expected. The chat's command line is not recorded
// anywhere, and neither is what is said.
func (c *Customer) Say(ctx context.Context, to *Business, text string, expect int) (*Chat, error) {
	args := []string{
		"relay", "chat", "--as", c.Number, "--to", to.Number, "--register",
		"--state-dir", c.state,
	}
	if expect > 0 {
		args = append(args, "--wait", chatPatience.String(), "--expect", strconv.Itoa(expect))
	}
	cmd := exec.CommandContext(ctx, c.lab.kubectl, args...)
	cmd.Dir, cmd.Env = c.lab.root, c.lab.Env()
	cmd.Cancel = func() error { return cmd.Process.Signal(syscall.SIGTERM) }
	cmd.WaitDelay = 10 * time.Second
	if text != "" {
		cmd.Stdin = strings.NewReader(text + "\n")
	}
	chat := &Chat{cmd: cmd, lines: make(chan string, 64), ended: make(chan struct{}), notes: &capture{}}
	out, err := cmd.StdoutPipe()
	if err != nil {
		return nil, fmt.Errorf("starting a chat: %w", err)
	}
	cmd.Stderr = chat.notes
	if err := cmd.Start(); err != nil {
		return nil, fmt.Errorf("starting a chat: %w", err)
	}
	go chat.read(out)
	return chat, nil
}

func (c *Chat) read(out io.Reader) {
	lines := bufio.NewScanner(out)
	for lines.Scan() {
		if text, ok := strings.CutPrefix(lines.Text(), "<- "); ok {
			c.lines <- text
		}
	}
	close(c.lines)
	c.err = c.cmd.Wait()
	close(c.ended)
}

// Next returns the next message that the customer sees.
func (c *Chat) Next(ctx context.Context) (string, error) {
	select {
	case line, ok := <-c.lines:
		if !ok {
			return "", fmt.Errorf("the chat ended without another message; it said:\n%s", c.Notes())
		}
		return line, nil
	case <-ctx.Done():
		return "", fmt.Errorf("%w; the chat said:\n%s", ctx.Err(), c.Notes())
	}
}

// Wait waits for the end of the chat.
func (c *Chat) Wait(ctx context.Context) error {
	select {
	case <-c.ended:
		if c.err != nil {
			return fmt.Errorf("the chat failed: %w\n%s", c.err, c.Notes())
		}
		return nil
	case <-ctx.Done():
		return ctx.Err()
	}
}

// Sent waits until the carrier has taken what the customer said.
func (c *Chat) Sent(ctx context.Context) error {
	return Poll(ctx, func(ctx context.Context) error {
		if strings.Contains(c.Notes(), "✓") {
			return nil
		}
		select {
		case <-c.ended:
			return Final(c.Wait(ctx))
		default:
			return fmt.Errorf("the server has not taken the message; the chat says:\n%s", c.Notes())
		}
	})
}

// Notes is what the chat has said of itself: the statuses of what was sent.
func (c *Chat) Notes() string { return strings.TrimRight(c.notes.String(), "\n") }

// ReplyScript is how a business answers a customer from a shell: its credentials
// from `kubectl relay`, and one curl.
func (l *Lab) ReplyScript(ctx context.Context, b *Business, to, text string) (string, error) {
	resolve, err := l.Resolve(ctx, b)
	if err != nil {
		return "", err
	}
	return fmt.Sprintf(`eval "$(kubectl relay credentials %s -n %s -o env)"
curl -sS --fail-with-body --max-time 20 --cacert %s --resolve %s \
  -H "Authorization: Bearer $RELAYKEEP_ACCESS_TOKEN" -H 'Content-Type: application/json' \
  -d '{"messaging_product":"whatsapp","to":"%s","type":"text","text":{"body":"%s"}}' \
  "$RELAYKEEP_ENDPOINT/v23.0/$RELAYKEEP_PHONE_NUMBER_ID/messages"`, b.Name, b.Name, l.Short(l.EndpointCA(b)), resolve, to, text), nil
}

// EndpointCA is the file with the authority that signed a business's endpoint's
// certificate.
func (l *Lab) EndpointCA(b *Business) string {
	return filepath.Join(l.dir, "business", b.Name+"-ca.pem")
}

// EndpointClient is a client of a business's endpoint, as a program of the business's
// would be: it trusts the authority that the business was given, and finds the
// endpoint by its address within the cluster.
func (l *Lab) EndpointClient(ctx context.Context, b *Business) (*http.Client, error) {
	known, err := l.Credentials(b)
	if err != nil {
		return nil, err
	}
	address, err := l.serviceAddress(ctx, b)
	if err != nil {
		return nil, err
	}
	pool := x509.NewCertPool()
	if !pool.AppendCertsFromPEM([]byte(known.CACertificate)) {
		return nil, fmt.Errorf("the credentials of %s hold no authority", b.Name)
	}
	target := net.JoinHostPort(address, strconv.Itoa(int(contract.EndpointPort)))
	return &http.Client{
		Timeout: 20 * time.Second,
		Transport: &http.Transport{
			TLSClientConfig: &tls.Config{RootCAs: pool, MinVersion: tls.VersionTLS12},
			DialContext: func(ctx context.Context, network, _ string) (net.Conn, error) {
				return new(net.Dialer).DialContext(ctx, network, target)
			},
		},
	}, nil
}

// Shell runs a script in a shell, at the repository's root, and returns what it
// printed.
func (l *Lab) Shell(ctx context.Context, script string) (string, error) {
	cmd := exec.CommandContext(ctx, "sh", "-c", script)
	cmd.Dir, cmd.Env = l.root, l.Env()
	var out, complaint bytes.Buffer
	cmd.Stdout, cmd.Stderr = &out, &complaint
	if err := cmd.Run(); err != nil {
		return out.String(), fmt.Errorf("%w: %s%s", err, complaint.String(), out.String())
	}
	return out.String(), nil
}

// ChatScript is how to be the customer in a terminal, typed at the repository's
// root.
func (c *Customer) ChatScript(to *Business) string {
	return fmt.Sprintf("kubectl relay chat --as %s --to %s --state-dir %s", c.Number, to.Number, c.lab.Short(c.state))
}

// ShellSetup is what a shell at the repository's root needs to reach the cluster.
func (l *Lab) ShellSetup() string {
	return fmt.Sprintf("export KUBECONFIG=%s PATH=%s:$PATH", l.kubeconfig, l.bin(""))
}

// Short is a path as one would type it at the repository's root.
func (l *Lab) Short(path string) string {
	if short, err := filepath.Rel(l.root, path); err == nil {
		return short
	}
	return path
}
