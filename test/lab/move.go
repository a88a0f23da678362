package lab

import (
	"context"
	"errors"
	"fmt"
	"os"
	"path/filepath"

	"github.com/relaykeep/relaykeep/api/v1alpha1"
)

// OpenWest makes the region West, with its Vault's mounts, for a guest that moves there from EU, and has EU let it go. A
// node must have West's label.
func (l *Lab) OpenWest(ctx context.Context, guest *Business) error {
	hook := func(s *v1alpha1.DataRegionSpec) {
		s.Moves.From = []v1alpha1.ObjectName{v1alpha1.ObjectName(EU.Name)}
		v := &s.Vault
		v.KVMount, v.TransitMount, v.PKIMount = "west/kv", "west/transit", "west/pki"
	}
	if err := l.Equip(ctx, West, guest, hook); err != nil {
		return err
	}
	if _, err := l.SetUpVault(ctx, West); err != nil {
		return err
	}
	return l.Equip(ctx, EU, guest, func(s *v1alpha1.DataRegionSpec) {
		s.Moves.To = []v1alpha1.ObjectName{v1alpha1.ObjectName(West.Name)}
	})
}

// CloseWest takes back what OpenWest made, apart from the mounts. Nothing may be left in West.
func (l *Lab) CloseWest(ctx context.Context) error {
	_, err := l.Kubectl(ctx, "delete", "dataregion", West.Name, "--timeout=60s", "--ignore-not-found")
	return errors.Join(err, l.Equip(ctx, EU, nil, nil))
}

// Move moves a business's relay to another region as an admin of both does, and has the business learn of its new endpoint.
// It returns what the command printed.
func (l *Lab) Move(ctx context.Context, b *Business, to *Region) (string, error) {
	tokens := map[*Region]string{}
	for _, r := range []*Region{b.Region, to} {
		s, err := l.Vault(ctx, r)
		if err != nil {
			return "", err
		}
		root, err := s.Root()
		if err != nil {
			return "", err
		}
		tokens[r] = root.Token()
	}
	dir, err := os.MkdirTemp(l.dir, "move-")
	if err != nil {
		return "", fmt.Errorf("making a folder for the move: %w", err)
	}
	defer func() { _ = os.RemoveAll(dir) }()
	token := filepath.Join(dir, "token")
	if err := os.WriteFile(token, []byte(tokens[to]), 0o600); err != nil {
		return "", fmt.Errorf("keeping the new Vault's token: %w", err)
	}
	out, err := l.run(ctx, command{
		path: l.kubectl, env: []string{"VAULT_TOKEN=" + tokens[b.Region]}, quiet: true,
		args: []string{"relay", "move", b.Name, "-n", b.Name, "--to-region", to.Name, "--yes", "--to-vault-token-file", token, "--file", filepath.Join(dir, "parcel.age")},
	})
	if err != nil {
		return out, err
	}
	b.Region = to
	return out, l.bringToReady(ctx, b)
}
