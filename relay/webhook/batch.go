package webhook

import (
	"bytes"

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

// Workers is how many workers a queue of deliveries should have, each of which does as many jobs at once: several
// for each request in flight, since the others read what is to be sent, or wait until what became of it is durable, which
// takes much longer than a request while the writer is busy.
func Workers(maxUpdates int) int { return max(4*leastRequests, 8*concurrency/max(1, maxUpdates)) }

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
func (d *Deliverer) parcels(jobs []queue.Job, places []int) (parcels []parcel) {
	var in []int
	var opening []byte // of the payloads of those
	size := 0
	end := func() {
		if len(in) > 0 {
			parcels = append(parcels, parcel{in, join(jobs, in)})
		}
		in, size = nil, 0
	}
	for _, i := range places {
		its, _, ok := split(jobs[i].Body)
		more := d.sizeOf(jobs[i])
		alone := d.o.MaxUpdates <= 1 || len(places) == 1 || jobs[i].Attempts >= aloneAfter || !ok
		if alone || len(in) >= d.o.MaxUpdates || size+more > maxRequest || len(in) > 0 && !bytes.Equal(its, opening) {
			end()
		}
		in, size, opening = append(in, i), size+more, its
		if alone {
			end()
		}
	}
	end()
	return parcels
}

// What is before and after the list of changes in a payload of this relay's. In a text the quotes would be escaped.
const (
	beforeChanges = `"changes":[`
	afterChanges  = `]}]}`
)

// split returns what a payload begins with, up to its changes, and these. It is false of what is no payload with one
// list of changes, written as this relay writes it.
func split(payload []byte) (opening, changes []byte, ok bool) {
	all, ended := bytes.CutSuffix(payload, []byte(afterChanges))
	opening, changes, begun := bytes.Cut(all, []byte(beforeChanges))
	ok = ended && begun && len(changes) > 0 && !bytes.Contains(changes, []byte(beforeChanges))
	return opening, changes, ok
}

// join returns the payload of the jobs at some places, whose payloads have the same opening. That of one is as it was written.
func join(jobs []queue.Job, places []int) []byte {
	first := jobs[places[0]].Body
	if len(places) == 1 {
		return first
	}
	size := 0
	for _, i := range places {
		size += len(jobs[i].Body)
	}
	joined := append(make([]byte, 0, size), bytes.TrimSuffix(first, []byte(afterChanges))...)
	for _, i := range places[1:] {
		_, changes, _ := split(jobs[i].Body)
		joined = append(append(joined, ','), changes...)
	}
	return append(joined, afterChanges...)
}

// sizeOf is how long an update is at most when it is sent.
func (d *Deliverer) sizeOf(j queue.Job) int {
	if d.o.Encrypt == nil {
		return len(j.Body)
	}
	return len(j.Body)*4/3 + encryptedMore
}
