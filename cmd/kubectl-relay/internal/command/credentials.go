package command

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net/http"
	"os"
	"strings"
	"text/tabwriter"

	"github.com/hashicorp/vault/api"
	"github.com/spf13/cobra"
	authenticationv1 "k8s.io/api/authentication/v1"
	corev1 "k8s.io/api/core/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/cli-runtime/pkg/genericiooptions"
	"sigs.k8s.io/controller-runtime/pkg/client"
	"sigs.k8s.io/yaml"

	"github.com/relaykeep/relaykeep/api/contract"
	"github.com/relaykeep/relaykeep/api/v1alpha1"
	"github.com/relaykeep/relaykeep/relay/vault"
	"github.com/relaykeep/relaykeep/relay/webhook"
)

// tokenSeconds is how long the service account's token is valid: the least that
// Kubernetes grants.
const tokenSeconds = 600

// maxCABytes is the largest chain of authorities that is read from Vault.
const maxCABytes = 256 << 10

// credentials are what a business's own programs need. The names are those of the
// JSON output, which scripts rely on.
type credentials struct {
	Endpoint string `json:"endpoint"`
	// SharedEndpoint is the region's shared host, if it leads to this relay.
	SharedEndpoint    string `json:"sharedEndpoint,omitempty"`
	PhoneNumberID     string `json:"phoneNumberID"`
	BusinessAccountID string `json:"businessAccountID"`
	AccessToken       string `json:"accessToken"`
	WebhookSecret     string `json:"webhookSecret"`
	VerifyToken       string `json:"verifyToken"`
	// CACertificate is what the endpoint's certificate chains to, PEM, when the
	// region's Vault signs it.
	CACertificate string `json:"caCertificate,omitempty"`
	// Processors are those of spec.processors.
	Processors []processorCredentials `json:"processors,omitempty"`

	rotation int32 // the counter of spec.rotation.access that they belong to
}

// processorCredentials are what one processor recognises the relay by.
type processorCredentials struct {
	Name        string `json:"name"`
	Secret      string `json:"secret"`
	VerifyToken string `json:"verifyToken"`
}

func newCredentials(streams genericiooptions.IOStreams) *cobra.Command {
	var output, address, caFile string
	cmd := &cobra.Command{
		Use:   "credentials NAME",
		Short: "Print what a business's programs need to call its relay",
		Long: `Print what a business's programs need to call its relay: the endpoint's URL and the
phone number id for request paths, the region's shared host if it leads to the relay (one URL
for several relays; not for /me and /debug_token), the access token for the Authorization header, and
the secret and verify token with which the business's webhook recognises the relay. Each
processor (spec.processors) has a secret and a verify token of its own: give it no others.

Right after a rotation they are those in force until the relay has made the new ones, and a
note says so.

They are read from the region's Vault, where the relay created them. Vault accepts a token
of the relay's service account with the audience ` + contract.AudienceCredentials("REGION") + `,
which you get if Kubernetes lets you "create" the resource "serviceaccounts/token" with the
name NAME-relay. That login can read the credentials and nothing else.`,
		Example: `  # Show them
  kubectl relay credentials acme -n acme

  # Use them in a script: RELAYKEEP_ENDPOINT, RELAYKEEP_ACCESS_TOKEN and so on
  eval "$(kubectl relay credentials acme -n acme -o env)"

  # The authority that signed the endpoint's certificate, for curl --cacert
  kubectl relay credentials acme -n acme -o ca > acme-ca.pem`,
		Args: oneRelay,
	}
	flags := cmd.Flags()
	flags.StringVarP(&output, "output", "o", "text", "output format: text, json, yaml, env or ca")
	completeWords(cmd, "output", "text", "json", "yaml", "env", "ca")
	flags.StringVar(&address, "vault-address", "", "https URL of the region's Vault, as this machine reaches it; default: the DataRegion's")
	flags.StringVar(&caFile, "vault-ca", "", "PEM file with Vault's CA certificates; default: the DataRegion's")
	cluster := newCluster(cmd)
	cmd.ValidArgsFunction = cluster.firstRelay()
	cmd.RunE = func(cmd *cobra.Command, args []string) error {
		show, ok := credentialPrinters()[output]
		if !ok {
			return usage(cmd, "unknown output %q: write text, json, yaml, env or ca", output)
		}
		k, namespace, err := cluster.connect()
		if err != nil {
			return err
		}
		relay, region, err := readRelay(cmd.Context(), k, namespace, args[0])
		if err != nil {
			return err
		}
		v, err := regionVault(region, address, caFile)
		if err != nil {
			return err
		}
		c, err := readCredentials(cmd.Context(), k, v, relay, region)
		if err != nil {
			return err
		}
		if asked := relay.Spec.Rotation.Access; c.rotation != asked {
			fmt.Fprintf(streams.ErrOut, "note: a rotation is pending: the relay has not made the credentials %d yet (see kubectl relay status %s -n %s); those shown, %d, are in force, and for a day after\n",
				asked, relay.Name, relay.Namespace, c.rotation)
		}
		if name := receiversSecret(relay); name != "" {
			fmt.Fprintf(streams.ErrOut, "note: the webhook uses appSecret and verifyToken of the Secret %s, not the webhook secret and verify token shown here\n", name)
		}
		return show(streams.Out, c)
	}
	return cmd
}

