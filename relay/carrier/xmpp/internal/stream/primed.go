package stream

import (
	"io"

	"github.com/relaykeep/relaykeep/relay/carrier/xmpp/internal/stanza"
)

// primed lets a new decoder begin in the middle of a stream: the decoder first reads the
// header that every client's stream has, then the stanzas.
type primed struct {
	header string
	r      io.ByteReader
}

const streamHeader = "<stream:stream xmlns='" + stanza.NSClient + "' xmlns:stream='" + stanza.NSStream + "'>"

func (p *primed) ReadByte() (byte, error) {
	if p.header != "" {
		b := p.header[0]
		p.header = p.header[1:]
		return b, nil
	}
	return p.r.ReadByte()
}

// Read is never called: an xml.Decoder prefers ReadByte. It is here to make
// primed an io.Reader.
func (p *primed) Read(b []byte) (int, error) {
	if len(b) == 0 {
		return 0, nil
	}
	c, err := p.ReadByte()
	if err != nil {
		return 0, err
	}
	b[0] = c
	return 1, nil
}

var _ io.ByteReader = (*primed)(nil)
