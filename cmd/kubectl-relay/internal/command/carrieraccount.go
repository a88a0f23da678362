package command

import (
	"context"
	"crypto/rand"
	"errors"
	"fmt"
	"io"
	"os"
	"strings"

	"github.com/hashicorp/vault/api"
	"github.com/spf13/cobra"
	"k8s.io/cli-runtime/pkg/genericiooptions"

	"github.com/relaykeep/relaykeep/api/v1alpha1"
	"github.com/relaykeep/relaykeep/relay/vault"
)

// maxPassword is the length limit of a password or token, in bytes; relays accept no
// longer ones.
const maxPassword = 512

// accountFlags are the own flags of setup carrier-account.
type accountFlags struct {
	vault        setupFlags // its --vault-address and --vault-ca
	passwordFile string
	tokenFile    string
	generate     bool
	replace      bool
}

func newSetupCarrierAccount(streams genericiooptions.IOStreams) *cobra.Command {
	var f accountFlags
	cmd := &cobra.Command{
		Use:   "carrier-account NAME {--password-file FILE | --generate | --registration-token-file FILE}",
		Short: "Put a relay's carrier account into Vault",
		Long: `Put a relay's carrier account into Vault, for DataRegions that do not let relays register
(registration: Closed). The account's name is the relay's phone number with the plus sign,
and its password is the one that the carrier's admin set; the account must also be created
at the carrier, before or after. For DataRegions whose relays register with a token
(registration: Token), give an invitation's token instead: a password is generated, and the
relay registers the account itself.

Vault is reached like with the vault command: VAULT_ADDR and VAULT_TOKEN (or the file
~/.vault-token), VAULT_CACERT and VAULT_NAMESPACE. Without VAULT_ADDR, address and CA are
the DataRegion's. The token must be allowed to write the relay's path in the KV engine; it
is not stored.

The relay uses the account as soon as it is there. An existing account is not replaced
without --replace; the relay uses the new password or token when the carrier refuses the
old one.`,
		Example: `  # The carrier's admin made the account; its password is in a file
  kubectl relay setup carrier-account acme -n acme --password-file ./password

  # Have a password made, and give it to the carrier (here ejabberd) at once
  kubectl relay setup carrier-account acme -n acme --generate |
    xargs -I PASSWORD ejabberdctl register +4930111111 eu.example.org PASSWORD

  # Have the relay register with an invitation of the carrier's (here Prosody)
  prosodyctl mod_invites generate eu.example.org | sed 's/.*preauth=//' |
    kubectl relay setup carrier-account acme -n acme --registration-token-file -`,
		Args: oneRelay,
	}
	flags := cmd.Flags()
	flags.StringVar(&f.passwordFile, "password-file", "", "file with the password, without a trailing newline; - reads standard input")
	flags.StringVar(&f.tokenFile, "registration-token-file", "", "file with an invitation's token, with which the relay registers the account; - reads standard input")
	flags.BoolVar(&f.generate, "generate", false, "generate a password and print it, and nothing else, on standard output")
	flags.BoolVar(&f.replace, "replace", false, "replace the account that is in Vault")
	flags.StringVar(&f.vault.vaultAddress, "vault-address", "", "https URL of Vault, as this machine reaches it; default: $VAULT_ADDR, else the DataRegion's")
	flags.StringVar(&f.vault.vaultCA, "vault-ca", "", "PEM file with Vault's CA certificates; default: $VAULT_CACERT, else the DataRegion's")
	cluster := newCluster(cmd)
	cmd.ValidArgsFunction = cluster.firstRelay()
	cmd.RunE = func(cmd *cobra.Command, args []string) error {
		if given(f.passwordFile != "", f.generate, f.tokenFile != "") != 1 {
			return usage(cmd, "give a password with --password-file, generate one with --generate, or give a token with --registration-token-file")
		}
		return runSetupCarrierAccount(cmd, streams, &f, cluster, args[0])
	}
	return cmd
}

