package command

import (
	"context"
	"encoding/json"
	"fmt"
	"io"
	"net/http"
	"os"
	"os/exec"
	"slices"
	"strings"
	"time"

	"github.com/spf13/cobra"

	"github.com/relaykeep/relaykeep/api/v1alpha1"
	"github.com/relaykeep/relaykeep/cmd/kubectl-relay/internal/audit"
	"github.com/relaykeep/relaykeep/cmd/kubectl-relay/internal/audit/canary"
	"github.com/relaykeep/relaykeep/cmd/kubectl-relay/internal/audit/probe"
	"github.com/relaykeep/relaykeep/relay/carrier/xmpp"
	"github.com/relaykeep/relaykeep/relay/phone"
)

// canaryFlags are audit's flags about its canary.
type canaryFlags struct {
	send                 bool
	search               []string
	prepare              string
	number, passwordFile string
	carrier              chatFlags // where its server is
	endpoint             endpointFlags

	files  []canary.File
	nobody phone.Number // zero for a random one
}

func (f *canaryFlags) add(cmd *cobra.Command) {
	flags := cmd.Flags()
	flags.BoolVar(&f.send, "canary", false, "also send a message of a customer who is nobody, and look for it")
	flags.StringArrayVar(&f.search, "search", nil, "with --canary: PLACE=PATH, a file or folder to search; again for a further one. Places: volume, etcd, carrier, logs, metrics")
	flags.StringVar(&f.prepare, "prepare", "", "with --search: program that brings those files up to date; run with stored, and later with erased, as its argument")
	flags.StringVar(&f.number, "canary-number", "", "with --canary: number of the canary, which begins with +999; default: a random one")
	flags.StringVar(&f.passwordFile, "canary-password-file", "", "with --canary-number: file with the password of its account at the carrier; default: it registers one, and removes it")
	flags.StringVar(&f.carrier.server, "carrier-server", "", "with --canary: host:port of the carrier, as this machine reaches it; default: the DataRegion's")
	flags.StringVar(&f.carrier.ca, "carrier-ca", "", "with --canary: PEM file with the carrier's CA certificates; default: the DataRegion's")
	flags.StringVar(&f.endpoint.endpointAddress, "endpoint-address", "", "with --canary: host:port to connect to instead of the relay's pod")
	flags.StringVar(&f.endpoint.endpointCA, "endpoint-ca", "", "with --canary: PEM file with the endpoint's CA certificates; default: Vault's CA, else the system's")
}

// searched are the places for which files can be given.
func searched() []audit.Place {
	return []audit.Place{audit.InVolume, audit.InEtcd, audit.InCarrier, audit.InLogs, audit.InMetrics}
}

func (f *canaryFlags) check(cmd *cobra.Command, args []string) error {
	if !f.send {
		for _, name := range []string{"search", "prepare", "canary-number", "canary-password-file", "carrier-server", "carrier-ca", "endpoint-address", "endpoint-ca"} {
			if cmd.Flags().Changed(name) {
				return usage(cmd, "--%s is for --canary", name)
			}
		}
		return nil
	}
	switch {
	case len(args) == 0:
		return usage(cmd, "--canary goes through one relay: give its name")
	case f.prepare != "" && len(f.search) == 0:
		return usage(cmd, "--prepare is for --search")
	case f.passwordFile != "" && f.number == "":
		return usage(cmd, "--canary-password-file is for --canary-number")
	}
	if f.number != "" {
		var err error
		if f.nobody, err = phone.Parse(f.number); err != nil || !canary.IsNobodys(f.nobody) {
			return usage(cmd, "--canary-number: write a number that begins with +999, which is nobody's, of at most 15 digits")
		}
	}
	for _, text := range f.search {
		place, path, ok := strings.Cut(text, "=")
		if !ok || path == "" || !slices.Contains(searched(), audit.Place(place)) {
			return usage(cmd, "--search: write PLACE=PATH, with volume, etcd, carrier, logs or metrics as the place, not %q", text)
		}
		f.files = append(f.files, canary.File{Place: audit.Place(place), Path: path})
	}
	return nil
}

// storedIn is a word that the store of a relay has in clear as long as a webhook is kept back.
const storedIn = "kept-back"

