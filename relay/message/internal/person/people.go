// Package person shows or erases what is stored about one person. It must not know how that
// came to be stored.
package person

import (
	"github.com/relaykeep/relaykeep/relay/message/internal/base"
	"github.com/relaykeep/relaykeep/relay/message/internal/blocklist"
	"github.com/relaykeep/relaykeep/relay/message/internal/files"
	"github.com/relaykeep/relaykeep/relay/message/internal/outbound"
	"github.com/relaykeep/relaykeep/relay/message/internal/peers"
)

// People shows and erases what is stored about single persons.
type People struct {
	*base.Base
	peers     *peers.Peers
	blocklist *blocklist.List
	files     *files.Keeper
	outbound  *outbound.Outbound
}

// New returns People.
func New(b *base.Base, p *peers.Peers, l *blocklist.List, f *files.Keeper, o *outbound.Outbound) *People {
	return &People{Base: b, peers: p, blocklist: l, files: f, outbound: o}
}
