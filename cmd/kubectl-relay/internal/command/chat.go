package command

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"os"
	"path/filepath"
	"strings"
	"time"

	"github.com/spf13/cobra"
	"k8s.io/cli-runtime/pkg/genericiooptions"

	"github.com/relaykeep/relaykeep/cmd/kubectl-relay/internal/chat"
	"github.com/relaykeep/relaykeep/relay/carrier/xmpp"
	"github.com/relaykeep/relaykeep/relay/customer"
	"github.com/relaykeep/relaykeep/relay/phone"
)

const (
	// chatResource is this client's XMPP resource.
	chatResource = "kubectl-relay"
	// defaultWait is how long --expect waits without --wait.
	defaultWait = 30 * time.Second
)

// chatFlags are chat's own flags.
type chatFlags struct {
	as, to             string
	server, domain, ca string
	stateDir           string
	passwordFile       string
	register, verbose  bool
	filesDir           string
	attach             []string
	wait               time.Duration
	expect             int
}

func newChat(streams genericiooptions.IOStreams) *cobra.Command {
	var f chatFlags
	cmd := &cobra.Command{
		Use:   "chat --as NUMBER --to NUMBER",
		Short: "Be a customer in this terminal",
		Long: `Be a customer in this terminal: an ordinary OMEMO client with one device, whose keys
and sessions live in a directory of yours. Nothing passes the cluster's API: the chat
goes through the carrier, end-to-end encrypted, as every customer's does.

The server is that of the business's region, read from the cluster, unless --domain
names another.

Each line that you type is sent; ✓ means that the server has it, ✓✓ that the business
has received or read it. When input is no terminal, chat is a filter: it sends each
line of input, prints what arrives as "<- text" on standard output and statuses on
standard error, and ends when all is sent or, with --wait and --expect, when the
answers are there.

A file that the business sends is shown as "<+ name". With --files it is fetched,
decrypted and put into a directory, under the name that it came with or, where there
is such a file, one with a number; what is larger than 100 MB, takes more than ten
minutes or is not authentic is not kept. It is fetched over https, from the host that
its link names and no other. In a terminal, /save fetches a file on demand, /file
sends one, /keys shows both sides' identity keys, to compare, and /help lists these
commands; a filter's lines are all text.`,
		Example: `  # Chat with a business as a new customer, on a server where anyone may register
  kubectl relay chat --register --as +491701234567 --to +4930111111

  # Send one message and wait up to a minute for one answer
  echo "When do you open?" | kubectl relay chat --as +491701234567 --to +4930111111 --expect 1 --wait 1m

  # Send a photo, and keep the files that come in answer
  echo "Do you have this one?" | kubectl relay chat --as +491701234567 --to +4930111111 --attach photo.jpg --files . --wait 1m

  # Without a cluster
  kubectl relay chat --as +491701234567 --to +4930111111 --domain eu.example.org --ca ca.pem`,
		Args: none,
	}
	flags := cmd.Flags()
	flags.StringVar(&f.as, "as", "", "the customer's number, E.164 (required)")
	flags.StringVar(&f.to, "to", "", "the business's number, E.164 (required)")
	flags.StringVar(&f.domain, "domain", "", "the carrier's XMPP domain; default: of the region of the business with that number")
	flags.StringVar(&f.server, "server", "", "host:port of the XMPP server; default: the region's, or the domain's SRV records")
	flags.StringVar(&f.ca, "ca", "", "file with the certificates (PEM) that the server's must chain to; default: the region's, or the system's")
	flags.BoolVar(&f.register, "register", false, "register the number at the server when it does not know it (XEP-0077)")
	flags.StringVar(&f.stateDir, "state-dir", "", "directory of keys and sessions; default: $XDG_STATE_HOME/relaykeep/chat/<number>@<domain>")
	flags.StringVar(&f.passwordFile, "password-file", "", "file with the account's password, for an account that exists already")
	flags.DurationVar(&f.wait, "wait", 0, "as a filter: how long to wait for answers after the last line was sent")
	flags.IntVar(&f.expect, "expect", 0, "as a filter: end when this many messages came; fewer within --wait (30s by default) exit with code 3")
	flags.StringVar(&f.filesDir, "files", "", "directory into which files that the business sends are fetched and decrypted; made if need be")
	flags.StringArrayVar(&f.attach, "attach", nil, "file to send before the first line; may be given several times")
	flags.BoolVar(&f.verbose, "verbose", false, "log what the link does to standard error")
	cluster := newCluster(cmd)
	cmd.RunE = func(cmd *cobra.Command, _ []string) error { return runChat(cmd, streams, &f, cluster) }
	return cmd
}

