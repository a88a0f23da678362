// Package files keeps the files of messages in the store, and hands them out. It must not
// know how they travel, nor which messages name them.
package files

import "github.com/relaykeep/relaykeep/relay/message/internal/base"

// Keeper keeps files.
type Keeper struct{ *base.Base }

// New returns a Keeper.
func New(b *base.Base) *Keeper { return &Keeper{b} }
