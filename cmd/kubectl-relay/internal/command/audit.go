package command

import (
	"context"
	"errors"
	"fmt"
	"io"
	"os"
	"slices"
	"strings"
	"time"

	"github.com/hashicorp/vault/api"
	"github.com/spf13/cobra"
	"k8s.io/cli-runtime/pkg/genericiooptions"

	"github.com/relaykeep/relaykeep/api/v1alpha1"
	"github.com/relaykeep/relaykeep/cmd/kubectl-relay/internal/audit"
	"github.com/relaykeep/relaykeep/cmd/kubectl-relay/internal/audit/probe"
	"github.com/relaykeep/relaykeep/cmd/kubectl-relay/internal/exit"
	"github.com/relaykeep/relaykeep/relay/vault/setup"
)

const (
	// auditRequests is how many requests a second an audit makes at most, on average.
	auditRequests = 200
	// auditTimeout bounds one request to the API server, unless --request-timeout says otherwise.
	auditTimeout = 20 * time.Second
)

// auditFlags are the own flags of audit.
type auditFlags struct {
	output                             string
	all, strict, network               bool
	region                             string
	operatorNamespace, operatorAccount string
	vaultAddress, vaultCA              string
	release, releaseKey                string
	version                            string
	canary                             canaryFlags
}

func newAudit(streams genericiooptions.IOStreams, version string) *cobra.Command {
	f := auditFlags{version: version}
	cmd := &cobra.Command{
		Use:   "audit [NAME|brelay/NAME]",
		Short: "Try who may see what, and show it as a table",
		Long: `Try, on the running installation, what each party may see of a relay's data, and show it as a
table: message content, customers' numbers, statistics, integrity signals, business information
and billing, against the relay, other relays, the operator, the platform (metrics, logs, events,
status), the carrier, Vault's admin, the janitor, the keeper and the business.

  kept        it was tried, and refused
  by design   the party may see this
  not tried   it is not known; the reason is below the table
  BROKEN      somebody can do what must not be possible; the command that shows or mends it is below

Without --canary it changes nothing: forbidden changes are dry runs, which the admission policies have to refuse, and
tokens are asked for pods that are not there. With --probe-network it makes a pod in the namespace
of each relay for some seconds, which connects to where a relay must not get.

Roles, policies and key settings of Vault are read with your own login, reached as setup vault
reaches it: VAULT_ADDR and VAULT_TOKEN (or the file ~/.vault-token), VAULT_CACERT and
VAULT_NAMESPACE; without VAULT_ADDR, at the DataRegion's address. A login is shown to one region's
Vault only: with relays of several regions, name the region with --region.

Whether pods run what was released is tried with --release and --release-key: images.txt of a
release, with SHA256SUMS and SHA256SUMS.sig beside it, and its public key.

With --canary it then sends a message through the relay, from a customer with a number that is
nobody's (+999), and has the business answer. The relay keeps webhooks about that customer back.
What they wrote, and the number, is looked for in logs, metrics, events and status, and in files
that --search names: a copy or snapshot of the relay's volume, of etcd, of the carrier's store.
Then the customer is erased, and everything is searched again. It takes what kubectl relay
credentials takes, and an account at the carrier: where not everybody may register, one that its
admin made, with --canary-number and --canary-password-file.

It exits with 1 if something is broken, and with --strict with 5 if something was not tried.
docs/audit.md says what each check tries and what it cannot see.`,
		Example: `  kubectl relay audit acme -n acme

  # All relays of the cluster, as a page for an auditor
  kubectl relay audit --all --probe-network -o html > audit.html

  # A message of nobody's, looked for in a copy of the volume that a program makes
  kubectl relay audit acme -n acme --canary --search volume=/mnt/copy --prepare ./copy-volume

  # In a pipeline, with what the release says that runs
  kubectl relay audit --all --strict --release images.txt --release-key relaykeep.pub -o json`,
		Args: func(cmd *cobra.Command, args []string) error {
			if len(args) > 1 {
				return usage(cmd, "give one BusinessRelay or none, not %d arguments", len(args))
			}
			return nil
		},
	}
	flags := cmd.Flags()
	flags.StringVarP(&f.output, "output", "o", "text", "output format: text, json or html")
	completeWords(cmd, "output", "text", "json", "html")
	flags.BoolVarP(&f.all, "all", "A", false, "the relays of all namespaces")
	flags.BoolVar(&f.strict, "strict", false, "exit with 5 if something was not tried")
	flags.BoolVar(&f.network, "probe-network", false, "make a pod for each relay, which tries the network")
	flags.StringVar(&f.region, "region", "", "only relays of this DataRegion")
	flags.StringVar(&f.operatorNamespace, "operator-namespace", setup.DefaultOperatorNamespace, "namespace of the operator")
	flags.StringVar(&f.operatorAccount, "operator-account", "relaykeep-manager", "service account of the operator")
	flags.StringVar(&f.vaultAddress, "vault-address", "", "https URL of Vault, as this machine reaches it; default: $VAULT_ADDR, else the DataRegion's")
	flags.StringVar(&f.vaultCA, "vault-ca", "", "PEM file with Vault's CA certificates; default: $VAULT_CACERT, else the DataRegion's")
	flags.StringVar(&f.release, "release", "", "images.txt of a release, whose images pods have to run")
	flags.StringVar(&f.releaseKey, "release-key", "", "public key of the release, PEM")
	f.canary.add(cmd)
	cluster := newCluster(cmd)
	cmd.ValidArgsFunction = cluster.firstRelay()
	cmd.RunE = func(cmd *cobra.Command, args []string) error {
		if err := f.check(cmd, args); err != nil {
			return err
		}
		return f.run(cmd.Context(), streams, cluster, relayNamed(args))
	}
	cmd.AddCommand(newAuditVerify(streams))
	return cmd
}

