package setup

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"maps"
	"net/http"
	"slices"
	"strings"

	"github.com/hashicorp/vault/api"
)

// Apply makes every write of the plan with client's login, and reports each to report, which may
// be nil. Applied again, it writes the same policies and roles and leaves mounts and the
// authority alone. It must be applied again after the auth mount was recreated, because the
// policies name the mount's accessor.
func Apply(ctx context.Context, client *api.Client, o Options, report func(title string, changed bool)) error {
	steps, err := Plan(o, "")
	if err != nil {
		return err
	}
	// The accessor is known only once the auth mount exists, so make that first.
	if err := applyStep(ctx, client, steps[0], report); err != nil {
		return err
	}
	o, err = o.withDefaults()
	if err != nil {
		return err
	}
	accessor, err := Accessor(ctx, client, o.AuthPath)
	if err != nil {
		return err
	}
	if steps, err = Plan(o, accessor); err != nil {
		return err
	}
	for _, step := range steps[1:] {
		if err := applyStep(ctx, client, step, report); err != nil {
			return err
		}
	}
	return nil
}

func applyStep(ctx context.Context, client *api.Client, step Step, report func(string, bool)) error {
	if step.FormerPolicy != "" {
		policy, err := client.Logical().ReadWithContext(ctx, "sys/policies/acl/"+step.FormerPolicy)
		if err != nil {
			return fmt.Errorf("looking for policy %s of an earlier release: %w", step.FormerPolicy, explain(err))
		}
		if policy == nil {
			return nil
		}
	}
	changed := true
	if step.Once {
		exists, err := present(ctx, client, step)
		if err != nil {
			return fmt.Errorf("setting up %s: %w", step.Title, err)
		}
		changed = !exists
	}
	if changed {
		if _, err := client.Logical().WriteWithContext(ctx, step.Path, step.Data); err != nil {
			return fmt.Errorf("setting up %s: %w", step.Title, explain(err))
		}
	}
	if report != nil {
		report(step.Title, changed)
	}
	return nil
}

// present says whether what a Once step makes exists and is of the right kind.
func present(ctx context.Context, client *api.Client, step Step) (bool, error) {
	mounts, isMount := strings.CutPrefix(step.Path, "sys/mounts/")
	auth, isAuth := strings.CutPrefix(step.Path, "sys/auth/")
	switch {
	case isMount:
		found, err := client.Sys().ListMountsWithContext(ctx)
		if err != nil {
			return false, explain(err)
		}
		m := found[mounts+"/"]
		return m != nil, checkKind(m, step.Data)
	case isAuth:
		found, err := client.Sys().ListAuthWithContext(ctx)
		if err != nil {
			return false, explain(err)
		}
		m := found[auth+"/"]
		return m != nil, checkKind(m, step.Data)
	default:
		mount, _, _ := strings.Cut(step.Path, "/root/")
		issuers, err := client.Logical().ListWithContext(ctx, mount+"/issuers")
		return issuers != nil && issuers.Data["keys"] != nil, explain(err)
	}
}

func checkKind(m *api.MountOutput, want map[string]any) error {
	if m == nil {
		return nil
	}
	if m.Type != want["type"] {
		return fmt.Errorf("another mount, of type %q, is at this path: choose another path", m.Type)
	}
	if m.Type == "kv" && m.Options["version"] != "2" {
		return errors.New("a KV mount of version 1 is at this path: choose another path")
	}
	return nil
}

// Accessor returns the accessor of the auth mount at path, or "" when nothing is mounted there.
func Accessor(ctx context.Context, client *api.Client, path string) (string, error) {
	found, err := client.Sys().ListAuthWithContext(ctx)
	if err != nil {
		return "", fmt.Errorf("listing auth mounts: %w", explain(err))
	}
	if m := found[path+"/"]; m != nil {
		return m.Accessor, nil
	}
	return "", nil
}

// explain turns Vault's answer into an error that an admin can act on. Unlike a relay, an admin
// at a terminal may see Vault's own words, which are about mounts and roles.
func explain(err error) error {
	response, ok := errors.AsType[*api.ResponseError](err)
	if !ok {
		return err
	}
	switch response.StatusCode {
	case http.StatusForbidden:
		return errors.New("vault refused: log in with a token that may manage mounts, policies and roles")
	case http.StatusServiceUnavailable:
		return errors.New("vault is sealed")
	default:
		return fmt.Errorf("vault answered %d: %s", response.StatusCode, strings.Join(response.Errors, "; "))
	}
}

// Print writes the plan as vault commands, for review. It leaves out secrets.
func Print(w io.Writer, o Options, accessor string) error {
	steps, err := Plan(o, accessor)
	if err != nil {
		return err
	}
	for _, step := range steps {
		if err := printStep(w, step); err != nil {
			return err
		}
	}
	return nil
}

func printStep(w io.Writer, step Step) error {
	note := ""
	if step.Once {
		note = " (only where it is missing)"
	}
	if step.FormerPolicy != "" {
		note = " (only while policy " + step.FormerPolicy + " of an earlier release is there)"
	}
	if policy, ok := step.Data["policy"].(string); ok {
		name := strings.TrimPrefix(step.Path, "sys/policies/acl/")
		_, err := fmt.Fprintf(w, "# %s%s\nvault policy write %s - <<'EOF'\n%sEOF\n\n", step.Title, note, name, policy)
		return err
	}
	data := maps.Clone(step.Data)
	for _, name := range step.Secret {
		data[name] = "(not shown)"
	}
	lines := make([]string, 0, len(data))
	for _, name := range slices.Sorted(maps.Keys(data)) {
		value, err := json.Marshal(data[name])
		if err != nil {
			return fmt.Errorf("printing %s: %w", step.Title, err)
		}
		lines = append(lines, fmt.Sprintf("  %q: %s", name, value))
	}
	_, err := fmt.Fprintf(w, "# %s%s\nvault write %s - <<'EOF'\n{\n%s\n}\nEOF\n\n", step.Title, note, step.Path, strings.Join(lines, ",\n"))
	return err
}
