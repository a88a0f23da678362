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

	"github.com/relaykeep/relaykeep/api/v1alpha1"
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
		Short: "Chat with a business as a customer, in this terminal",
		Long: `Chat with a business as a customer, in this terminal. It is an ordinary OMEMO client with
one device; its keys and sessions are stored in a local directory. Nothing passes through
the cluster's API: messages go through the carrier, encrypted end to end, like every
customer's.

The server is that of the business's region, read from the cluster, unless --domain is
given.

Each line that you type is sent; ✓ means that the server has it, ✓✓ that the business
has received or read it. If input is not a terminal, chat is a filter: it sends each
line of input, prints messages as "<- text" on standard output and statuses on standard
error, and ends when everything is sent or, with --wait and --expect, when the answers
have arrived.

A file from the business is shown as "<+ name". With --files it is fetched, decrypted and
saved in a directory under its name, with a number added if that name is taken. Files that
are larger than 100 MB, take more than ten minutes or are not authentic are not saved. A
file is fetched over https, only from the host in its link. In a terminal, /save fetches a
file on demand, /file sends one, /keys shows both sides' identity keys for comparison, and
/help lists these commands; a filter's input is all text.`,
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
	flags.StringVar(&f.domain, "domain", "", "the carrier's XMPP domain; default: that of the business's region")
	flags.StringVar(&f.server, "server", "", "host:port of the XMPP server; default: the region's, or the domain's SRV records")
	flags.StringVar(&f.ca, "ca", "", "PEM file with the server's CA certificates; default: the region's, or the system's")
	flags.BoolVar(&f.register, "register", false, "register the number at the server if it has no account there (XEP-0077)")
	flags.StringVar(&f.stateDir, "state-dir", "", "directory with keys and sessions; default: $XDG_STATE_HOME/relaykeep/chat/<number>@<domain>")
	flags.StringVar(&f.passwordFile, "password-file", "", "file with the password of an existing account")
	flags.DurationVar(&f.wait, "wait", 0, "as a filter: how long to wait for answers after the last line")
	flags.IntVar(&f.expect, "expect", 0, "as a filter: end after this many messages; exit with code 3 if fewer arrive within --wait (default 30s)")
	flags.StringVar(&f.filesDir, "files", "", "directory in which files from the business are saved, decrypted; created if missing")
	flags.StringArrayVar(&f.attach, "attach", nil, "file to send before the first line; may be given several times")
	flags.BoolVar(&f.verbose, "verbose", false, "log the connection's events to standard error")
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

// config returns where the server is, from the flags or from the business's region.
func (f *chatFlags) config(ctx context.Context, cluster *cluster, to phone.Number) (xmpp.Config, error) {
	if f.domain != "" {
		return f.at(nil)
	}
	region, err := cluster.regionOf(ctx, to)
	if err != nil {
		return xmpp.Config{}, err
	}
	return f.at(region)
}

// at returns where the server is, from the flags or from a region; nil for none.
func (f *chatFlags) at(region *v1alpha1.DataRegion) (xmpp.Config, error) {
	config := xmpp.Config{Login: xmpp.Login{Domain: f.domain, Resource: chatResource}}
	if region != nil {
		server := region.Spec.Carrier.XMPP
		if server == nil {
			return config, fmt.Errorf("DataRegion %s has no carrier: give the server with --domain", region.Name)
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
				return nil, fmt.Errorf("finding a directory for keys and sessions: %w; give one with --state-dir", err)
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
		return nil, errors.Join(fmt.Errorf("saving the password of --password-file: %w", err), state.Close())
	}
	return state, nil
}
