// Package files writes the files of messages to the store and reads them from it. It must not
// know how they travel or which messages name them.
package files

import "github.com/relaykeep/relaykeep/relay/message/internal/base"

// Keeper keeps files.
type Keeper struct{ *base.Base }

// New returns a Keeper.
func New(b *base.Base) *Keeper { return &Keeper{b} }
