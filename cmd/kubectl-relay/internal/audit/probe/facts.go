package probe

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"net/http"
	"time"

	"github.com/hashicorp/vault/api"

	"github.com/relaykeep/relaykeep/cmd/kubectl-relay/internal/audit"
)

// readingVault bounds the reading of a Vault's roles, policies and logins.
const readingVault = 30 * time.Second

// role is a role of Vault's Kubernetes auth method.
type role struct {
	Names      []string `json:"bound_service_account_names"`
	Namespaces []string `json:"bound_service_account_namespaces"`
	Audience   string   `json:"audience"`
	Policies   []string `json:"token_policies"`
	NoDefault  bool     `json:"token_no_default_policy"`
}

// vaultFacts are what a region's Vault says of roles and policies, read once.
type vaultFacts struct {
	client   *api.Client
	why      *audit.Outcome // why nothing could be read
	accessor string
	roles    map[string]role
	policies map[string][]rule
	// logins are the accessors of logins by role, namespace and account; nil if they could not be listed, for the reason.
	logins map[string]string
	asked  string
}

// said is what an answer of Vault's means, without its body.
func said(err error) string {
	response, ok := errors.AsType[*api.ResponseError](err)
	switch {
	case !ok:
		return err.Error()
	case response.StatusCode == http.StatusForbidden:
		return "this login may not read roles, policies and key settings: use one that may, with VAULT_TOKEN"
	case response.StatusCode == http.StatusServiceUnavailable:
		return "it is sealed or has no leader"
	}
	return fmt.Sprintf("it answered %d", response.StatusCode)
}

// errNotMounted says that an auth mount is not there.
var errNotMounted = errors.New("the DataRegion's auth mount is not there: kubectl relay setup vault")

func (f *vaultFacts) read(ctx context.Context, auth string) error {
	mount, err := f.client.Logical().ReadWithContext(ctx, "sys/auth/"+auth)
	if err != nil {
		return err
	}
	if mount == nil {
		return errNotMounted
	}
	f.accessor, _ = mount.Data["accessor"].(string)
	names, err := f.list(ctx, "auth/"+auth+"/role")
	if err != nil {
		return err
	}
	for _, name := range names {
		answer, err := f.client.Logical().ReadWithContext(ctx, "auth/"+auth+"/role/"+name)
		if err != nil {
			return err
		}
		if answer == nil {
			continue
		}
		var is role
		if err := decode(answer.Data, &is); err != nil {
			return err
		}
		f.roles[name] = is
		for _, policy := range is.Policies {
			if err := f.readPolicy(ctx, policy); err != nil {
				return err
			}
		}
		if !is.NoDefault {
			if err := f.readPolicy(ctx, "default"); err != nil {
				return err
			}
		}
	}
	return nil
}

func (f *vaultFacts) readPolicy(ctx context.Context, name string) error {
	if _, known := f.policies[name]; known {
		return nil
	}
	answer, err := f.client.Logical().ReadWithContext(ctx, "sys/policies/acl/"+name)
	if err != nil || answer == nil {
		f.policies[name] = nil
		return err
	}
	text, _ := answer.Data["policy"].(string)
	rules, err := parsePolicy(text)
	f.policies[name] = rules
	return err
}

func (f *vaultFacts) list(ctx context.Context, path string) ([]string, error) {
	answer, err := f.client.Logical().ListWithContext(ctx, path)
	if err != nil || answer == nil {
		return nil, err
	}
	keys, _ := answer.Data["keys"].([]any)
	names := make([]string, 0, len(keys))
	for _, k := range keys {
		if name, ok := k.(string); ok {
			names = append(names, name)
		}
	}
	return names, nil
}

func decode(data map[string]any, into any) error {
	raw, err := json.Marshal(data)
	if err != nil {
		return err
	}
	return json.Unmarshal(raw, into)
}

// maxLogins is how many logins of a Vault are looked at.
const maxLogins = 5000

// listLogins finds the accessors of relays' logins, so that Vault itself can be asked what they may do.
func (f *vaultFacts) listLogins(ctx context.Context, auth string) {
	accessors, err := f.list(ctx, "auth/token/accessors/")
	switch {
	case err != nil:
		f.asked = "no login was asked: " + said(err)
		return
	case len(accessors) > maxLogins:
		f.asked = fmt.Sprintf("no login was asked: Vault has more than %d", maxLogins)
		return
	}
	f.logins = map[string]string{}
	for _, accessor := range accessors {
		answer, err := f.client.Auth().Token().LookupAccessorWithContext(ctx, accessor)
		if ctx.Err() != nil {
			f.asked = fmt.Sprintf("its login was not among those of Vault's %d that could be looked at within %s", len(accessors), readingVault)
			return
		}
		if err != nil || answer == nil { // it ended meanwhile
			continue
		}
		if by, _ := answer.Data["path"].(string); by != "auth/"+auth+"/login" {
			continue
		}
		meta, _ := answer.Data["meta"].(map[string]any)
		text := func(key string) string { t, _ := meta[key].(string); return t }
		f.logins[text("role")+" "+text("service_account_namespace")+" "+text("service_account_name")] = accessor
	}
}
