package main

import (
	"context"
	"encoding/json"
	"fmt"
	"io"
	"net/http"
	"os"
	"path/filepath"
	"slices"
	"strings"

	"github.com/relaykeep/relaykeep/api/contract"
)

// usage returns what a person needs to use the relay, once it is ready.
func (s *surroundings) usage(ctx context.Context, o options) (string, error) {
	status, err := s.status(ctx)
	if err != nil {
		return "", err
	}
	if i := slices.IndexFunc(status.Conditions, func(c contract.Condition) bool { return c.Status != contract.True }); i >= 0 {
		return "", fmt.Errorf("%s is not true yet", status.Conditions[i].Type)
	}
	access, err := s.access(ctx)
	if err != nil {
		return "", err
	}
	if err := s.writeAuthorities(ctx); err != nil {
		return "", err
	}
	endpoint, err := os.ReadFile(addressFile(s.Dir, "endpoint"))
	if err != nil {
		return "", err
	}
	statusAddr, err := os.ReadFile(addressFile(s.Dir, "status"))
	if err != nil {
		return "", err
	}
	port := string(endpoint[strings.LastIndexByte(string(endpoint), ':'):])
	url := "https://" + host + port
	var b strings.Builder
	fmt.Fprintf(&b, "\nendpoint   %s\nstatus     http://%s/status\nVault      VAULT_ADDR=%s VAULT_CACERT=%s VAULT_TOKEN=%s\n",
		url, statusAddr, s.Vault.Address(), filepath.Join(s.Dir, vaultCA), s.Root.Token())
	fmt.Fprintf(&b, "\nBe a customer (another terminal; it ends with Ctrl-D):\n%s chat --register --as %s --to %s --domain %s --server %s --ca %s --state-dir %s\n",
		o.chat, customer, business, s.prosody.Domain, s.prosody.Addr, filepath.Join(s.Dir, carrierCA), filepath.Join(s.Dir, "customer"))
	fmt.Fprintf(&b, "\nWrite to the customer as the business:\ncurl --cacert %s -H 'Authorization: Bearer %s' --json '%s' %s/v23.0/%s/messages\n",
		filepath.Join(s.Dir, endpointCA), access.AccessToken, text(), url, status.PhoneNumberID)
	fmt.Fprint(&b, "\nWhat the business receives is printed here. Ctrl-C ends everything and removes it.\n\n")
	return b.String(), nil
}

// Files with authorities, below the folder.
const (
	vaultCA    = "vault-ca.pem"
	carrierCA  = "carrier-ca.pem"
	endpointCA = "endpoint-ca.pem"
)

// writeAuthorities writes the certificates that Vault, the carrier and the endpoint chain
// to.
func (s *surroundings) writeAuthorities(ctx context.Context) error {
	response, err := s.Root.Logical().ReadRawWithContext(ctx, s.Vault.Contract().PKIMount+"/ca_chain")
	if err != nil {
		return fmt.Errorf("reading the endpoint's authority: %w", err)
	}
	defer response.Body.Close()
	chain, err := io.ReadAll(response.Body)
	if err != nil {
		return fmt.Errorf("reading the endpoint's authority: %w", err)
	}
	for name, data := range map[string][]byte{vaultCA: s.Vault.CAPEM, carrierCA: s.prosody.CAPEM, endpointCA: chain} {
		if err := os.WriteFile(filepath.Join(s.Dir, name), data, 0o600); err != nil {
			return fmt.Errorf("writing the authorities: %w", err)
		}
	}
	return nil
}

// text is the body of a message to the customer.
func text() string {
	return fmt.Sprintf(`{"messaging_product":"whatsapp","to":%q,"type":"text","text":{"body":"Hello!"}}`, strings.TrimPrefix(customer, "+"))
}

// status asks the relay how it is.
func (s *surroundings) status(ctx context.Context) (contract.Status, error) {
	var status contract.Status
	addr, err := os.ReadFile(addressFile(s.Dir, "status"))
	if err != nil {
		return status, err
	}
	request, err := http.NewRequestWithContext(ctx, http.MethodGet, "http://"+string(addr)+"/status", http.NoBody)
	if err != nil {
		return status, err
	}
	response, err := http.DefaultClient.Do(request)
	if err != nil {
		return status, err
	}
	defer response.Body.Close()
	err = json.NewDecoder(io.LimitReader(response.Body, contract.MaxStatusBytes)).Decode(&status)
	return status, err
}
