package setup

import (
	"context"
	"fmt"

	"github.com/hashicorp/vault/api"

	"github.com/relaykeep/relaykeep/api/contract"
)

// formerRole is a role of earlier releases, whose audience named no region. It exists beside the
// region's own role for as long as something logs in with it: relays until the operator is
// upgraded, and janitors that deleted relays left behind.
type formerRole struct{ role, audience, file string }

func formerRoles() []formerRole {
	return []formerRole{
		{contract.FormerRoleCredentials, contract.FormerAudienceCredentials, "former-credentials.hcl"},
		{contract.FormerRoleJanitor, contract.FormerAudienceJanitor, "former-janitor.hcl"},
		{contract.FormerRoleRelay, contract.FormerAudienceRelay, "former-relay.hcl"},
	}
}

// formerSteps keep what an earlier release set up, also after the auth mount was recreated:
// policies name the mount's accessor, and roles are deleted with the mount.
func formerSteps(o Options, accessor string) ([]Step, error) {
	t := newTemplateData(o, accessor)
	files := make(map[string]string)
	for _, f := range formerRoles() {
		files[f.role] = f.file
	}
	policies, err := render(files, t)
	if err != nil {
		return nil, err
	}
	var steps []Step
	for _, f := range formerRoles() {
		own := []Step{policyStep(f.role, policies[f.role]), role(o, f.role, f.audience)}
		if f.role == contract.FormerRoleRelay {
			own = append(own, certificateRole(o, t, f.role))
		}
		for _, step := range own {
			step.FormerPolicy = f.role
			steps = append(steps, step)
		}
	}
	return steps, nil
}

// RemoveFormer removes what earlier releases set up: their roles and their policies. Programs
// that still log in with them are shut out, so the caller must look for those first. What is
// gone already is no error. Each removal is reported to report, which may be nil.
func RemoveFormer(ctx context.Context, client *api.Client, o Options, report func(title string)) error {
	o, err := o.withMounts()
	if err != nil {
		return err
	}
	remove := func(title, path string) error {
		if _, err := client.Logical().DeleteWithContext(ctx, path); err != nil {
			return fmt.Errorf("removing %s: %w", title, explain(err))
		}
		if report != nil {
			report(title)
		}
		return nil
	}
	for _, f := range formerRoles() {
		// The role before its policy, so that an interrupted removal leaves no login.
		if err := remove("role "+f.role, "auth/"+o.AuthPath+"/role/"+f.role); err != nil {
			return err
		}
		if err := remove("policy "+f.role, "sys/policies/acl/"+f.role); err != nil {
			return err
		}
	}
	return remove("role "+contract.FormerRoleRelay+" for certificates", o.PKIMount+"/roles/"+contract.FormerRoleRelay)
}
