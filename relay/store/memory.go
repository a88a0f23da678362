package store

import (
	"bytes"
	"crypto/sha256"
	"encoding/binary"
	"errors"
	"time"

	"github.com/relaykeep/relaykeep/relay/seal"
)

// Memory says how a store keeps what people wrote without storing it: sealed, inside its rows, under
// keys that exist in the process's memory only. The rest of a row is sealed as ever. Once such a key
// is gone, because the process ended or its time was over, what it sealed is lost, and the row says so.
type Memory struct {
	// Life is how long content can be read at most, from when it came: its copies end with it.
	Life time.Duration
	// Message returns a message's body without what anybody wrote, and Job that of a job in a queue.
	// Both return a body unchanged that has nothing of that. Nothing of what they leave in may be
	// content.
	Message func(body []byte) ([]byte, error)
	// Own returns a message's body without what was copied into it from other messages.
	Own func(body []byte) ([]byte, error)
	Job func(queue string, body []byte) ([]byte, error)
}

// memory is Memory with its keys. A nil memory is that of a store that stores content: it reads what
// another process wrote, of which it can open nothing.
type memory struct {
	Memory
	keys   *seal.Ephemeral
	opened time.Time // files from before it are a former process's
}

// Purposes of what is sealed under the keys in memory.
const (
	purposeSaid        = "message content"
	purposeBorrowed    = "message content of another"
	purposeJobSaid     = "job content"
	purposeMediaSaid   = "media content"
	purposeChunkSaid   = "media-chunk content"
	purposeRequestSaid = "request content"
)

// bareLayout is the version of a sealed value of which a part is sealed under a key in memory, and
// bareJob begins the body of such a job: bodies are sealed without a version, and none begins so.
const (
	bareLayout = 2
	bareJob    = "\x00bare\x00"
)

// lostKey stands for a key that is no longer known.
const lostKey = 1

// said is a part of a row under a key in memory. A zero key means that there is none.
type said struct {
	key    int64
	sealed []byte // nil once it is known to be lost
}

func (w *writer) said(s said) *writer { return w.integer(s.key).bytes(s.sealed) }

func (r *reader) said() said { return said{r.integer(), r.bytes()} }

// hide seals a part of a row: under the key that it had, so that it does not live longer, or under
// the present one if that is 0. If the key is gone, the part is lost.
func (b *memory) hide(key int64, purpose string, row int64, plain []byte) (s said, err error) {
	if key == 0 {
		if key, err = b.keys.Current(); err != nil {
			return s, err
		}
	}
	s.key = key
	if s.sealed, err = b.keys.SealIn(key, purpose, rowOf(row), plain); errors.Is(err, seal.ErrErased) {
		return s, nil
	}
	return s, err
}

// show opens a part of a row; lost says that nobody can.
func (b *memory) show(p said, purpose string, row ...int64) (plain []byte, lost bool, err error) {
	if b == nil || len(p.sealed) == 0 {
		return nil, true, nil
	}
	plain, err = b.keys.Open(p.key, purpose, rowOf(row...), p.sealed)
	if errors.Is(err, seal.ErrErased) {
		return nil, true, nil
	}
	return plain, false, err
}

// first returns which of two Lives ends first; zero stands for one that begins now.
func (b *memory) first(x, y Life) Life {
	if b == nil {
		return 0
	}
	return Life(b.keys.First(int64(x), int64(y)))
}

// readBare returns a reader behind the version, if a value has this layout.
func readBare(plain []byte) (*reader, bool) {
	if len(plain) == 0 || plain[0] != bareLayout {
		return nil, false
	}
	return &reader{b: plain[1:]}, true
}

// message returns what a message's row seals: everything but its content, and that under a key in
// memory. Key is the one that it has already, or 0.
func (b *memory) message(row int64, m Message, key int64) ([]byte, error) {
	bare, hidden := m.Body, said{}
	if b != nil {
		var err error
		if bare, err = b.Message(m.Body); err != nil {
			return nil, err
		}
	}
	switch {
	case m.Lost:
		hidden.key = max(key, lostKey)
	case m.Opaque != "" || !bytes.Equal(bare, m.Body):
		inner, err := b.content(row, m)
		if err != nil {
			return nil, err
		}
		if hidden, err = b.hide(int64(b.first(Life(key), m.Life)), purposeSaid, row, inner); err != nil {
			return nil, err
		}
	}
	w := newWriter(len(bare) + len(m.CarrierID) + len(hidden.sealed))
	w.b[0] = bareLayout
	return w.text(m.Type).text(m.CarrierID).bytes(bare).integer(toMillis(m.Sent)).integer(toMillis(m.Delivered)).said(hidden).b, nil
}

// content returns what a message's content is before it is sealed: its own, and once more with what was copied into
// it, sealed so that this ends with what it was copied from.
func (b *memory) content(row int64, m Message) ([]byte, error) {
	own := m.Body
	if m.Borrowed != 0 {
		var err error
		if own, err = b.Own(m.Body); err != nil {
			return nil, err
		}
	}
	w := newWriter(len(m.Opaque) + len(m.Body)).text(m.Opaque).bytes(own)
	if !bytes.Equal(own, m.Body) {
		whole, err := b.hide(int64(m.Borrowed), purposeBorrowed, row, m.Body)
		if err != nil {
			return nil, err
		}
		w.said(whole)
	}
	return w.b, nil
}

