package attack

import (
	"context"
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/x509"
	"encoding/pem"
	"fmt"
	"net/http"

	corev1 "k8s.io/api/core/v1"
	"sigs.k8s.io/controller-runtime/pkg/client"

	"github.com/relaykeep/relaykeep/api/contract"
	"github.com/relaykeep/relaykeep/relay/vault"
	"github.com/relaykeep/relaykeep/test/lab"
)

// The attackers, as the threat model calls them.
const (
	acmesRelay   = "acme's relay"
	acmesJanitor = "acme's janitor"
	vaultsPolicy = "Vault's policies, templated on the login"
)

// request sends a request to the Vault of a login's region. A path that ends in %s
// gets the scene's mark.
func request(l login, method, path string, body map[string]any) act {
	return func(ctx context.Context, s *Scene) error {
		c, err := s.vault(ctx, l)
		if err != nil {
			return err
		}
		r := c.NewRequest(method, "/v1/"+path)
		if body != nil {
			if err := r.SetJSONBody(body); err != nil {
				return err
			}
		}
		//nolint:staticcheck // methods that the client has no names for
		answer, err := c.RawRequestWithContext(ctx, r)
		if err != nil {
			return err
		}
		return answer.Body.Close()
	}
}

func read(l login, path string) act   { return request(l, http.MethodGet, path, nil) }
func list(l login, path string) act   { return request(l, "LIST", path, nil) }
func remove(l login, path string) act { return request(l, http.MethodDelete, path, nil) }
func write(l login, path string, body map[string]any) act {
	return request(l, http.MethodPut, path, body)
}

// rooted is what a region's Vault admin does.
func rooted(r *lab.Region, method, path string) act {
	return func(ctx context.Context, s *Scene) error {
		//nolint:staticcheck // as in request
		answer, err := s.root[r].RawRequestWithContext(ctx, s.root[r].NewRequest(method, "/v1/"+path))
		if err != nil {
			return err
		}
		return answer.Body.Close()
	}
}

// decrypt opens a business's wrapped data key with a key of its own.
func decrypt(l login, of *lab.Business) act {
	return func(ctx context.Context, s *Scene) error {
		return write(l, "transit/decrypt/"+of.WrappingKey(), map[string]any{"ciphertext": s.wrapped[of]})(ctx, s)
	}
}

func decryptSettings(l login, of *lab.Business) act {
	return func(ctx context.Context, s *Scene) error {
		return write(l, "transit-settings/decrypt/"+of.WrappingKey(), map[string]any{"ciphertext": s.settings[of]})(ctx, s)
	}
}

// create writes a new entry below a business's path, which Close removes.
func create(l login, of *lab.Business) act {
	return func(ctx context.Context, s *Scene) error {
		entry := fmt.Sprintf("%s/%s/identity/attack-%s", of.Name, of.Tenant(), s.mark)
		if err := write(l, "kv/data/"+entry, map[string]any{"data": map[string]any{"a": "b"}})(ctx, s); err != nil {
			return err
		}
		s.undo = append(s.undo, func(ctx context.Context) error {
			return rooted(of.Region, http.MethodDelete, "kv/metadata/"+entry)(ctx, s)
		})
		return nil
	}
}

// sign has a certificate signed for a business's endpoint.
func sign(l login, of *lab.Business) act {
	return func(ctx context.Context, s *Scene) error {
		key, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
		if err != nil {
			return err
		}
		request, err := x509.CreateCertificateRequest(rand.Reader, &x509.CertificateRequest{DNSNames: []string{of.Tenant() + "." + of.Name + ".svc"}}, key)
		if err != nil {
			return err
		}
		text := string(pem.EncodeToMemory(&pem.Block{Type: "CERTIFICATE REQUEST", Bytes: request}))
		return write(l, "pki/sign/"+roleOf(asRelay, l.region), map[string]any{"csr": text})(ctx, s)
	}
}

// readCredentials reads a business's credentials, which lie below the UID of its account.
func readCredentials(l login, of *lab.Business) act {
	return func(ctx context.Context, s *Scene) error {
		c, err := s.as(admin)
		if err != nil {
			return err
		}
		account := &corev1.ServiceAccount{}
		if err := c.Get(ctx, client.ObjectKey{Namespace: of.Name, Name: of.Tenant()}, account); err != nil {
			return err
		}
		return read(l, data(of, vault.AccessName(string(account.UID), 1)))(ctx, s)
	}
}

// readDatabaseLogin reads a business's login at PostgreSQL. Where the business has none, Vault's admin writes one, which
// Close removes.
func readDatabaseLogin(l login, of *lab.Business) act {
	return func(ctx context.Context, s *Scene) error {
		path, vaults := data(of, "postgres"), s.root[of.Region].Logical()
		there, err := vaults.ReadWithContext(ctx, path)
		if err != nil {
			return err
		}
		if there == nil {
			if _, err := vaults.WriteWithContext(ctx, path, map[string]any{"data": map[string]any{"username": "attack", "password": "attack"}}); err != nil {
				return err
			}
			s.undo = append(s.undo, func(ctx context.Context) error {
				return rooted(of.Region, http.MethodDelete, fmt.Sprintf("kv/metadata/%s/%s/postgres", of.Name, of.Tenant()))(ctx, s)
			})
		}
		return read(l, path)(ctx, s)
	}
}

