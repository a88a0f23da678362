package signal

import (
	"encoding/binary"
	"fmt"
)

// A serialised record: a version byte, a byte with the number of sessions and
// currentFlag, and the sessions, each as appendSession writes it. Numbers are
// big-endian and of fixed width, so that one record is one string of bytes.

const (
	recordVersion       = 1 // sessions of the format Legacy
	recordVersionOMEMO2 = 2 // and of OMEMO2, which have their associated data after the base key
	currentFlag         = 0x80
)

// version is the version byte of a record.
func (f Format) version() byte {
	if f == OMEMO2 {
		return recordVersionOMEMO2
	}
	return recordVersion
}

// Flags of a session.
const (
	flagInitiated = 1 << iota
	flagDue
	flagsKnown = flagInitiated | flagDue
)

const (
	skippedSize = 4 + 4 + 32
	chainSize   = 32 + 32 + 4 + 2 // without skipped keys
	sessionSize = 1 + 4*32 + 2*EdwardsKeySize + 8 + 4 + 4 + 1 + 4 + privateKeySize + 32 + 32 + 4
)

// MaxRecordBytes is the longest serialised record: MaxArchived and one sessions of
// maxChains chains and MaxSkipped keys in all.
const MaxRecordBytes = 2 + (MaxArchived+1)*(sessionSize+maxChains*chainSize) + MaxSkipped*skippedSize

// MarshalBinary returns the record for storage. It contains secrets.
func (r *Record) MarshalBinary() ([]byte, error) {
	if r == nil {
		return []byte{recordVersion, 0}, nil
	}
	size := 2
	count := byte(len(r.archived))
	if r.current != nil {
		count = (count + 1) | currentFlag
		size += r.current.size()
	}
	for _, s := range r.archived {
		size += s.size()
	}
	b := append(make([]byte, 0, size), r.format.version(), count)
	if r.current != nil {
		b = r.current.append(b)
	}
	for _, s := range r.archived {
		b = s.append(b)
	}
	return b, nil
}

// size is a close upper bound of the session's serialised length.
func (s *session) size() int {
	n := sessionSize
	for i := range s.receive {
		if s.receive[i].ratchet.IsZero() {
			break
		}
		n += chainSize + skippedSize*len(s.receive[i].skipped)
	}
	return n
}

func (s *session) append(b []byte) []byte {
	var flags byte
	if s.initiated {
		flags |= flagInitiated
	}
	if s.send.due {
		flags |= flagDue
	}
	b = append(b, flags)
	b = append(b, s.local.u[:]...)
	b = append(b, s.remote.u[:]...)
	b = append(b, s.base.u[:]...)
	if s.format == OMEMO2 {
		b = append(b, s.ad[:]...)
	}
	b = append(b, s.root[:]...)
	b = binary.BigEndian.AppendUint64(b, uint64(s.archived))
	if s.initiated {
		b = binary.BigEndian.AppendUint32(b, s.pending.preKeyID)
		b = binary.BigEndian.AppendUint32(b, s.pending.signedPreKeyID)
	}
	b = binary.BigEndian.AppendUint32(b, s.send.previous)
	if !s.send.due {
		b = s.send.ratchet.append(b)
		b = append(b, s.send.key[:]...)
		b = binary.BigEndian.AppendUint32(b, s.send.index)
	}
	return s.appendChains(b)
}

func (s *session) appendChains(b []byte) []byte {
	count := len(b)
	b = append(b, 0)
	for i := range s.receive {
		c := &s.receive[i]
		if c.ratchet.IsZero() {
			break
		}
		b[count]++
		b = append(b, c.ratchet.u[:]...)
		b = append(b, c.key[:]...)
		b = binary.BigEndian.AppendUint32(b, c.next)
		b = binary.BigEndian.AppendUint16(b, uint16(len(c.skipped)))
		for j := range c.skipped {
			k := &c.skipped[j]
			b = binary.BigEndian.AppendUint32(b, k.index)
			b = binary.BigEndian.AppendUint32(b, k.since)
			b = append(b, k.seed[:]...)
		}
	}
	return b
}