// receiversSecret returns the Secret with the webhook's credentials, if its receiver brings its own.
func receiversSecret(relay *v1alpha1.BusinessRelay) string {
	if relay.Spec.Webhook == nil {
		return ""
	}
	return string(relay.Spec.Webhook.CredentialsSecretName)
}

// regionVault returns a client of the region's Vault, reached as the flags say.
func regionVault(region *v1alpha1.DataRegion, address, caFile string) (*api.Client, error) {
	ca := string(region.Spec.Vault.CABundle)
	if address == "" {
		address = region.Spec.Vault.Address
	}
	if caFile != "" {
		pem, err := os.ReadFile(caFile)
		if err != nil {
			return nil, fmt.Errorf("reading --vault-ca: %w", err)
		}
		ca = string(pem)
	}
	return vaultAt(address, ca)
}

// readCredentials reads the credentials in force as the relay's service account: those that the spec asks for, or, until the
// relay has made them, those that it uses.
func readCredentials(ctx context.Context, k client.Client, v *api.Client, relay *v1alpha1.BusinessRelay, region *v1alpha1.DataRegion) (*credentials, error) {
	token, err := requestToken(ctx, k, relay, region.Name)
	if err != nil {
		return nil, err
	}
	settings := region.Spec.Vault
	account, logout, err := loginVault(ctx, v, string(settings.AuthPath), contract.RoleCredentials(region.Name), token)
	if err != nil {
		return nil, err
	}
	defer logout()
	tenant := vault.Tenant{KVMount: string(settings.KVMount), Namespace: relay.Namespace, Account: v1alpha1.TenantName(relay.Name)}
	rotation := relay.Spec.Rotation.Access
	access, err := tenant.Access(ctx, v, account, int(rotation))
	if former := relay.Status.Rotation.Access; errors.Is(err, vault.ErrNotFound) && former > 0 && former < rotation {
		rotation = former
		access, err = tenant.Access(ctx, v, account, int(rotation))
	}
	missing := (*vault.MissingError)(nil)
	switch {
	case errors.Is(err, vault.ErrNotFound):
		return nil, fmt.Errorf("the relay has not created its credentials yet: see kubectl get brelay %s -n %s; if the reason is OwnerChanged, a Vault admin has to run kubectl relay adopt first", relay.Name, relay.Namespace)
	case errors.As(err, &missing):
		return nil, fmt.Errorf("the credentials in Vault have no %s: raise spec.rotation.access to create new ones", missing.Field)
	case err != nil:
		return nil, fmt.Errorf("reading the credentials: %w", explainVault(err))
	}
	c := &credentials{
		Endpoint:          relay.Status.Endpoint.URL,
		SharedEndpoint:    relay.Status.Endpoint.SharedURL,
		PhoneNumberID:     relay.Status.Endpoint.PhoneNumberID,
		BusinessAccountID: relay.Status.Endpoint.BusinessAccountID,
		AccessToken:       access.AccessToken,
		WebhookSecret:     access.WebhookSecret,
		VerifyToken:       access.VerifyToken,
		rotation:          rotation,
	}
	for _, of := range relay.Spec.Processors {
		its, err := webhook.ForProcessor(of.Name, access.WebhookSecret)
		if err != nil {
			return nil, err
		}
		c.Processors = append(c.Processors, processorCredentials{Name: of.Name, Secret: string(its.Secret), VerifyToken: string(its.VerifyToken)})
	}
	if relay.Spec.Endpoint.TLSSecretName == "" && !relay.Spec.Endpoint.TerminateAtGateway {
		if c.CACertificate, err = readAuthority(ctx, v, string(settings.PKIMount)); err != nil {
			return nil, err
		}
	}
	return c, nil
}