// given counts what was given.
func given(flags ...bool) (n int) {
	for _, f := range flags {
		if f {
			n++
		}
	}
	return n
}

func runSetupCarrierAccount(cmd *cobra.Command, streams genericiooptions.IOStreams, f *accountFlags, cluster *cluster, name string) error {
	secrets, err := f.secrets(streams.In)
	if err != nil {
		return err
	}
	k, namespace, err := cluster.connect()
	if err != nil {
		return err
	}
	relay, region, err := readRelay(cmd.Context(), k, namespace, name)
	if err != nil {
		return err
	}
	if secrets.token != "" && region.Spec.Carrier.XMPP.Registration != v1alpha1.RegistrationToken {
		return errors.New("relays of this DataRegion do not register with a token (registration: Token)")
	}
	v, err := f.vault.vault(region)
	if err != nil {
		return err
	}
	if v.Token() == "" {
		return errors.New("no Vault token: set VAULT_TOKEN, or log in with `vault login`")
	}
	if err := writeCarrierAccount(cmd.Context(), v, relay, region, secrets, f.replace); err != nil {
		return err
	}
	if f.generate {
		fmt.Fprintln(streams.Out, secrets.password)
	}
	follows := "The account must also exist at %s."
	if secrets.token != "" {
		follows = "The relay registers it at %s."
	}
	fmt.Fprintf(streams.ErrOut, "Vault holds the carrier account of %s. "+follows+"\n", relay.Name, region.Spec.Carrier.XMPP.Domain)
	return nil
}

// accountSecrets are an account's password and registration token; the token is empty for
// an existing account.
type accountSecrets struct{ password, token string }

// secrets returns what the flags say.
func (f *accountFlags) secrets(in io.Reader) (s accountSecrets, err error) {
	switch {
	case f.passwordFile != "":
		s.password, err = oneLine("--password-file", f.passwordFile, in)
		return s, err
	case f.tokenFile != "":
		if s.token, err = oneLine("--registration-token-file", f.tokenFile, in); err != nil {
			return s, err
		}
	}
	s.password = rand.Text()
	return s, nil
}

// oneLine reads a file of one line that a flag names.
func oneLine(flag, path string, in io.Reader) (string, error) {
	if path != "-" {
		file, err := os.Open(path)
		if err != nil {
			return "", fmt.Errorf("reading %s: %w", flag, err)
		}
		defer file.Close()
		in = file
	}
	raw, err := io.ReadAll(io.LimitReader(in, maxPassword+3))
	if err != nil {
		return "", fmt.Errorf("reading %s: %w", flag, err)
	}
	line := strings.TrimSuffix(strings.TrimSuffix(string(raw), "\n"), "\r")
	switch {
	case line == "":
		return "", fmt.Errorf("%s is empty", flag)
	case len(line) > maxPassword:
		return "", fmt.Errorf("%s is longer than %d bytes", flag, maxPassword)
	case strings.ContainsAny(line, "\r\n\x00"):
		return "", fmt.Errorf("%s must be one line", flag)
	}
	return line, nil
}

// writeCarrierAccount writes the account to the path that the relay reads.
func writeCarrierAccount(ctx context.Context, v *api.Client, relay *v1alpha1.BusinessRelay, region *v1alpha1.DataRegion, secrets accountSecrets, replace bool) error {
	tenant := vault.Tenant{KVMount: string(region.Spec.Vault.KVMount), Namespace: relay.Namespace, Account: v1alpha1.TenantName(relay.Name)}
	err := tenant.WriteCarrierAccount(ctx, v, vault.CarrierAccount{
		Username: relay.Spec.PhoneNumber, Password: secrets.password, RegistrationToken: secrets.token,
	}, replace)
	if errors.Is(err, vault.ErrExists) {
		return fmt.Errorf("there is a carrier account for this relay in Vault: use --replace to replace it")
	}
	if err != nil {
		return fmt.Errorf("writing the carrier account: %w", explainVault(err))
	}
	return nil
}