func data(b *lab.Business, entry string) string {
	return fmt.Sprintf("kv/data/%s/%s/%s", b.Name, b.Tenant(), entry)
}

func transit(b *lab.Business) string { return "transit/keys/" + b.WrappingKey() }

// atVault are attempts of acme's relay, with the very token of its pod, at what is
// globex's in globex's Vault.
func atVault() []Attempt {
	thief, owner := relayOf(lab.Acme).at(lab.NA), relayOf(lab.Globex)
	steal := func(tries string, try func(login) act) Attempt {
		return Attempt{acmesRelay, tries, vaultsPolicy, "globex's relay", try(thief), try(owner), byVault}
	}
	forAdmins := func(tries, method, path, owners string) Attempt {
		return Attempt{acmesRelay, tries, vaultsPolicy, "Vault's admin", request(thief, method, path, nil), rooted(lab.NA, method, owners), byVault}
	}
	key := lab.Globex.WrappingKey()
	return []Attempt{
		steal("opens a data key with globex's wrapping key", func(l login) act { return decrypt(l, lab.Globex) }),
		steal("opens a data key with globex's settings key", func(l login) act { return decryptSettings(l, lab.Globex) }),
		steal("gets a data key of globex's wrapping key", func(l login) act { return write(l, "transit/datakey/plaintext/"+key, nil) }),
		steal("gets a data key of globex's settings key", func(l login) act { return write(l, "transit-settings/datakey/plaintext/"+key, nil) }),
		steal("creates globex's wrapping key, to learn its versions", func(l login) act {
			return write(l, transit(lab.Globex), map[string]any{"type": "aes256-gcm96", "auto_rotate_period": "86400s"})
		}),
		steal("reads globex's identity", func(l login) act { return read(l, data(lab.Globex, "identity/1")) }),
		steal("reads globex's credentials", func(l login) act { return readCredentials(l, lab.Globex) }),
		steal("reads globex's carrier account", func(l login) act { return read(l, data(lab.Globex, "carrier")) }),
		steal("reads globex's login at PostgreSQL", func(l login) act { return readDatabaseLogin(l, lab.Globex) }),
		steal("plants an entry below globex's path", func(l login) act { return create(l, lab.Globex) }),
		{
			acmesRelay, "has a certificate signed for globex's endpoint", "the PKI role, templated on the login", "globex's relay",
			sign(thief, lab.Globex), sign(owner, lab.Globex), byVaultsRules,
		},
		forAdmins("lists the tenants", "LIST", "kv/metadata", "kv/metadata"),
		forAdmins("lists the wrapping keys", "LIST", "transit/keys", "transit/keys"),
		forAdmins("looks at globex's wrapping key", http.MethodGet, transit(lab.Globex), transit(lab.Globex)),
		forAdmins("reads the policy of relays", http.MethodGet, "sys/policies/acl/relaykeep-relay-na", "sys/policies/acl/relaykeep-relay-na"),
	}
}

// enter logs in at the Vault of one login's region and role with the token of another.
func enter(to, with login) act {
	return func(ctx context.Context, s *Scene) error {
		token, err := s.token(ctx, with)
		if err != nil {
			return err
		}
		_, err = s.lab.VaultLoginAs(ctx, to.region, roleOf(to.as, to.region), token)
		return err
	}
}

// enterAs logs in as a relay with the token of any service account for an audience.
func enterAs(namespace, account, audience string) act {
	return func(ctx context.Context, s *Scene) error {
		token, err := s.lab.NodeToken(ctx, namespace, account, audience)
		if err != nil {
			return err
		}
		_, err = s.lab.VaultLoginAs(ctx, lab.EU, contract.RoleRelay(lab.EU.Name), token)
		return err
	}
}

