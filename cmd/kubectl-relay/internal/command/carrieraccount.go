package command

import (
	"context"
	"crypto/rand"
	"errors"
	"fmt"
	"io"
	"net/http"
	"os"
	"strings"

	"github.com/hashicorp/vault/api"
	"github.com/spf13/cobra"
	"k8s.io/cli-runtime/pkg/genericiooptions"

	"github.com/relaykeep/relaykeep/api/v1alpha1"
)

// maxPassword is the longest password in bytes that is taken; relays read no longer.
const maxPassword = 512

// accountFlags are the own flags of setup carrier-account.
type accountFlags struct {
	vault        setupFlags // its --vault-address and --vault-ca
	passwordFile string
	generate     bool
	replace      bool
}

func newSetupCarrierAccount(streams genericiooptions.IOStreams) *cobra.Command {
	var f accountFlags
	cmd := &cobra.Command{
		Use:   "carrier-account NAME {--password-file FILE | --generate}",
		Short: "Put a relay's account at the carrier into Vault",
		Long: `Put a relay's account at the carrier into Vault, where the DataRegion does not let relays
register (registration: Closed). Its name is the relay's phone number with the plus
sign, its password the one that the carrier's admin gave the account: that account
must be made at the carrier, too, before or after.

Vault is reached as the vault command does: VAULT_ADDR and VAULT_TOKEN (or the file
~/.vault-token), VAULT_CACERT and VAULT_NAMESPACE. Without VAULT_ADDR, address and
authority are the DataRegion's. The token must be one that may write the relay's path
in the KV engine; it is not kept.

The relay takes the account as soon as it is there. An account that is there already
is not replaced unless --replace says so; the relay takes the new password when the
carrier refuses the old one.`,
		Example: `  # The carrier's admin made the account; its password is in a file
  kubectl relay setup carrier-account acme -n acme --password-file ./password

  # Have a password made, and give it to the carrier (here ejabberd) at once
  kubectl relay setup carrier-account acme -n acme --generate |
    xargs -I PASSWORD ejabberdctl register +4930111111 eu.example.org PASSWORD`,
		Args: oneRelay,
	}
	flags := cmd.Flags()
	flags.StringVar(&f.passwordFile, "password-file", "", "file with the password, without the newline at its end; - is the standard input")
	flags.BoolVar(&f.generate, "generate", false, "make a password and print it, and nothing else, on the standard output")
	flags.BoolVar(&f.replace, "replace", false, "replace an account that is in Vault already")
	flags.StringVar(&f.vault.vaultAddress, "vault-address", "", "https URL of Vault as seen from here; default: $VAULT_ADDR, else the DataRegion's")
	flags.StringVar(&f.vault.vaultCA, "vault-ca", "", "file with the certificates (PEM) that Vault's must chain to; default: $VAULT_CACERT, else the DataRegion's")
	cluster := newCluster(cmd)
	cmd.RunE = func(cmd *cobra.Command, args []string) error {
		if (f.passwordFile == "") == !f.generate {
			return usage(cmd, "give the password with --password-file, or have one made with --generate")
		}
		return runSetupCarrierAccount(cmd, streams, &f, cluster, args[0])
	}
	return cmd
}

func runSetupCarrierAccount(cmd *cobra.Command, streams genericiooptions.IOStreams, f *accountFlags, cluster *cluster, name string) error {
	password, err := f.password(streams.In)
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
	v, err := f.vault.vault(region)
	if err != nil {
		return err
	}
	if v.Token() == "" {
		return errors.New("no token for vault: set VAULT_TOKEN, or log in with `vault login`")
	}
	if err := writeCarrierAccount(cmd.Context(), v, relay, region, password, f.replace); err != nil {
		return err
	}
	if f.generate {
		fmt.Fprintln(streams.Out, password)
	}
	fmt.Fprintf(streams.ErrOut, "The carrier account of %s is in Vault. It must be an account of %s, too.\n", relay.Name, region.Spec.Carrier.XMPP.Domain)
	return nil
}

// password returns the password that the flags say.
func (f *accountFlags) password(in io.Reader) (string, error) {
	if f.generate {
		return rand.Text(), nil
	}
	if f.passwordFile != "-" {
		file, err := os.Open(f.passwordFile)
		if err != nil {
			return "", fmt.Errorf("reading --password-file: %w", err)
		}
		defer file.Close()
		in = file
	}
	raw, err := io.ReadAll(io.LimitReader(in, maxPassword+3))
	if err != nil {
		return "", fmt.Errorf("reading --password-file: %w", err)
	}
	password := strings.TrimSuffix(strings.TrimSuffix(string(raw), "\n"), "\r")
	switch {
	case password == "":
		return "", errors.New("--password-file is empty")
	case len(password) > maxPassword:
		return "", fmt.Errorf("the password is longer than %d bytes", maxPassword)
	case strings.ContainsAny(password, "\r\n\x00"):
		return "", errors.New("the password must be one line")
	}
	return password, nil
}

// writeCarrierAccount writes the account to where the relay reads it.
func writeCarrierAccount(ctx context.Context, v *api.Client, relay *v1alpha1.BusinessRelay, region *v1alpha1.DataRegion, password string, replace bool) error {
	path := fmt.Sprintf("%s/data/%s/%s/carrier", region.Spec.Vault.KVMount, relay.Namespace, v1alpha1.TenantName(relay.Name))
	request := map[string]any{"data": map[string]any{"username": relay.Spec.PhoneNumber, "password": password}}
	if !replace {
		request["options"] = map[string]any{"cas": 0}
	}
	_, err := v.Logical().WriteWithContext(ctx, path, request)
	if e := (*api.ResponseError)(nil); errors.As(err, &e) && e.StatusCode == http.StatusBadRequest && !replace {
		return fmt.Errorf("the relay has a carrier account in vault already: replace it with --replace")
	}
	if err != nil {
		return fmt.Errorf("writing the carrier account: %w", explainVault(err))
	}
	return nil
}
