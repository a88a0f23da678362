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
	check(b.t, shared.kube.Kube.CoreV1().ServiceAccounts(b.namespace).Delete(b.t.Context(), "acme-relay", metav1.DeleteOptions{}))
	check(b.t, shared.kube.AddServiceAccount(b.t.Context(), b.namespace, "acme-relay"))
}

// adopt does what kubectl relay adopt does.
func (b *business) adopt() {
	b.t.Helper()
	account, err := shared.kube.Kube.CoreV1().ServiceAccounts(b.namespace).Get(b.t.Context(), "acme-relay", metav1.GetOptions{})
	check(b.t, err)
	number, err := phone.Parse(b.config.PhoneNumber)
	check(b.t, err)
	admin, err := vault.ForAdmin(shared.root, shared.vault.Contract(), b.namespace, "acme-relay")
	check(b.t, err)
	check(b.t, admin.Adopt(b.t.Context(), vault.Owner{Account: string(account.UID), Number: number}))
}

// refusedAsAnothers waits until the relay says that what lies under its names is not
// its own, and how to go on.
func (b *business) refusedAsAnothers() {
	b.t.Helper()
	c := b.wait(contract.ConditionKeysReady, contract.False, "OwnerChanged")
	if !strings.Contains(c.Message, "kubectl relay adopt NAME") {
		b.t.Errorf("the condition does not say what to do: %s", c.Message)
	}
}

func TestOwner_AnAccountThatWasMadeAgainGoesOnOnceAdopted(t *testing.T) {
	b := newBusiness(t)
	b.startReady()
	p := newPerson(t)
	p.says(b, "before")
	b.waitText("before")
	before, token := b.report(), b.token
	b.stop()
	b.remakeAccount()
	p.says(b, "while the account is made again")
	b.start()
	b.refusedAsAnothers()
	b.adopt()
	b.wait(contract.ConditionKeysReady, contract.True, "")
	b.ready()
	b.waitText("while the account is made again")
	b.takeCredentials()
	if b.token != token || b.report().Fingerprint != before.Fingerprint {
		t.Error("the business has other credentials or another identity than before")
	}
	b.waitStatus(b.say(p.number.E164(), "after"), "read")
}

func TestOwner_ARestoreOfTheClusterGoesOnOnceAdopted(t *testing.T) {
	b := newBusiness(t)
	b.config.Volume = "first-claim"
	b.startReady()
	p := newPerson(t)
	b.stop()
	b.remakeAccount()
	b.config.Volume = "restored-claim"
	b.start()
	b.refusedAsAnothers()
	b.adopt()
	b.wait(contract.ConditionKeysReady, contract.True, "")
	b.ready()
	b.waitStatus(b.say(p.number.E164(), "after the restore"), "read")
	p.says(b, "welcome back")
	b.waitText("welcome back")
}

func TestOwner_AnotherNumberIsRefused(t *testing.T) {
	b := newBusiness(t)
	b.startReady()
	b.stop()
	b.config.PhoneNumber = shared.number()
	b.start()
	b.refusedAsAnothers()
	b.stop()
	b.config.PhoneNumber = b.number
	b.startReady()
}

// unrecord leaves in Vault what the last release left: no record of an owner, and
// credentials that no account's UID is in the path of.
func (b *business) unrecord() {
	b.t.Helper()
	kv, ctx := shared.root.KVv2("kv"), b.t.Context()
	access, err := kv.Get(ctx, b.accessAt(1))
	check(b.t, err)
	_, err = kv.Put(ctx, b.secretAt("access/1"), access.Data)
	check(b.t, err)
	check(b.t, kv.DeleteMetadata(ctx, b.accessAt(1)))
	check(b.t, kv.DeleteMetadata(ctx, b.secretAt("owner")))
}

func TestOwner_AnInstallationWithoutRecordUpgradesUnnoticed(t *testing.T) {
	b := newBusiness(t)
	b.startReady()
	p := newPerson(t)
	b.stop()
	token := b.token
	b.unrecord()
	p.says(b, "during the upgrade")
	b.startReady()
	b.waitText("during the upgrade")
	if b.token != token {
		t.Error("the business's token is another after the upgrade")
	}
	b.stop()
	b.remakeAccount()
	b.start()
	b.refusedAsAnothers()
}

func TestOwner_WhatAnotherNumberLeftWithoutRecordIsRefused(t *testing.T) {
	b := newBusiness(t)
	b.startReady()
	b.stop()
	b.unrecord()
	b.config.PhoneNumber = shared.number()
	b.start()
	b.refusedAsAnothers()
	if _, err := shared.root.KVv2("kv").Get(t.Context(), b.secretAt("owner")); err == nil {
		t.Error("the names are recorded as the other business's")
	}
}

func TestOwner_ARemadeAuthMountGoesOnAfterTheSetup(t *testing.T) {
	b := newBusiness(t)
	b.startReady()
	p := newPerson(t)
	b.stop()
	check(t, shared.root.Sys().DisableAuthWithContext(t.Context(), setup.DefaultAuthPath))
	p.says(b, "while the auth mount is gone")
	b.start()
	b.wait(contract.ConditionKeysReady, contract.False, "VaultDenied")
	check(t, setup.Apply(t.Context(), shared.root, shared.setup, nil))
	b.wait(contract.ConditionKeysReady, contract.True, "")
	b.waitText("while the auth mount is gone")
}
