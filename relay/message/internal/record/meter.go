package record

import (
	"time"

	"github.com/relaykeep/relaykeep/relay/metering"
	"github.com/relaykeep/relaykeep/relay/store"
)

// Meter counts a message of a stored type, and the file that it brought, of so many bytes; 0 for none.
func Meter(tx *store.Tx, at time.Time, d metering.Direction, stored string, fileBytes int64) error {
	if fileBytes > 0 {
		err := tx.Meter(at, metering.Cell{Direction: d, Kind: metering.Media}, metering.Amount{Count: 1, Bytes: fileBytes})
		if err != nil {
			return err
		}
	}
	return tx.Meter(at, metering.Cell{Direction: d, Kind: metering.KindOf(stored)}, metering.Amount{Count: 1})
}
