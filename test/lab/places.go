package lab

import (
	"context"
	"fmt"
	"path/filepath"
)

// Places are where what people say, and who they are, could leave traces. What is
// theirs to keep, the customer's own folder and the business's webhook, is no part.
type Places struct {
	// Blind may hold neither texts nor customers' numbers: a business's volume,
	// etcd, what the Vaults keep, and every log of the cluster, its pods and the
	// services beside it.
	Blind []string
	// Carrier may hold customers' numbers, by which the carrier routes, but no texts.
	Carrier []string
}

// Places returns the places of the lab's own cluster that concern a business.
func (l *Lab) Places(ctx context.Context, b *Business) (Places, error) {
	volume, err := l.Volume(ctx, b)
	if err != nil {
		return Places{}, err
	}
	state := filepath.Join(l.root, ".cluster")
	p := Places{Blind: []string{volume, filepath.Join(state, "etcd"), filepath.Join(state, "log")}}
	for _, r := range regions() {
		logs, err := filepath.Glob(filepath.Join(l.ProsodyData(r), "*.log"))
		if err != nil || len(logs) == 0 {
			return Places{}, fmt.Errorf("the Prosody of region %s has no log", r.Name)
		}
		p.Blind = append(append(p.Blind, l.VaultData(r)), logs...)
		p.Carrier = append(p.Carrier, l.ProsodyData(r))
	}
	return p, nil
}
