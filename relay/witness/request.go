package witness

import (
	"bytes"
	"encoding/base64"
	"fmt"
	"strconv"
	"strings"

	"golang.org/x/mod/sumdb/tlog"
)

// request is a request to add a checkpoint.
type request struct {
	old    int64
	proof  tlog.TreeProof
	signed []byte
}

// parse reads a request.
func parse(body []byte) (r request, err error) {
	head, signed, found := bytes.Cut(body, []byte("\n\n"))
	lines := strings.Split(string(head), "\n")
	old, isOld := strings.CutPrefix(lines[0], "old ")
	r.old, err = strconv.ParseInt(old, 10, 64)
	if !found || !isOld || err != nil || r.old < 0 || strconv.FormatInt(r.old, 10) != old || len(lines)-1 > maxProof || len(body) > MaxRequest {
		return request{}, errRequest
	}
	for _, line := range lines[1:] {
		hash, err := tlog.ParseHash(line)
		if err != nil || hash.String() != line {
			return request{}, errRequest
		}
		r.proof = append(r.proof, hash)
	}
	r.signed = signed
	return r, nil
}

// format writes a request.
func format(old int64, path [][32]byte, signed []byte) []byte {
	var b bytes.Buffer
	fmt.Fprintf(&b, "old %d\n", old)
	for _, h := range path {
		fmt.Fprintln(&b, base64.StdEncoding.EncodeToString(h[:]))
	}
	b.WriteString("\n")
	b.Write(signed)
	return b.Bytes()
}
