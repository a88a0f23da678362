package inbound

import (
	"github.com/relaykeep/relaykeep/relay/message/internal/base"
	"github.com/relaykeep/relaykeep/relay/message/internal/blocklist"
	"github.com/relaykeep/relaykeep/relay/message/internal/files"
	"github.com/relaykeep/relaykeep/relay/message/internal/peers"
	"github.com/relaykeep/relaykeep/relay/queue"
)

// New returns an Inbound.
func New(b *base.Base, p *peers.Peers, l *blocklist.List, f *files.Keeper) *Inbound {
	s := &Inbound{Base: b, peers: p, blocklist: l, files: f}
	s.downloads = queue.New(queue.Options{
		Name: base.QueueMedia, Backend: base.Queue(b.Store, base.QueueMedia), Worker: s.download, Workers: downloadWorkers, Now: b.Now, Log: b.Log,
	})
	return s
}
