package outbound

import (
	"github.com/relaykeep/relaykeep/relay/rich"
	"github.com/relaykeep/relaykeep/relay/store"
)

// offer notes that a message offers its customer choices, if it does.
func offer(tx *store.Tx, c *store.Customer, id string, choices []rich.Choice) error {
	if len(choices) == 0 {
		return nil
	}
	c.Offer = id
	return tx.PutCustomer(c)
}
