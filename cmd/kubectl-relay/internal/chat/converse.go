// Package chat is a customer in a terminal, or as a filter: it shows one conversation
// with a business, and sends lines of input. It must not know the cluster.
package chat

import (
	"bufio"
	"context"
	"errors"
	"fmt"
	"io"
	"os"
	"time"

	"golang.org/x/sync/errgroup"
	"golang.org/x/term"
	"k8s.io/cli-runtime/pkg/genericiooptions"

	"github.com/relaykeep/relaykeep/cmd/kubectl-relay/internal/exit"
	"github.com/relaykeep/relaykeep/relay/carrier"
	"github.com/relaykeep/relaykeep/relay/carrier/xmpp"
	"github.com/relaykeep/relaykeep/relay/customer"
	"github.com/relaykeep/relaykeep/relay/media"
	"github.com/relaykeep/relaykeep/relay/omemo"
	"github.com/relaykeep/relaykeep/relay/phone"
)

const (
	// connectWithin is how long a filter waits for the link.
	connectWithin = time.Minute
	// flushWithin is how long the last receipts may take at the end.
	flushWithin = 5 * time.Second
	// statusEvery is how often the link's state is checked.
	statusEvery = 250 * time.Millisecond
)

// Options say how a chat goes.
type Options struct {
	To phone.Number // the business
	// FilesDir is where files from the business are saved; empty means that they are not
	// fetched.
	FilesDir string
	Attach   []string // paths of files to send before the first line
	// Expect is how many messages a filter waits for after the last line, for at most
	// Wait.
	Expect int
	Wait   time.Duration
}

// conversation is one run of chat.
type conversation struct {
	Options
	customer *customer.Customer
	link     carrier.Carrier
	view     *view
	online   chan struct{} // closed once, when first online
	files    *transfers
}

// Run runs a chat until its input and waiting time, or ctx, end. It returns exit.ErrNotSeen
// when fewer messages arrived than expected and exit.ErrRefused when the server refuses the
// account.
func Run(ctx context.Context, streams genericiooptions.IOStreams, state *customer.State, config xmpp.Config, o Options) error {
	link, err := xmpp.New(config)
	if err != nil {
		return fmt.Errorf("setting up the connection: %w", err)
	}
	web, err := media.NewCarrier(media.Carrier{Domain: config.Domain, Address: config.Address, CABundle: config.CABundle, OneHost: true})
	if err != nil {
		return fmt.Errorf("setting up transfers: %w", err)
	}
	defer web.Close()
	lines, view, restore, err := openTerminal(streams)
	if err != nil {
		return err
	}
	defer restore()
	c := &conversation{Options: o, link: link, view: view, online: make(chan struct{}), files: newTransfers()}
	c.customer = customer.New(customer.Options{State: state, Carrier: link, Web: web, OnEvent: c.event, Log: config.Log})
	ctx, cancel := context.WithCancel(ctx)
	defer cancel()
	g, gctx := errgroup.WithContext(ctx)
	g.Go(func() error { return c.customer.Run(gctx) })
	g.Go(func() error { return c.watch(gctx) })
	g.Go(func() error { return c.files.sending.run(gctx) })
	g.Go(func() error { return c.files.fetching.run(gctx) })
	g.Go(func() error {
		defer cancel() // a finished conversation ends the rest
		return c.talk(gctx, lines)
	})
	if err := g.Wait(); err != nil && !errors.Is(err, context.Canceled) {
		return err
	}
	return nil
}

// openTerminal returns the lines of the input and where to show things. A terminal
// gets a prompt that incoming lines do not disturb; anything else is a filter.
func openTerminal(streams genericiooptions.IOStreams) (<-chan string, *view, func(), error) {
	in, isFile := streams.In.(*os.File)
	out, outIsFile := streams.Out.(*os.File)
	if !isFile || !outIsFile || !term.IsTerminal(int(in.Fd())) || !term.IsTerminal(int(out.Fd())) {
		scanner := bufio.NewScanner(streams.In)
		scanner.Buffer(nil, omemo.MaxText+2)
		lines := readLines(func() (string, error) {
			if scanner.Scan() {
				return scanner.Text(), nil
			}
			return "", errors.Join(io.EOF, scanner.Err())
		})
		return lines, newView(streams.Out, streams.ErrOut), func() {}, nil
	}
	before, err := term.MakeRaw(int(in.Fd()))
	if err != nil {
		return nil, nil, nil, fmt.Errorf("preparing the terminal: %w", err)
	}
	t := term.NewTerminal(struct {
		io.Reader
		io.Writer
	}{in, out}, "> ")
	restore := func() { _ = term.Restore(int(in.Fd()), before) }
	view := newView(t, t)
	view.interactive = true
	return readLines(t.ReadLine), view, restore, nil
}

