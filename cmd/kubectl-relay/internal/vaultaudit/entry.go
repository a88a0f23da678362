package vaultaudit

import (
	"bufio"
	"bytes"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"slices"
	"strconv"
	"time"
)

// Limits of what is read.
const (
	// MaxLine is the longest line, in bytes, that is read as an entry. A longer one is passed over and said.
	MaxLine = 4 << 20
	// MaxBytes is how much of a file is read.
	MaxBytes = 64 << 30
)

// ErrTooLarge means that a file has more than MaxBytes.
var ErrTooLarge = errors.New("the audit file is too large")

// entry is a line of the file, as far as it is of use. Strings among data are HMACs in the file; numbers and paths are not.
type entry struct {
	Type  string    `json:"type"` // request or response
	Time  time.Time `json:"time"`
	Error string    `json:"error"`
	Auth  auth      `json:"auth"`

	Request struct {
		ID        string `json:"id"`
		Operation string `json:"operation"`
		Path      string `json:"path"`
		Remote    string `json:"remote_address"`
	} `json:"request"`
	Response struct {
		Data json.RawMessage `json:"data"`
	} `json:"response"`

	line int64
}

// auth is who made a request.
type auth struct {
	DisplayName string            `json:"display_name"`
	Entity      string            `json:"entity_id"`
	Accessor    string            `json:"accessor"`
	Policies    []string          `json:"token_policies"`
	Metadata    map[string]string `json:"metadata"`
}

// minAvailable is the lowest version that a key still has, in the answer to a call about it; false if the answer does not say.
func (e *entry) minAvailable() (int, bool) {
	var data struct {
		MinAvailable json.Number `json:"min_available_version"`
		Latest       json.Number `json:"latest_version"`
	}
	if json.Unmarshal(e.Response.Data, &data) != nil || data.Latest == "" {
		return 0, false
	}
	n, err := strconv.Atoi(data.MinAvailable.String())
	return max(n, 1), err == nil && n >= 0
}

// read calls take with each entry, and damaged with the place of each line that is none. It stops at the first error of take.
func read(r io.Reader, limit int64, take func(*entry), damaged func(line int64)) error {
	lines := bufio.NewReaderSize(io.LimitReader(r, limit+1), 256<<10)
	var total, number int64
	var buffer []byte
	for {
		line, whole, size, err := nextLine(lines, buffer[:0])
		buffer = line
		total += size
		if total > limit {
			return fmt.Errorf("%w: more than %d bytes", ErrTooLarge, limit)
		}
		number++
		text := bytes.TrimSpace(line)
		e, ok := parse(text)
		switch {
		case whole && len(text) == 0:
		case whole && ok:
			e.line = number
			take(e)
		default:
			damaged(number)
		}
		if errors.Is(err, io.EOF) {
			return nil
		}
		if err != nil {
			return fmt.Errorf("reading the audit file after line %d: %w", number, err)
		}
	}
}

// nextLine reads a line into buffer. Of one longer than MaxLine it reads over the rest, and says that it is not whole.
func nextLine(r *bufio.Reader, buffer []byte) (line []byte, whole bool, size int64, err error) {
	line, whole = buffer, true
	for {
		part, err := r.ReadSlice('\n')
		size += int64(len(part))
		if whole = whole && len(line)+len(part) <= MaxLine; whole {
			line = append(line, part...)
		}
		if !errors.Is(err, bufio.ErrBufferFull) {
			return line, whole, size, err
		}
	}
}

// parse reads an entry. A device may put a prefix before each.
func parse(line []byte) (*entry, bool) {
	begin := bytes.IndexByte(line, '{')
	if begin < 0 {
		return nil, false
	}
	var e entry
	if json.Unmarshal(line[begin:], &e) != nil || e.Time.IsZero() || e.Request.Path == "" && e.Request.ID == "" {
		return nil, false
	}
	return &e, slices.Contains([]string{"request", "response"}, e.Type)
}