func (f *auditFlags) check(cmd *cobra.Command, args []string) error {
	switch {
	case !slices.Contains([]string{"text", "json", "html"}, f.output):
		return usage(cmd, "unknown output %q: write text, json or html", f.output)
	case f.all && len(args) > 0:
		return usage(cmd, "give a name or --all, not both")
	case f.region != "" && len(args) > 0:
		return usage(cmd, "give a name or --region, not both")
	case len(args) > 0 && relayNamed(args) == "":
		return usage(cmd, "write the BusinessRelay as NAME or %s/NAME, not %q", relayKinds()[0], args[0])
	case (f.release == "") != (f.releaseKey == ""):
		return usage(cmd, "give --release and --release-key together")
	}
	return f.canary.check(cmd, args)
}

// relayKinds are what may stand before a relay's name and a slash, as kubectl has it: a relay that is called as a subcommand is
// can be named in no other way.
func relayKinds() []string {
	return []string{"brelay", "businessrelay", "businessrelays", "businessrelays." + v1alpha1.GroupVersion.Group, "relay"}
}

// relayNamed returns the name of the relay that an argument names; empty if it names none.
func relayNamed(args []string) string {
	kind, name, ok := strings.Cut(strings.Join(args, ""), "/")
	switch {
	case !ok:
		return kind
	case slices.Contains(relayKinds(), strings.ToLower(kind)) && !strings.Contains(name, "/"):
		return name
	}
	return ""
}

