//go:build e2e

// Package upgrade holds that an installation of an earlier commit becomes one of this
// commit in place. It needs a cluster of its own, because a cluster has one Relaykeep:
// it makes it, and ends it when it is done.
package upgrade

import (
	"context"
	"errors"
	"fmt"
	"os"
	"os/signal"
	"syscall"
	"testing"
	"time"

	"github.com/relaykeep/relaykeep/test/lab"
	"github.com/relaykeep/relaykeep/test/lab/report"
	"github.com/relaykeep/relaykeep/test/repository"
)

// patience with anything that has to come about on the cluster.
const patience = 3 * time.Minute

// Both are on the same cluster: the installation as it was released, and this
// repository's.
var former, current *lab.Lab

func TestMain(m *testing.M) {
	code, err := run(m)
	if err != nil {
		fmt.Fprintln(os.Stderr, "upgrade:", err)
		code = 1
	}
	os.Exit(code)
}

func run(m *testing.M) (code int, err error) {
	ctx, stop := signal.NotifyContext(context.Background(), os.Interrupt, syscall.SIGTERM)
	defer stop()
	l, err := lab.New(report.New(os.Stdout))
	if err != nil {
		return 0, err
	}
	if l.Running() {
		return 0, errors.New("an environment is up already, which has this commit's Relaykeep: end it with make demo-down")
	}
	if os.Getenv("E2E_KEEP") != "1" {
		defer func() {
			if ended := l.Down(context.WithoutCancel(ctx)); err == nil {
				err = ended
			}
		}()
	}
	if former, err = l.UpFormer(ctx, repository.Released, regions, businesses); err != nil {
		return 0, err
	}
	current = l
	return m.Run(), nil
}

// regions are the lab's, as a cluster admin wrote them for the released version.
func regions(l *lab.Lab) string {
	var text string
	for _, r := range []*lab.Region{lab.EU, lab.NA} {
		text += fmt.Sprintf(`---
apiVersion: relaykeep.dev/v1alpha1
kind: DataRegion
metadata: {name: %s}
spec:
  type: %s
  storageClassName: %s
  vault: {address: %q, caBundle: %q}
  carrier: {xmpp: {domain: %s, address: %q, caBundle: %q, registration: Open}}
  network:
    ingress: [{ipBlock: {cidr: %s/32}}]
    privateWebhooks: [{to: [{ipBlock: {cidr: %s/32}}], ports: [{port: 18443}, {port: 18444}]}]
`, r.Name, r.Type, r.StorageClass, l.VaultAddress(r), l.Authority(), r.Domain, l.ProsodyAddress(r), l.Authority(), l.Address(), l.Address())
	}
	return text
}

// businesses are the lab's, as they wrote their relays for the released version.
func businesses(l *lab.Lab) string {
	var text string
	for _, b := range []*lab.Business{lab.Acme, lab.Globex} {
		text += fmt.Sprintf(`---
{apiVersion: v1, kind: Namespace, metadata: {name: %[1]s, labels: {pod-security.kubernetes.io/enforce: restricted}}}
---
apiVersion: relaykeep.dev/v1alpha1
kind: BusinessRelay
metadata: {name: %[1]s, namespace: %[1]s}
spec:
  phoneNumber: %[2]q
  dataRegion: %[3]s
  profile: {displayName: %[4]q}
  webhook: {url: %[5]q, caBundle: %[6]q}
`, b.Name, b.Number, b.Region.Name, b.DisplayName, l.WebhookURL(b), l.Authority())
	}
	return text
}

func check(t *testing.T, err error) {
	t.Helper()
	if err != nil {
		t.Fatal(err)
	}
}

// within returns a context that ends with the patience.
func within(t *testing.T) context.Context {
	t.Helper()
	ctx, cancel := context.WithTimeout(t.Context(), patience)
	t.Cleanup(cancel)
	return ctx
}
