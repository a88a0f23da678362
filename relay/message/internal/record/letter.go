package record

import (
	"encoding/binary"
	"encoding/json"
	"fmt"
	"time"
)

// LetterVersion begins the job of a webhook that is a dead letter, or was one and is replayed. After it come
// a Letter as JSON, behind its length as a varint, and the job's body as it was before.
const LetterVersion = 2

// Letter is what is known of a webhook that was given up. It holds nothing of what the webhook tells.
type Letter struct {
	Died     time.Time `json:"died,omitzero"`
	Attempts int       `json:"attempts,omitempty"` // that failed, since it was queued or replayed
	Failure  string    `json:"failure,omitempty"`  // why the last one failed, in the relay's own words
	// Replayed is when it was queued again; zero for a dead letter.
	Replayed time.Time `json:"replayed,omitzero"`
}

// Encode returns the body of the letter's job. Body is the webhook's own.
func (l Letter) Encode(body []byte) ([]byte, error) {
	known, err := json.Marshal(l)
	if err != nil {
		return nil, fmt.Errorf("encoding a dead letter: %w", err)
	}
	return append(append(binary.AppendUvarint([]byte{LetterVersion}, uint64(len(known))), known...), body...), nil
}

// LetterOf splits the body of a webhook's job into what is known of it as a letter, the zero Letter if it never
// was one, and the webhook's own body. The error is ErrTold.
func LetterOf(job []byte) (l Letter, body []byte, err error) {
	if len(job) == 0 || job[0] != LetterVersion {
		return l, job, nil
	}
	n, used := binary.Uvarint(job[1:])
	rest := job[1+max(used, 0):]
	if used <= 0 || n > uint64(len(rest)) || json.Unmarshal(rest[:n], &l) != nil {
		return Letter{}, nil, ErrTold
	}
	return l, rest[n:], nil
}
