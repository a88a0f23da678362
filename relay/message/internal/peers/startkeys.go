package peers

import (
	"crypto/rand"
	"encoding/binary"
	"math/big"

	"github.com/relaykeep/relaykeep/relay/signal"
	"github.com/relaykeep/relaykeep/relay/store"
)

// StartPreKeys makes the ids of one-time pre-keys go on from a random number, so that hardly
// any key gets the id of one that was published after the copy was made.
func StartPreKeys(tx *store.Tx) error {
	n, err := rand.Int(rand.Reader, big.NewInt(int64(signal.MaxPreKeyID)))
	if err != nil {
		return err
	}
	return tx.PutSetting(settingNextPreKey, binary.BigEndian.AppendUint32(nil, uint32(n.Int64())+1))
}
