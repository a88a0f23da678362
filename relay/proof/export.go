package proof

import (
	"bufio"
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"

	"filippo.io/torchwood"
	"golang.org/x/mod/sumdb/tlog"
)

// An export is a file of JSON lines: a header, then one line for each entry.

// maxLine is the longest line of an export, in bytes: an entry of the longest kind, and what is around it.
const maxLine = 256 << 10

// MaxEntries is how many entries are read of one export: some ten years of minutes.
const MaxEntries = 8 << 20

// Header is the first line of an export.
type Header struct {
	Log    string `json:"log"` // the origin
	Key    string `json:"key,omitempty"`
	Signed string `json:"checkpoint,omitempty"`
	// Witnessed is the latest checkpoint that a witness cosigned, if that is another.
	Witnessed string `json:"witnessed,omitempty"`
}

// Line is one entry of an export.
type Line struct {
	Index int64           `json:"index"`
	Hash  tlog.Hash       `json:"hash"`
	Entry json.RawMessage `json:"entry,omitempty"` // none once it was dropped
}

// ExportWriter writes an export.
type ExportWriter struct{ to *bufio.Writer }

// NewExport begins an export.
func NewExport(w io.Writer, h Header) (*ExportWriter, error) {
	e := &ExportWriter{bufio.NewWriter(w)}
	return e, e.line(h)
}

// Add writes an entry; of one that was dropped only its hash.
func (e *ExportWriter) Add(index int64, hash tlog.Hash, entry []byte) error {
	return e.line(Line{index, hash, entry})
}

// Close ends the export. It does not close what it was written to.
func (e *ExportWriter) Close() error { return e.to.Flush() }

func (e *ExportWriter) line(v any) error {
	var line bytes.Buffer
	enc := json.NewEncoder(&line)
	enc.SetEscapeHTML(false) // entries keep their bytes
	if err := enc.Encode(v); err != nil {
		return fmt.Errorf("writing an export: %w", err)
	}
	_, err := e.to.Write(line.Bytes())
	return err
}

// ErrExport means that something is not an export, or was cut within a line.
var ErrExport = errors.New("not an export of a log")

// ReadExport reads an export and calls each for every entry.
func ReadExport(r io.Reader, header func(Header) error, each func(Line) error) error {
	lines := bufio.NewScanner(r)
	lines.Buffer(make([]byte, 0, 64<<10), maxLine)
	var h Header
	if !lines.Scan() || json.Unmarshal(lines.Bytes(), &h) != nil || !originForm.MatchString(h.Log) {
		if err := lines.Err(); err != nil && !errors.Is(err, bufio.ErrTooLong) {
			return fmt.Errorf("reading an export: %w", err)
		}
		return ErrExport
	}
	if err := header(h); err != nil {
		return err
	}
	for n := 0; lines.Scan(); n++ {
		var l Line
		if n >= MaxEntries || json.Unmarshal(lines.Bytes(), &l) != nil {
			return fmt.Errorf("line %d: %w", n+2, ErrExport)
		}
		if err := each(l); err != nil {
			return err
		}
	}
	if err := lines.Err(); errors.Is(err, bufio.ErrTooLong) {
		return ErrExport
	} else if err != nil {
		return fmt.Errorf("reading an export: %w", err)
	}
	return nil
}

// Source is a log that can be read as tiles.
type Source interface {
	// Header returns what the export begins with.
	Header(ctx context.Context) (Header, error)
	// Tile returns a tile of hashes or a bundle of entries by its path (c2sp.org/tlog-tiles).
	Tile(ctx context.Context, path string) ([]byte, error)
}

// WriteExport exports a log up to its latest checkpoint, or nothing but the header when there is none. What the checkpoint
// says is not checked: that is for who verifies the export.
func WriteExport(ctx context.Context, w io.Writer, from Source) error {
	h, err := from.Header(ctx)
	if err != nil {
		return err
	}
	out, err := NewExport(w, h)
	if err != nil {
		return err
	}
	size := int64(0)
	if h.Signed != "" {
		c, err := Unverified([]byte(h.Signed))
		if err != nil || c.N > MaxEntries {
			return ErrCheckpoint
		}
		size = c.N
	}
	for first := int64(0); first < size; first += torchwood.TileWidth {
		width := int(min(size-first, torchwood.TileWidth))
		if err := exportTile(ctx, out, from, first/torchwood.TileWidth, width); err != nil {
			return err
		}
	}
	return out.Close()
}

// exportTile writes the entries of one bundle.
func exportTile(ctx context.Context, out *ExportWriter, from Source, n int64, width int) error {
	tile := tlog.Tile{H: torchwood.TileHeight, N: n, W: width}
	leaves, err := from.Tile(ctx, torchwood.TilePath(tile))
	if err != nil {
		return err
	}
	tile.L = -1
	bundle, err := from.Tile(ctx, torchwood.TilePath(tile))
	if err != nil {
		return err
	}
	if len(leaves) != width*tlog.HashSize {
		return fmt.Errorf("%w: a tile has not the size that its name says", ErrExport)
	}
	for i := range width {
		var entry []byte
		if entry, bundle, err = torchwood.ReadTileEntry(bundle); err != nil {
			return fmt.Errorf("%w: a bundle of entries is cut off", ErrExport)
		}
		if len(entry) > 0 && !json.Valid(entry) {
			return fmt.Errorf("%w: an entry is not JSON", ErrExport)
		}
		hash := tlog.Hash(leaves[i*tlog.HashSize : (i+1)*tlog.HashSize])
		if err := out.Add(n*torchwood.TileWidth+int64(i), hash, entry); err != nil {
			return err
		}
	}
	return nil
}
