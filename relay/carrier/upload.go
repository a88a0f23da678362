package carrier

import (
	"context"
	"net/http"
)

// Slot is a place for one encrypted file at the carrier's web server (XEP-0363). All
// of it is the carrier's word: addresses that lead anywhere.
type Slot struct {
	Put    string      // where to upload it, https
	Header http.Header // what the upload must bear; may be empty
	Get    string      // where whoever knows it downloads it from, https
}

// Uploads is a carrier with a place for files.
type Uploads interface {
	// UploadSlot asks for a place for a file of so many bytes. The carrier learns
	// name and size, so name should say no more than what kind of file it is.
	// ErrNotFound means that the carrier has no such service, ErrRejected that it
	// does not take this file.
	UploadSlot(ctx context.Context, name string, size int64) (Slot, error)
}