// acrossRoles are attempts to do with one role's token what another's may.
func acrossRoles() []Attempt {
	relay, janitor, credentials := relayOf(lab.Acme), janitorOf(lab.Acme), credentialsOf(lab.Acme)
	rotation := map[string]any{"auto_rotate_period": "24h"}
	const audience = "the audience that its Vault role demands"
	relayAudience := contract.AudienceRelay(lab.EU.Name)
	across := func(who, tries string, thief, owner login, owners string, try func(login) act) Attempt {
		return Attempt{who, tries, vaultsPolicy, owners, try(thief), try(owner), byVault}
	}
	in := func(who, tries string, to, with login, owners string) Attempt {
		return Attempt{who, tries, audience, owners, enter(to, with), enter(to, to), byVaultsRules}
	}
	return []Attempt{
		in(acmesRelay, "logs in as its janitor", janitor, relay, "its janitor"),
		in(acmesJanitor, "logs in as its relay", relay, janitor, "its relay"),
		in(acmesRelay, "logs in to read credentials", credentials, relay, "acme's admin"),
		in(acmesRelay, "logs in at the Vault of another region", relay.at(lab.NA), relay, "a relay of that region"),
		in(acmesJanitor, "logs in at the Vault of another region", janitor.at(lab.NA), janitor, "a janitor of that region"),
		in("acme's admin, who may read credentials,", "logs in at the Vault of another region", credentials.at(lab.NA), credentials, "an admin of that region's business"),
		in("acme's admin, who may read credentials,", "logs in as acme's relay", relay, credentials, "its relay"),
		across(acmesRelay, "changes its key's rotation", relay, janitor, "its janitor", func(l login) act { return write(l, transit(lab.Acme)+"/config", rotation) }),
		across(acmesRelay, "rotates its key", relay, janitor, "its janitor", func(l login) act { return write(l, transit(lab.Acme)+"/rotate", nil) }),
		across(acmesRelay, "looks at its key's versions", relay, janitor, "its janitor", func(l login) act { return read(l, transit(lab.Acme)) }),
		across(acmesJanitor, "opens acme's data key", janitor, relay, "its relay", func(l login) act { return decrypt(l, lab.Acme) }),
		across(acmesJanitor, "opens acme's settings", janitor, relay, "its relay", func(l login) act { return decryptSettings(l, lab.Acme) }),
		across(acmesJanitor, "reads acme's identity", janitor, relay, "its relay", func(l login) act { return read(l, data(lab.Acme, "identity/1")) }),
		across(acmesJanitor, "reads acme's credentials", janitor, credentials, "acme's admin", func(l login) act { return readCredentials(l, lab.Acme) }),
		{
			"acme's admin, who may read credentials,", "reads those that a former account of the same name left",
			"Vault's policies, templated on the account's UID", "acme's admin, those of the account that is there",
			read(credentials, data(lab.Acme, vault.AccessName("00000000-0000-4000-8000-000000000000", 1))), readCredentials(credentials, lab.Acme), byVault,
		},
		{
			acmesRelay, "overwrites the record of who used its names first", vaultsPolicy, "its relay, which reads it",
			write(relay, data(lab.Acme, "owner"), map[string]any{"data": map[string]any{"a": "b"}}), read(relay, data(lab.Acme, "owner")), byVault,
		},
		{
			acmesRelay, "overwrites its login at PostgreSQL", vaultsPolicy, "its relay, which reads it",
			write(relay, data(lab.Acme, "postgres"), map[string]any{"data": map[string]any{"username": "a", "password": "b"}}), readDatabaseLogin(relay, lab.Acme), byVault,
		},
		across("acme's admin, who may read credentials,", "reads acme's login at PostgreSQL", credentials, relay, "its relay", func(l login) act { return readDatabaseLogin(l, lab.Acme) }),
		across("acme's admin, who may read credentials,", "reads acme's identity", credentials, relay, "its relay", func(l login) act { return read(l, data(lab.Acme, "identity/1")) }),
		across("the region's keeper", "opens acme's data key", keeperOf(lab.Acme), relay, "its relay", func(l login) act { return decrypt(l, lab.Acme) }),
		across("the region's keeper", "opens acme's settings", keeperOf(lab.Acme), relay, "its relay", func(l login) act { return decryptSettings(l, lab.Acme) }),
		across("the region's keeper", "reads acme's identity", keeperOf(lab.Acme), relay, "its relay", func(l login) act { return read(l, data(lab.Acme, "identity/1")) }),
		across("the region's keeper", "looks at acme's settings key", keeperOf(lab.Acme), janitor, "acme's janitor", func(l login) act { return read(l, "transit-settings/keys/"+lab.Acme.WrappingKey()) }),
		across(acmesJanitor, "rotates globex's key", janitor.at(lab.NA), janitorOf(lab.Globex), "globex's janitor", func(l login) act { return write(l, transit(lab.Globex)+"/rotate", nil) }),
		across(acmesJanitor, "deletes an entry of globex's", janitor.at(lab.NA), janitorOf(lab.Globex), "globex's janitor", func(l login) act { return remove(l, "kv/metadata/globex/globex-relay/attack/none") }),
		across(acmesJanitor, "lists globex's entries", janitor.at(lab.NA), janitorOf(lab.Globex), "globex's janitor", func(l login) act { return list(l, "kv/metadata/globex/globex-relay") }),
		across(acmesRelay, "lists acme's entries", relay, janitor, "its janitor", func(l login) act { return list(l, "kv/metadata/acme/acme-relay") }),
		{
			"an account of acme's that is no relay's", "logs in as a relay", "the names that the Vault role is bound to", "acme's relay",
			enterAs("acme", "attack", relayAudience), enterAs("acme", "acme-relay", relayAudience), byVaultsRules,
		},
		{
			"a token of acme's relay for the API server", "logs in as a relay", audience, "its token for Vault",
			enterAs("acme", "acme-relay", ""), enterAs("acme", "acme-relay", relayAudience), byVaultsRules,
		},
		{
			"the operator", "logs in at Vault with its own token", "the names that the Vault role is bound to", "acme's relay",
			enterAs(lab.Namespace, "relaykeep-manager", relayAudience), enterAs("acme", "acme-relay", relayAudience), byVaultsRules,
		},
	}
}
