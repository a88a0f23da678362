package carrier

import (
	"context"
	"net/http"
)

// Slot is a place for one encrypted file on the carrier's web server (XEP-0363). The
// carrier chooses its addresses: they may lead anywhere.
type Slot struct {
	Put    string      // where to upload it, https
	Header http.Header // headers that the upload must have; may be empty
	Get    string      // where to download it, https; anyone who knows it can
}

// Uploads is a carrier that stores files.
type Uploads interface {
	// UploadSlot asks for a place for a file of size bytes. The carrier learns name and
	// size, so name should say no more than what kind of file it is. ErrNotFound means
	// that the carrier has no such service, ErrRejected that it refuses this file.
	UploadSlot(ctx context.Context, name string, size int64) (Slot, error)
}
