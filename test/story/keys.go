package story

import (
	"context"
	"fmt"
	"net/http"
	"strings"

	"github.com/hashicorp/vault/api"

	"github.com/relaykeep/relaykeep/api/contract"
	"github.com/relaykeep/relaykeep/test/lab"
)

func (s *Story) keys() []Claim {
	return []Claim{
		{"the customer's message lies sealed on acme's volume", s.find},
		{"acme's own login opens acme's keys", s.opens(lab.Acme, http.StatusOK)},
		{"globex's login, at the same Vault, is refused them", s.opens(lab.Globex, http.StatusForbidden)},
	}
}

func (s *Story) find(ctx context.Context) (string, error) {
	var err error
	s.sealed, err = s.lab.SealedMessage(ctx, lab.Acme, s.received.ID)
	if err != nil {
		return "", err
	}
	return fmt.Sprintf("%s: %d sealed bytes, under the data key of epoch %d, which version %s of Vault's transit key %s wraps",
		s.received.ID, s.sealed.Bytes, s.sealed.Epoch, s.sealed.Version(), lab.Acme.WrappingKey()), nil
}

// opens tries to open acme's keys with the login of a business, and wants Vault to
// answer with the status each time.
func (s *Story) opens(who *lab.Business, want int) func(context.Context) (string, error) {
	return func(ctx context.Context) (string, error) {
		login, err := s.login(ctx, who)
		if err != nil {
			return "", err
		}
		var evidence strings.Builder
		for _, try := range []struct {
			what string
			do   func() (int, error)
		}{
			{"read kv/acme/acme-relay/identity/1", func() (int, error) { return lab.ReadIdentity(ctx, login, lab.Acme) }},
			{"write transit/decrypt/acme.acme-relay", func() (int, error) { return lab.Unwrap(ctx, login, lab.Acme, s.sealed.Wrapped) }},
		} {
			got, err := try.do()
			if err != nil {
				return "", err
			}
			if got != want {
				return "", fmt.Errorf("%s as %s: Vault answered %d, want %d", try.what, who.Tenant(), got, want)
			}
			fmt.Fprintf(&evidence, "%s as system:serviceaccount:%s:%s: %d %s\n", try.what, who.Name, who.Tenant(), got, http.StatusText(got))
		}
		return evidence.String(), nil
	}
}

// login logs a business's relay in at the Vault of acme's region. Another region's relay
// gets no login there by its own token: this one has it as that region's nodes would ask
// for it, so that Vault's policies alone stand between it and acme's keys.
func (s *Story) login(ctx context.Context, who *lab.Business) (*api.Client, error) {
	region := lab.Acme.Region
	token, err := s.lab.RelayToken(ctx, who)
	if err == nil && who.Region != region {
		token, err = s.lab.NodeToken(ctx, who.Name, who.Tenant(), contract.AudienceRelay(region.Name))
	}
	if err != nil {
		return nil, err
	}
	return s.lab.VaultLogin(ctx, region, token)
}
