package carrier

// SharedFile is what a message says about a file of its sender's (XEP-0446), apart from the text.
// Everything in it is what the sender, or for what is not encrypted the carrier, says: it counts
// only for a file whose content has this hash.
type SharedFile struct {
	Name   string // safe as a file name; empty when not known
	MIME   string // empty when not known
	Size   int64  // bytes; -1 when not known
	SHA256 []byte // of the content; nil when not known
	// Link names the encrypted file and holds its key, as media.FileURL writes it (XEP-0448);
	// empty for none. It is only read inside the encryption.
	Link string
	// Sticker says that the sender calls it one (XEP-0449).
	Sticker bool
}