// run audits and prints.
func (f *auditFlags) run(ctx context.Context, streams genericiooptions.IOStreams, cluster *cluster, name string) error {
	var released []string
	if f.release != "" {
		var err error
		if released, err = audit.Released(f.release, f.releaseKey); err != nil {
			return err
		}
	}
	config, err := cluster.config()
	if err != nil {
		return err
	}
	config.QPS, config.Burst = auditRequests, 2*auditRequests
	if config.Timeout == 0 {
		config.Timeout = auditTimeout
	}
	k, namespace, err := cluster.connectBy(config)
	if err != nil {
		return err
	}
	if f.all {
		namespace = ""
	}
	relays, err := findRelays(ctx, k, namespace, name)
	if err != nil {
		return err
	}
	relays = slices.DeleteFunc(relays, func(r v1alpha1.BusinessRelay) bool {
		return f.region != "" && string(r.Spec.DataRegion) != f.region
	})
	if len(relays) == 0 {
		return errors.New("there is no BusinessRelay to audit here; --all looks in all namespaces")
	}
	report := &audit.Report{Version: audit.FormatVersion, Time: time.Now().UTC().Truncate(time.Second), Program: f.version, Cluster: config.Host}
	by := probe.Options{
		Config: config, Client: k, OperatorNamespace: f.operatorNamespace, OperatorAccount: f.operatorAccount,
		Vault: f.vaultLogin(relays), Anybody: f.vaultAnybody, Released: released, Network: f.network, Now: time.Now(),
	}
	if report.Relays, err = probe.Run(ctx, by, relays); err != nil {
		return err
	}
	report.Receivers, _ = involvedInAll(ctx, k, relays) // the check processors says which region could not be read
	if f.canary.send {
		report.Canary = f.sendCanary(ctx, streams.ErrOut, cluster, by, &relays[0])
	}
	report.Sum()
	if err := f.print(streams.Out, report); err != nil {
		return err
	}
	return f.judge(report)
}

func (f *auditFlags) print(out io.Writer, report *audit.Report) error {
	switch f.output {
	case "json":
		return writeJSON(out, report)
	case "html":
		return audit.HTML(out, report)
	}
	return audit.Text(out, report)
}

// judge is the error with which the command ends, none if it found nothing.
func (f *auditFlags) judge(report *audit.Report) error {
	switch {
	case report.State == audit.Broken:
		return fmt.Errorf("%s broken at %s", count(len(report.Findings(audit.Broken)), "check"), count(len(report.Relays), "relay"))
	case report.State == audit.NotTried && f.strict:
		return fmt.Errorf("%w: %s", exit.ErrNotTried, count(len(report.Findings(audit.NotTried)), "check"))
	}
	return nil
}

// vaultLogin returns who gives the admin's own login for a region's Vault. A login is shown to one region's Vault only: that
// of the only region of the relays, or the one at $VAULT_ADDR.
func (f *auditFlags) vaultLogin(relays []v1alpha1.BusinessRelay) func(*v1alpha1.DataRegion) (*api.Client, error) {
	var regions []string
	for i := range relays {
		if region := string(relays[i].Spec.DataRegion); !slices.Contains(regions, region) {
			regions = append(regions, region)
		}
	}
	return func(region *v1alpha1.DataRegion) (*api.Client, error) {
		named := f.vaultAddress
		if named == "" {
			named = os.Getenv(api.EnvVaultAddress)
		}
		if len(regions) > 1 && strings.TrimSuffix(named, "/") != strings.TrimSuffix(region.Spec.Vault.Address, "/") {
			return nil, fmt.Errorf("the relays are of several regions, and a login is shown to one region's Vault only: audit with --region %s and a login at its Vault", region.Name)
		}
		client, err := (&setupFlags{vaultAddress: f.vaultAddress, vaultCA: f.vaultCA}).vault(region)
		if err != nil {
			return nil, err
		}
		client.SetMaxRetries(0) // a Vault that does not answer is told, and many relays wait for it
		if client.Token() == "" {
			return nil, errors.New("there is no login at Vault: set VAULT_TOKEN, or log in with `vault login`")
		}
		return client, nil
	}
}

// vaultAnybody returns a client of a region's Vault without a login.
func (f *auditFlags) vaultAnybody(region *v1alpha1.DataRegion) (*api.Client, error) {
	return regionVault(region, f.vaultAddress, f.vaultCA)
}
