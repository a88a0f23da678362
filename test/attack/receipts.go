package attack

import (
	"context"
	"crypto/rand"
	"fmt"
	"net/http"
	"strings"

	"github.com/relaykeep/relaykeep/test/lab"
)

// receiptsOf is a folder of a business's receipts that no run writes into.
func receiptsOf(of *lab.Business, writer string) string {
	return fmt.Sprintf("%s/%s/%s/2000-01", of.Name, of.Tenant(), writer)
}

// putReceipt puts a receipt in a writer's name, which Close removes.
func putReceipt(l login, of *lab.Business, writer string) act {
	return func(ctx context.Context, s *Scene) error {
		entry := receiptsOf(of, writer) + "/attack-" + strings.ToLower(rand.Text())
		if err := write(l, "kv-receipts/data/"+entry, map[string]any{"data": map[string]any{"a": "b"}})(ctx, s); err != nil {
			return err
		}
		s.undo = append(s.undo, func(ctx context.Context) error {
			return rooted(of.Region, http.MethodDelete, "kv-receipts/metadata/"+entry)(ctx, s)
		})
		return nil
	}
}

// vaultsAdmin is the login of the region's Vault admin.
var vaultsAdmin login

// onReceipt does something to a receipt that is there, which Close removes. The path ends in the receipt's name.
func onReceipt(l login, of *lab.Business, method, path string) act {
	return func(ctx context.Context, s *Scene) error {
		entry := receiptsOf(of, "janitor") + "/attack-" + strings.ToLower(rand.Text())
		body := map[string]any{"data": map[string]any{"a": "b"}}
		if _, err := s.root[of.Region].Logical().WriteWithContext(ctx, "kv-receipts/data/"+entry, body); err != nil {
			return err
		}
		s.undo = append(s.undo, func(ctx context.Context) error {
			return rooted(of.Region, http.MethodDelete, "kv-receipts/metadata/"+entry)(ctx, s)
		})
		if l != vaultsAdmin {
			return request(l, method, path+entry, body)(ctx, s)
		}
		r := s.root[of.Region].NewRequest(method, "/v1/"+path+entry)
		if err := r.SetJSONBody(body); err != nil {
			return err
		}
		//nolint:staticcheck // as in request
		answer, err := s.root[of.Region].RawRequestWithContext(ctx, r)
		if err != nil {
			return err
		}
		return answer.Body.Close()
	}
}

// atReceipts are attempts on what janitor and keeper leave of what they destroyed.
func atReceipts() []Attempt {
	relay, janitor, keeper := relayOf(lab.Acme), janitorOf(lab.Acme), keeperOf(lab.Acme)
	puts := func(who, tries string, thief login, of *lab.Business, writer, owners string, owner login) Attempt {
		return Attempt{who, tries, vaultsPolicy, owners, putReceipt(thief, of, writer), putReceipt(owner, of, writer), byVault}
	}
	does := func(who, tries string, thief, owner login, owners, method, path string) Attempt {
		return Attempt{who, tries, vaultsPolicy, owners, onReceipt(thief, lab.Acme, method, path), onReceipt(owner, lab.Acme, method, path), byVault}
	}
	const admin = "Vault's admin"
	return []Attempt{
		puts(acmesRelay, "puts a receipt in its janitor's name", relay, lab.Acme, "janitor", "its janitor", janitor),
		puts(acmesJanitor, "puts a receipt in the keeper's name", janitor, lab.Acme, "keeper", "the region's keeper", keeper),
		puts("the region's keeper", "puts a receipt in the name of acme's janitor", keeper, lab.Acme, "janitor", "acme's janitor", janitor),
		puts(acmesJanitor, "puts a receipt of globex's", janitor.at(lab.NA), lab.Globex, "janitor", "globex's janitor", janitorOf(lab.Globex)),
		does(acmesJanitor, "reads a receipt", janitor, relay, "its relay", http.MethodGet, "kv-receipts/data/"),
		does(acmesJanitor, "removes a receipt", janitor, vaultsAdmin, admin, http.MethodDelete, "kv-receipts/metadata/"),
		does(acmesRelay, "removes a receipt", relay, vaultsAdmin, admin, http.MethodDelete, "kv-receipts/metadata/"),
		does("the region's keeper", "removes a receipt", keeper, vaultsAdmin, admin, http.MethodDelete, "kv-receipts/metadata/"),
		does(acmesJanitor, "hides a receipt", janitor, vaultsAdmin, admin, http.MethodDelete, "kv-receipts/data/"),
		does(acmesJanitor, "overwrites a receipt", janitor, vaultsAdmin, admin, http.MethodPut, "kv-receipts/data/"),
	}
}