// messageKey is the key in memory of a message whose row seals this, or 0.
func messageKey(plain []byte) (int64, error) {
	r, ok := readBare(plain)
	if !ok {
		return 0, nil
	}
	_, _, _, _, _ = r.bytes(), r.bytes(), r.bytes(), r.integer(), r.integer()
	return r.said().key, r.done()
}

// readMessage reads what message wrote into m.
func (b *memory) readMessage(row int64, m *Message, r *reader) error {
	m.Type, m.CarrierID, m.Body = r.text(), r.text(), r.bytes()
	m.Sent, m.Delivered = fromMillis(r.integer()), fromMillis(r.integer())
	hidden := r.said()
	if err := r.done(); err != nil || hidden.key == 0 {
		return err
	}
	inner, lost, err := b.show(hidden, purposeSaid, row)
	if m.Lost = lost; err != nil || lost {
		return err
	}
	r = newReader(inner)
	m.Opaque, m.Body, m.Life = r.text(), r.bytes(), Life(hidden.key)
	if r.bad || len(r.b) == 0 {
		return r.done()
	}
	borrowed := r.said()
	if err := r.done(); err != nil {
		return err
	}
	whole, lost, err := b.show(borrowed, purposeBorrowed, row)
	if err != nil || lost {
		return err
	}
	m.Body, m.Borrowed = whole, Life(borrowed.key)
	return nil
}

// job returns what a job's row seals. Key is the one that it has already, or 0.
func (b *memory) job(id int64, queue string, body []byte, key int64) ([]byte, error) {
	if b == nil {
		return body, nil
	}
	bare, err := b.Job(queue, body)
	if err != nil || bytes.Equal(bare, body) {
		return body, err
	}
	hidden, err := b.hide(key, purposeJobSaid, id, body)
	if err != nil {
		return nil, err
	}
	return (&writer{b: []byte(bareJob)}).bytes(bare).said(hidden).b, nil
}

// readJob writes the body that a job's row seals into j, and returns the key in memory of its content,
// or 0. If that is gone, it is the body without.
func (b *memory) readJob(plain []byte, j *Job) (key int64, err error) {
	rest, ok := bytes.CutPrefix(plain, []byte(bareJob))
	if !ok {
		j.Body = plain
		return 0, nil
	}
	r := &reader{b: rest}
	bare, hidden := r.bytes(), r.said()
	if err := r.done(); err != nil {
		return 0, err
	}
	inner, lost, err := b.show(hidden, purposeJobSaid, j.ID)
	j.Body, j.Lost = inner, lost
	if lost {
		j.Body = bare
	} else {
		j.Life = Life(hidden.key)
	}
	return hidden.key, err
}

// begunMedia is what the row of a file without content seals: the key of its pieces.
func (b *memory) begunMedia(life Life) ([]byte, error) {
	if b == nil {
		return nil, nil
	}
	key := int64(life)
	if key == 0 {
		var err error
		if key, err = b.keys.Current(); err != nil {
			return nil, err
		}
	}
	return binary.BigEndian.AppendUint64([]byte{bareLayout}, uint64(key)), nil
}

// mediaKey is the key in memory of a file whose row seals this, 0 for one that is stored as ever.
func mediaKey(plain []byte) (int64, error) {
	r, ok := readBare(plain)
	if !ok {
		return 0, nil
	}
	if key := r.integer(); !r.bad {
		return key, nil
	}
	return 0, seal.ErrTampered
}

// put seals what belongs to a file under its key, or returns ErrNotFound once that is gone.
func (b *memory) put(key int64, purpose string, row, plain []byte) ([]byte, error) {
	if b == nil {
		return nil, ErrNotFound
	}
	sealed, err := b.keys.SealIn(key, purpose, row, plain)
	if errors.Is(err, seal.ErrErased) {
		return nil, errors.Join(ErrNotFound, err)
	}
	return sealed, err
}

// wholeMedia is what the row of a whole file seals, whose pieces have this key in memory.
func (b *memory) wholeMedia(id, key int64, plain []byte) ([]byte, error) {
	sealed, err := b.put(key, purposeMediaSaid, rowOf(id), plain)
	if err != nil {
		return nil, err
	}
	return (&writer{b: []byte{bareLayout}}).said(said{key, sealed}).b, nil
}

// readMedia returns what is known of a whole file, and its Life, or ErrNotFound if it is lost.
func (b *memory) readMedia(id int64, plain []byte) ([]byte, Life, error) {
	r, ok := readBare(plain)
	if !ok {
		return plain, 0, nil
	}
	hidden := r.said()
	if err := r.done(); err != nil {
		return nil, 0, err
	}
	inner, lost, err := b.show(hidden, purposeMediaSaid, id)
	if lost {
		return nil, 0, ErrNotFound
	}
	return inner, Life(hidden.key), err
}

// request is what a request's row seals. The hash of its body would let somebody with the epoch's key
// try what the body may have been.
func (b *memory) request(row int64, body [sha256.Size]byte, answer string) ([]byte, error) {
	hidden, err := b.hide(0, purposeRequestSaid, row, body[:])
	if err != nil {
		return nil, err
	}
	return (&writer{b: []byte{bareLayout}}).text(answer).said(hidden).b, nil
}

// readRequest reads what request wrote. The body is nil once it is lost.
func (b *memory) readRequest(row int64, r *reader) (body []byte, answer string, err error) {
	answer = r.text()
	hidden := r.said()
	if err := r.done(); err != nil {
		return nil, "", err
	}
	body, _, err = b.show(hidden, purposeRequestSaid, row)
	return body, answer, err
}
