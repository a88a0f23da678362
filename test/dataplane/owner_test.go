package dataplane_test

import (
	"strings"
	"testing"

	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"

	"github.com/relaykeep/relaykeep/api/contract"
	"github.com/relaykeep/relaykeep/relay/phone"
	"github.com/relaykeep/relaykeep/relay/vault"
	"github.com/relaykeep/relaykeep/relay/vault/setup"
)

// remakeAccount deletes the relay's service account and makes it again, under another
// UID: by hand, by a GitOps tool or by a restore of the cluster.
func (b *business) remakeAccount() {
	b.t.Helper()
	check(b.t, shared.Kube.Kube.CoreV1().ServiceAccounts(b.Namespace).Delete(b.t.Context(), "acme-relay", metav1.DeleteOptions{}))
	check(b.t, shared.Kube.AddServiceAccount(b.t.Context(), b.Namespace, "acme-relay"))
}

// adopt does what kubectl relay adopt does.
func (b *business) adopt() {
	b.t.Helper()
	number, err := phone.Parse(b.Config.PhoneNumber)
	check(b.t, err)
	admin, err := vault.ForAdmin(shared.Root, shared.Vault.Contract(), b.Namespace, "acme-relay")
	check(b.t, err)
	check(b.t, admin.Adopt(b.t.Context(), vault.Owner{Account: b.AccountUID(), Number: number}))
}

// refusedAsAnothers waits until the relay says that what lies under its names is not
// its own, and how to go on.
func (b *business) refusedAsAnothers() {
	b.t.Helper()
	c := b.Wait(contract.ConditionKeysReady, contract.False, "OwnerChanged")
	if !strings.Contains(c.Message, "kubectl relay adopt NAME") {
		b.t.Errorf("the condition does not say what to do: %s", c.Message)
	}
}

func TestOwner_AnAccountThatWasMadeAgainGoesOnOnceAdopted(t *testing.T) {
	t.Parallel()
	b := newBusiness(t)
	b.StartReady()
	p := newPerson(t)
	p.Says(b, "before")
	b.WaitText("before")
	before, token := b.Report(), b.Token
	b.Stop()
	b.remakeAccount()
	p.Says(b, "while the account is made again")
	b.Start()
	b.refusedAsAnothers()
	b.adopt()
	b.Wait(contract.ConditionKeysReady, contract.True, "")
	b.WaitReady()
	b.WaitText("while the account is made again")
	b.TakeCredentials()
	if b.Token != token || b.Report().Fingerprint != before.Fingerprint {
		t.Error("the business has other credentials or another identity than before")
	}
	b.WaitStatus(b.Say(p.Number.E164(), "after"), "read")
}

func TestOwner_ARestoreOfTheClusterGoesOnOnceAdopted(t *testing.T) {
	t.Parallel()
	b := newBusiness(t)
	b.Config.Volume = "first-claim"
	b.StartReady()
	p := newPerson(t)
	b.Stop()
	b.remakeAccount()
	b.Config.Volume = "restored-claim"
	b.Start()
	b.refusedAsAnothers()
	b.adopt()
	b.Wait(contract.ConditionKeysReady, contract.True, "")
	b.WaitReady()
	b.WaitStatus(b.Say(p.Number.E164(), "after the restore"), "read")
	p.Says(b, "welcome back")
	b.WaitText("welcome back")
}

func TestOwner_AnotherNumberIsRefused(t *testing.T) {
	t.Parallel()
	b := newBusiness(t)
	b.StartReady()
	b.Stop()
	b.Config.PhoneNumber = shared.Number()
	b.Start()
	b.refusedAsAnothers()
	b.Stop()
	b.Config.PhoneNumber = b.Number
	b.StartReady()
}

// unrecord leaves in Vault what the last release left: no record of an owner, and
// credentials that no account's UID is in the path of.
func (b *business) unrecord() {
	b.t.Helper()
	kv, ctx := shared.Root.KVv2("kv"), b.t.Context()
	access, err := kv.Get(ctx, b.accessAt(1))
	check(b.t, err)
	_, err = kv.Put(ctx, b.secretAt("access/1"), access.Data)
	check(b.t, err)
	check(b.t, kv.DeleteMetadata(ctx, b.accessAt(1)))
	check(b.t, kv.DeleteMetadata(ctx, b.secretAt("owner")))
}

func TestOwner_AnInstallationWithoutRecordUpgradesUnnoticed(t *testing.T) {
	t.Parallel()
	b := newBusiness(t)
	b.StartReady()
	p := newPerson(t)
	b.Stop()
	token := b.Token
	b.unrecord()
	p.Says(b, "during the upgrade")
	b.StartReady()
	b.WaitText("during the upgrade")
	if b.Token != token {
		t.Error("the business's token is another after the upgrade")
	}
	b.Stop()
	b.remakeAccount()
	b.Start()
	b.refusedAsAnothers()
}

func TestOwner_WhatAnotherNumberLeftWithoutRecordIsRefused(t *testing.T) {
	t.Parallel()
	b := newBusiness(t)
	b.StartReady()
	b.Stop()
	b.unrecord()
	b.Config.PhoneNumber = shared.Number()
	b.Start()
	b.refusedAsAnothers()
	if _, err := shared.Root.KVv2("kv").Get(t.Context(), b.secretAt("owner")); err == nil {
		t.Error("the names are recorded as the other business's")
	}
}

func TestOwner_ARemadeAuthMountGoesOnAfterTheSetup(t *testing.T) {
	b := newBusiness(t)
	b.StartReady()
	p := newPerson(t)
	b.Stop()
	check(t, shared.Root.Sys().DisableAuthWithContext(t.Context(), setup.DefaultAuthPath))
	p.Says(b, "while the auth mount is gone")
	b.Start()
	b.Wait(contract.ConditionKeysReady, contract.False, "VaultDenied")
	check(t, setup.Apply(t.Context(), shared.Root, shared.Setup, nil))
	b.Wait(contract.ConditionKeysReady, contract.True, "")
	b.WaitText("while the auth mount is gone")
}