// ParseRecord reads what MarshalBinary wrote, and returns ErrMalformed for anything else. It does
// not keep b.
func ParseRecord(b []byte) (*Record, error) {
	if len(b) < 2 || len(b) > MaxRecordBytes || (b[0] != recordVersion && b[0] != recordVersionOMEMO2) {
		return nil, fmt.Errorf("reading record: %w", ErrMalformed)
	}
	d := decoder{rest: b[2:]}
	if b[0] == recordVersionOMEMO2 {
		d.format = OMEMO2
	}
	r := &Record{format: d.format}
	count := int(b[1] &^ currentFlag)
	if b[1]&currentFlag != 0 {
		r.current = d.session()
		count--
	}
	if count < 0 || count > MaxArchived {
		return nil, fmt.Errorf("reading record: %w", ErrMalformed)
	}
	for range count {
		r.archived = append(r.archived, d.session())
	}
	if d.failed || len(d.rest) != 0 || d.skipped > MaxSkipped {
		return nil, fmt.Errorf("reading record: %w", ErrMalformed)
	}
	return r, nil
}

// decoder reads a serialised record. After a failure it reads zeroes.
type decoder struct {
	rest    []byte
	format  Format
	skipped int
	failed  bool
	zeroes  [privateKeySize + 32]byte // never written to
}

// take returns the next n bytes, at most 64.
func (d *decoder) take(n int) []byte {
	if d.failed || len(d.rest) < n {
		d.failed = true
		return d.zeroes[:n]
	}
	b := d.rest[:n]
	d.rest = d.rest[n:]
	return b
}

func (d *decoder) byte() byte     { return d.take(1)[0] }
func (d *decoder) uint16() uint16 { return binary.BigEndian.Uint16(d.take(2)) }
func (d *decoder) uint32() uint32 { return binary.BigEndian.Uint32(d.take(4)) }
func (d *decoder) secret() secret { return secret(d.take(32)) }

// key reads a public key, which is never the zero key.
func (d *decoder) key(p *PublicKey) {
	p.u = [32]byte(d.take(32))
	d.require(!p.IsZero())
}

func (d *decoder) require(ok bool) { d.failed = d.failed || !ok }

func (d *decoder) session() *session {
	s := &session{format: d.format}
	flags := d.byte()
	d.require(flags&^flagsKnown == 0)
	s.initiated, s.send.due = flags&flagInitiated != 0, flags&flagDue != 0
	d.key(&s.local)
	d.key(&s.remote)
	d.key(&s.base)
	if s.format == OMEMO2 {
		s.ad = [2 * EdwardsKeySize]byte(d.take(len(s.ad)))
	}
	s.root = d.secret()
	s.archived = int64(binary.BigEndian.Uint64(d.take(8)))
	if s.initiated {
		s.pending = pendingPreKey{preKeyID: d.uint32(), signedPreKeyID: d.uint32()}
	}
	s.send.previous = d.uint32()
	if !s.send.due {
		s.send.ratchet.restore(d.take(privateKeySize + 32))
		d.require(s.send.ratchet.present())
		s.send.key = d.secret()
		s.send.index = d.uint32()
	}
	chains := int(d.byte())
	// A chain that is due answers the peer's latest chain, which must be there.
	d.require(chains <= maxChains && (chains > 0 || !s.send.due))
	for i := 0; i < chains && !d.failed; i++ {
		d.chain(&s.receive[i])
	}
	return s
}

func (d *decoder) chain(c *receiveChain) {
	d.key(&c.ratchet)
	c.key = d.secret()
	c.next = d.uint32()
	n := int(d.uint16())
	d.skipped += n
	d.require(n*skippedSize <= len(d.rest))
	if d.failed || n == 0 {
		return
	}
	c.skipped = make([]skippedKey, n)
	for i := range c.skipped {
		k := (*[skippedSize]byte)(d.rest[i*skippedSize:])
		c.skipped[i] = skippedKey{
			index: binary.BigEndian.Uint32(k[:]), since: binary.BigEndian.Uint32(k[4:]), seed: secret(k[8:]),
		}
		d.require(c.skipped[i].index < c.next && (i == 0 || c.skipped[i-1].index < c.skipped[i].index))
	}
	d.rest = d.rest[n*skippedSize:]
}