func runChat(cmd *cobra.Command, streams genericiooptions.IOStreams, f *chatFlags, cluster *cluster) error {
	as, err := phone.Parse(f.as)
	if err != nil {
		return usage(cmd, "--as: %v", err)
	}
	to, err := phone.Parse(f.to)
	if err != nil {
		return usage(cmd, "--to: %v", err)
	}
	if f.wait < 0 || f.expect < 0 {
		return usage(cmd, "--wait and --expect cannot be negative")
	}
	if f.expect > 0 && f.wait == 0 {
		f.wait = defaultWait
	}
	config, err := f.config(cmd.Context(), cluster, to)
	if err != nil {
		return err
	}
	config.Account = as
	if f.verbose {
		config.Log = slog.New(slog.NewTextHandler(streams.ErrOut, nil))
	}
	state, err := f.openState(as, config.Domain)
	if err != nil {
		return err
	}
	defer state.Close()
	_, config.Password = state.Account()
	return chat.Run(cmd.Context(), streams, state, config, chat.Options{
		To: to, FilesDir: f.filesDir, Attach: f.attach, Expect: f.expect, Wait: f.wait,
	})
}

// config returns where the server is: as the flags say, or as the region of the
// business does.
func (f *chatFlags) config(ctx context.Context, cluster *cluster, to phone.Number) (xmpp.Config, error) {
	config := xmpp.Config{Domain: f.domain, Resource: chatResource}
	if f.domain == "" {
		region, err := cluster.regionOf(ctx, to)
		if err != nil {
			return config, err
		}
		server := region.Spec.Carrier.XMPP
		if server == nil {
			return config, fmt.Errorf("DataRegion %s names no carrier: say where the server is with --domain", region.Name)
		}
		config.Domain, config.Address, config.CABundle = string(server.Domain), string(server.Address), []byte(server.CABundle)
	}
	if f.server != "" {
		config.Address = f.server
	}
	if f.ca != "" {
		pem, err := os.ReadFile(f.ca)
		if err != nil {
			return config, fmt.Errorf("reading --ca: %w", err)
		}
		config.CABundle = pem
	}
	if f.register {
		config.Registration = xmpp.Open
	}
	return config, nil
}

// openState opens the directory of keys and sessions.
func (f *chatFlags) openState(as phone.Number, domain string) (*customer.State, error) {
	dir := f.stateDir
	if dir == "" {
		base := os.Getenv("XDG_STATE_HOME")
		if base == "" {
			home, err := os.UserHomeDir()
			if err != nil {
				return nil, fmt.Errorf("looking for a place for keys and sessions: %w; name one with --state-dir", err)
			}
			base = filepath.Join(home, ".local", "state")
		}
		dir = filepath.Join(base, "relaykeep", "chat", as.E164()+"@"+domain)
	}
	state, err := customer.OpenState(dir, as)
	if err != nil {
		return nil, fmt.Errorf("opening %s: %w", dir, err)
	}
	if f.passwordFile == "" {
		return state, nil
	}
	password, err := os.ReadFile(f.passwordFile)
	if err == nil {
		err = state.SetPassword(strings.TrimRight(string(password), "\r\n"))
	}
	if err != nil {
		return nil, errors.Join(fmt.Errorf("taking over --password-file: %w", err), state.Close())
	}
	return state, nil
}
