package webhook

import (
	"encoding/json"
	"fmt"

	"github.com/relaykeep/relaykeep/api/contract"
	"github.com/relaykeep/relaykeep/relay/queue"
)

// The hosted API puts up to 1,000 updates into one webhook, of at most 3 MB ("Webhooks, batching"). Many receivers read
// the first one only, so that a relay sends one unless it is told otherwise.

// Bounds of one webhook.
const (
	// MaxUpdates is the largest Options.MaxUpdates.
	MaxUpdates = contract.MaxWebhookUpdates
	// maxRequest is how many bytes a webhook of several updates has at most.
	maxRequest = 3_000_000
	// encryptedMore is how many bytes an update has more when it is encrypted, beside a third of its length.
	encryptedMore = 2048
	// aloneAfter is after how many failed attempts an update goes alone: otherwise one that the receiver cannot
	// take would hold all that wait with it. A receiver that is down fails a handshake before, mostly.
	aloneAfter = 4
)

// Workers is how many workers a queue of deliveries should have, each of which does as many jobs at once: a
// few for each request in flight, since the others read what is to be sent and write what became of it.
func Workers(maxUpdates int) int { return 4 * requests(maxUpdates) }

// requests is how many requests are in flight at once.
func requests(maxUpdates int) int { return max(leastRequests, concurrency/max(1, maxUpdates)) }

// leastRequests keeps slow requests from holding up all others.
const leastRequests = 4

// parcel is what goes in one request: jobs, by their place, and their payload.
type parcel struct {
	jobs    []int
	payload []byte
}

// parcels puts the jobs at some places into as few requests as may be, in their order.
func (d *Deliverer) parcels(jobs []queue.Job, places []int) (parcels []parcel, err error) {
	var open foreignPayload
	var in []int
	size := 0
	end := func() error {
		switch {
		case len(in) == 0:
			return nil
		case len(in) == 1: // as it was written
			parcels = append(parcels, parcel{in, jobs[in[0]].Body})
		default:
			payload, err := json.Marshal(open)
			if err != nil {
				return fmt.Errorf("writing a webhook of several updates: %w", err)
			}
			parcels = append(parcels, parcel{in, ascii(payload)})
		}
		open, in, size = foreignPayload{}, nil, 0
		return nil
	}
	for _, i := range places {
		var p foreignPayload
		more := d.sizeOf(jobs[i])
		alone := d.o.MaxUpdates <= 1 || len(places) == 1 || jobs[i].Attempts >= aloneAfter || json.Unmarshal(jobs[i].Body, &p) != nil || len(p.Entry) == 0
		if alone || len(in) >= d.o.MaxUpdates || size+more > maxRequest || len(in) > 0 && p.Object != open.Object {
			if err := end(); err != nil {
				return nil, err
			}
		}
		in, size = append(in, i), size+more
		open.add(p)
		if alone {
			if err := end(); err != nil {
				return nil, err
			}
		}
	}
	return parcels, end()
}

// sizeOf is how long an update is at most when it is sent.
func (d *Deliverer) sizeOf(j queue.Job) int {
	if d.o.Encrypt == nil {
		return len(j.Body)
	}
	return len(j.Body)*4/3 + encryptedMore
}

// add appends the changes of another payload, in the same entry if it is the same account's.
func (p *foreignPayload) add(other foreignPayload) {
	p.Object = other.Object
	for _, e := range other.Entry {
		if last := len(p.Entry) - 1; last >= 0 && p.Entry[last].ID == e.ID {
			p.Entry[last].Changes = append(p.Entry[last].Changes, e.Changes...)
			continue
		}
		p.Entry = append(p.Entry, e)
	}
}
