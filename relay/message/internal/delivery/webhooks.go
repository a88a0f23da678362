// Package delivery words the webhooks that tell of customers' messages, when they are
// delivered. It must not know how they reach the business.
package delivery

import "github.com/relaykeep/relaykeep/relay/message/internal/base"

// Webhooks words webhooks.
type Webhooks struct{ *base.Base }

// New returns Webhooks.
func New(b *base.Base) *Webhooks { return &Webhooks{b} }
