// Package witness cosigns the checkpoints of relays' logs (c2sp.org/tlog-witness, c2sp.org/tlog-cosignature), so that who runs
// a relay cannot show one history of it to some and another to others, or take one back. It has a witness, which a business
// may run itself, and the relay's client of one. It must not know what a log's entries say, or where a log is kept.
package witness

import "errors"

// MaxRequest is the largest request to a witness, in bytes: the longest proof and checkpoint.
const MaxRequest = 64 << 10

// maxProof is how many hashes a proof has at most.
const maxProof = 63

// sizeType is the media type of the answer that says which size a witness knows.
const sizeType = "text/x.tlog.size"

// Errors of a request.
var (
	errRequest   = errors.New("not a request to add a checkpoint")
	errUnknown   = errors.New("this witness does not know the log")
	errSignature = errors.New("the checkpoint is not signed by the log's key")
	errProof     = errors.New("the proof does not lead from the checkpoint that was cosigned last to this one")
)