// requestToken asks Kubernetes for a token of the relay's service account that the
// region's Vault takes for reading the credentials and for nothing else.
func requestToken(ctx context.Context, k client.Client, relay *v1alpha1.BusinessRelay, region string) (string, error) {
	account := &corev1.ServiceAccount{ObjectMeta: metav1.ObjectMeta{Namespace: relay.Namespace, Name: v1alpha1.TenantName(relay.Name)}}
	request := &authenticationv1.TokenRequest{Spec: authenticationv1.TokenRequestSpec{
		Audiences: []string{contract.AudienceCredentials(region)}, ExpirationSeconds: new(int64(tokenSeconds)),
	}}
	if err := k.SubResource("token").Create(ctx, account, request); err != nil {
		return "", explain(err, "token of service account "+account.Name,
			"the operator has not created it yet: see kubectl get brelay "+relay.Name+" -n "+relay.Namespace)
	}
	return request.Status.Token, nil
}

// readAuthority returns the chain, PEM, that the endpoint's certificate leads to.
func readAuthority(ctx context.Context, v *api.Client, mount string) (string, error) {
	response, err := v.Logical().ReadRawWithContext(ctx, mount+"/ca_chain")
	if err != nil {
		return "", fmt.Errorf("reading the endpoint's CA: %w", explainVault(err))
	}
	defer response.Body.Close()
	if response.StatusCode == http.StatusNoContent {
		return "", nil
	}
	pem, err := io.ReadAll(io.LimitReader(response.Body, maxCABytes))
	if err != nil {
		return "", fmt.Errorf("reading the endpoint's CA: %w", err)
	}
	return string(pem), nil
}

// credentialPrinters returns how to print credentials, by the name of the output.
func credentialPrinters() map[string]func(io.Writer, *credentials) error {
	return map[string]func(io.Writer, *credentials) error{
		"text": printCredentials,
		"env":  printEnvironment,
		"json": func(w io.Writer, c *credentials) error {
			e := json.NewEncoder(w)
			e.SetIndent("", "  ")
			e.SetEscapeHTML(false)
			return e.Encode(c) //nolint:gosec // this command's purpose is to print the credentials
		},
		"yaml": func(w io.Writer, c *credentials) error {
			raw, err := yaml.Marshal(c) //nolint:gosec // likewise
			if err != nil {
				return err
			}
			_, err = w.Write(raw)
			return err
		},
		"ca": func(w io.Writer, c *credentials) error {
			if c.CACertificate == "" {
				return fmt.Errorf("the endpoint's certificate is not signed by the region's Vault: use the CA of its own Secret or gateway")
			}
			_, err := io.WriteString(w, strings.TrimRight(c.CACertificate, "\n")+"\n")
			return err
		},
	}
}

func printCredentials(w io.Writer, c *credentials) error {
	t := tabwriter.NewWriter(w, 0, 0, 2, ' ', 0)
	rows := [][2]string{{"Endpoint", c.Endpoint}}
	if c.SharedEndpoint != "" {
		rows = append(rows, [2]string{"Shared endpoint", c.SharedEndpoint})
	}
	rows = append(rows, [][2]string{
		{"Phone number id", c.PhoneNumberID},
		{"Business account id", c.BusinessAccountID},
		{"Access token", c.AccessToken},
		{"Webhook secret", c.WebhookSecret},
		{"Verify token", c.VerifyToken},
	}...)
	for _, p := range c.Processors {
		rows = append(rows, [2]string{"Secret of processor " + p.Name, p.Secret}, [2]string{"Verify token of processor " + p.Name, p.VerifyToken})
	}
	for _, row := range rows {
		if row[1] == "" {
			row[1] = "(not reported by the relay yet)"
		}
		fmt.Fprintf(t, "%s\t%s\n", row[0], row[1])
	}
	return t.Flush()
}

// printEnvironment prints assignments that a POSIX shell may evaluate.
func printEnvironment(w io.Writer, c *credentials) error {
	rows := [][2]string{{"ENDPOINT", c.Endpoint}}
	if c.SharedEndpoint != "" {
		rows = append(rows, [2]string{"SHARED_ENDPOINT", c.SharedEndpoint})
	}
	for _, row := range append(rows, [][2]string{
		{"PHONE_NUMBER_ID", c.PhoneNumberID},
		{"BUSINESS_ACCOUNT_ID", c.BusinessAccountID},
		{"ACCESS_TOKEN", c.AccessToken},
		{"WEBHOOK_SECRET", c.WebhookSecret},
		{"VERIFY_TOKEN", c.VerifyToken},
	}...) {
		quoted := "'" + strings.ReplaceAll(row[1], "'", `'\''`) + "'"
		if _, err := fmt.Fprintf(w, "RELAYKEEP_%s=%s\n", row[0], quoted); err != nil {
			return err
		}
	}
	return nil
}