// readLines delivers lines until there are no more. The goroutine may outlive the
// chat, blocked on a terminal: the process ends then.
func readLines(next func() (string, error)) <-chan string {
	lines := make(chan string)
	go func() {
		defer close(lines)
		for {
			line, err := next()
			if err != nil {
				return
			}
			lines <- line
		}
	}()
	return lines
}

// talk sends files and the input's lines, and then waits for the expected messages.
func (c *conversation) talk(ctx context.Context, lines <-chan string) error {
	if err := c.attach(ctx); err != nil {
		return err
	}
	for {
		select {
		case <-ctx.Done():
			return ctx.Err()
		case line, more := <-lines:
			if !more {
				return c.finish(ctx)
			}
			if line == "" {
				continue
			}
			if err := c.typed(ctx, line); err != nil {
				return err
			}
		}
	}
}

// say sends one line. In a terminal, a failure does not end the chat: the business may
// become reachable later. A filter ends, because its caller could not learn of the
// failure otherwise.
func (c *conversation) say(ctx context.Context, line string) error {
	id, err := c.customer.Send(ctx, c.To, line)
	switch {
	case err == nil:
		c.view.sent(id)
		return nil
	case errors.Is(err, customer.ErrNoDevice):
		err = fmt.Errorf("sending your message: %w; check with kubectl get brelay -A that the business's relay is ready", err)
	default:
		err = fmt.Errorf("sending your message: %w", err)
	}
	if !c.view.interactive || ctx.Err() != nil {
		return err
	}
	c.view.notef("✗ %v", err)
	return nil
}

// finish waits for the expected messages, for incoming files, and for our last
// receipts.
func (c *conversation) finish(ctx context.Context) error {
	waited, cancel := context.WithTimeout(ctx, c.Wait)
	defer cancel()
	err := c.view.await(waited, c.Expect)
	if filesErr := c.awaitFiles(ctx); err == nil {
		err = filesErr
	}
	flush, cancel := context.WithTimeout(ctx, flushWithin)
	defer cancel()
	if flushErr := c.customer.Flush(flush); flushErr != nil && err == nil {
		err = fmt.Errorf("sending the last receipts: %w", flushErr)
	}
	return err
}

// watch ends the chat when the server refuses the account or cannot be reached, and
// reports what it waits for.
func (c *conversation) watch(ctx context.Context) error {
	tick := time.NewTicker(statusEvery)
	defer tick.Stop()
	deadline := time.NewTimer(connectWithin)
	defer deadline.Stop()
	online, expired := c.online, deadline.C
	var told string
	for {
		select {
		case <-ctx.Done():
			return nil
		case <-online:
			online, expired = nil, nil
		case <-expired:
			s := c.link.Status()
			return fmt.Errorf("no connection to the server within %s: %s %s", connectWithin, s.Reason, s.Detail)
		case <-tick.C:
		}
		s := c.link.Status()
		if ctx.Err() != nil {
			return nil // the link ends with the chat: nothing to report
		}
		switch {
		case s.State == carrier.Refused:
			return fmt.Errorf("%w by the server: %s; add --register if the number has no account yet, or --password-file if it has", exit.ErrRefused, s.Detail)
		case s.State == carrier.Online:
			told = ""
		case s.State == carrier.Disconnected && s.Reason != told:
			told = s.Reason
			c.view.notef("not connected: %s %s", s.Reason, s.Detail)
		}
	}
}

// event shows what happened.
func (c *conversation) event(e customer.Event) {
	if e.Kind == customer.Online {
		select {
		case <-c.online:
		default:
			close(c.online)
			if c.view.interactive {
				c.view.notef("Connected. Enter sends a line, /help lists commands, Ctrl-D ends the chat.")
			}
		}
		return
	}
	if e.Peer != c.To {
		return // another business wrote: this terminal shows one conversation
	}
	if e.Kind == customer.Received {
		c.fetch(e.Text) // before it is shown: the chat may end with what is shown
	}
	c.view.event(e)
}