// sendCanary sends a canary through a relay. What it lacks is an outcome.
func (f *auditFlags) sendCanary(ctx context.Context, errOut io.Writer, cluster *cluster, by probe.Options, relay *v1alpha1.BusinessRelay) *audit.Canary {
	refused := func(err error) *audit.Canary {
		return audit.JudgeCanary(relay.Namespace, relay.Name, explained(err).Error(), nil, nil)
	}
	region, err := readRegion(ctx, by.Client, string(relay.Spec.DataRegion))
	if err != nil {
		return refused(err)
	}
	business, err := phone.Parse(relay.Spec.PhoneNumber)
	if err != nil {
		return refused(err)
	}
	if f.canary.nobody.IsZero() {
		if f.canary.nobody, err = canary.NewNumber(); err != nil {
			return refused(err)
		}
	}
	carrier, err := f.canary.account(region)
	if err != nil {
		return refused(err)
	}
	way := f.canary.endpoint
	way.vaultAddress, way.vaultCA = f.vaultAddress, f.vaultCA
	e, err := way.openIn(ctx, cluster, by.Client, relay.Namespace, relay.Name)
	if err != nil {
		return refused(err)
	}
	defer e.way.close()
	o := canary.Options{
		Namespace: relay.Namespace, Name: relay.Name, Number: f.canary.nobody, Relay: canaryRelay{e}, Now: time.Now,
		Join: func(ctx context.Context, n phone.Number) (canary.Customer, error) {
			return canary.Join(ctx, carrier, n, business)
		},
		Texts:   func(ctx context.Context) ([]probe.Text, error) { return probe.Texts(ctx, by, relay) },
		Files:   f.canary.files,
		Witness: map[audit.Place]string{audit.InVolume: storedIn, audit.InEtcd: string(relay.UID)},
	}
	if f.canary.prepare != "" {
		o.Prepare = func(ctx context.Context, step string) error {
			program := exec.CommandContext(ctx, f.canary.prepare, step) //nolint:gosec // who calls this program names that one
			program.Stdout, program.Stderr = errOut, errOut
			return program.Run()
		}
	}
	return canary.Run(ctx, o)
}

// account is the canary's at a region's carrier.
func (f *canaryFlags) account(region *v1alpha1.DataRegion) (xmpp.Config, error) {
	f.carrier.register = f.passwordFile == ""
	config, err := f.carrier.at(region)
	if err != nil || f.passwordFile == "" {
		return config, err
	}
	password, err := os.ReadFile(f.passwordFile)
	if err != nil {
		return config, fmt.Errorf("reading --canary-password-file: %w", err)
	}
	config.Password = strings.TrimRight(string(password), "\r\n")
	return config, nil
}

// canaryRelay calls a relay's endpoint for a canary.
type canaryRelay struct{ *endpoint }

var _ canary.Relay = canaryRelay{}

// announced is what the endpoint says of a canary.
type announced struct {
	UserID string `json:"user_id"`
	Until  int64  `json:"until"`
	Kept   int    `json:"kept_back"`
}

// Announce implements canary.Relay, as the following methods do.
func (r canaryRelay) Announce(ctx context.Context, n phone.Number) (string, error) {
	if other, err := r.asked(ctx); err == nil {
		return "", fmt.Errorf("another canary is announced until %s, and is erased then", time.Unix(other.Until, 0).Format(time.TimeOnly))
	} else if !refusedAs(err, noObject) {
		return "", err
	}
	body, err := json.Marshal(map[string]string{"number": n.E164()})
	if err != nil {
		return "", err
	}
	answer, err := r.ask(ctx, http.MethodPost, "canary", nil, body)
	if refusedAs(err, noObject) {
		return "", fmt.Errorf("the relay is of an earlier release, which takes none")
	}
	var c announced
	if err == nil {
		err = json.Unmarshal(answer, &c)
	}
	return c.UserID, err
}

func (r canaryRelay) asked(ctx context.Context) (c announced, err error) {
	answer, err := r.ask(ctx, http.MethodGet, "canary", nil, nil)
	if err == nil {
		err = json.Unmarshal(answer, &c)
	}
	return c, err
}

// KeptBack implements canary.Relay.
func (r canaryRelay) KeptBack(ctx context.Context) (int, error) {
	c, err := r.asked(ctx)
	return c.Kept, err
}

// Holds implements canary.Relay.
func (r canaryRelay) Holds(ctx context.Context, user, text string) (bool, error) {
	all, err := r.export(ctx, person(user))
	if err != nil {
		return false, err
	}
	raw, err := json.Marshal(all["messages"])
	return strings.Contains(string(raw), text), err
}

// Say implements canary.Relay.
func (r canaryRelay) Say(ctx context.Context, user, text string) error {
	body, err := json.Marshal(map[string]any{"messaging_product": "whatsapp", "recipient": user, "type": "text", "text": map[string]string{"body": text}})
	if err == nil {
		_, err = r.ask(ctx, http.MethodPost, "messages", nil, body)
	}
	return err
}

// Erase implements canary.Relay.
func (r canaryRelay) Erase(ctx context.Context, user string) error {
	_, err := r.call(ctx, http.MethodDelete, person(user), nil)
	return err
}

// Stores implements canary.Relay.
func (r canaryRelay) Stores(ctx context.Context, user string) (bool, error) {
	_, err := r.ask(ctx, http.MethodGet, "customers/"+user, nil, nil)
	if refusedAs(err, noObject) {
		return false, nil
	}
	return err == nil, err
}

// End implements canary.Relay.
func (r canaryRelay) End(ctx context.Context) error {
	_, err := r.ask(ctx, http.MethodDelete, "canary", nil, nil)
	return err
}
