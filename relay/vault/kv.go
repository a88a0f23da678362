package vault

import (
	"context"
	"encoding/base64"
	"encoding/json"
	"errors"
	"net/http"
	"strconv"
)

// loadOrCreate reads the secret at one of the tenant's KV paths. When there is none, it writes
// what fresh returns, or returns ErrNotFound if fresh is nil. It never overwrites anything:
// policy grants only creation, so that of several relays or attempts one wins, and the others
// read what that one wrote.
func (c *Client) loadOrCreate(ctx context.Context, name string, fresh func() (map[string]any, error)) (fields, error) {
	f, err := c.readKV(ctx, name)
	if fresh == nil || !errors.Is(err, ErrNotFound) {
		return f, err
	}
	data, err := fresh()
	if err != nil {
		return fields{}, err
	}
	denied := c.createKV(ctx, name, data)
	if denied != nil && !lostRace(denied) {
		return fields{}, denied
	}
	f, err = c.readKV(ctx, name)
	if errors.Is(err, ErrNotFound) && denied != nil {
		return fields{}, denied // refused, and nobody else wrote: the policy does not grant create
	}
	return f, err
}

// readKV reads a secret. A deleted secret is not the same as none: making another in its place
// would replace an old identity with a new one.
func (c *Client) readKV(ctx context.Context, name string) (fields, error) {
	answer, err := c.read(ctx, opReadKV, c.kvPath(name))
	if err != nil {
		return fields{}, err
	}
	data, ok := answer["data"].(map[string]any)
	if !ok {
		if answer["metadata"] != nil {
			return fields{}, foreign(opReadKV, "the secret was deleted or destroyed: an admin can undelete it or remove its metadata")
		}
		return fields{}, foreign(opReadKV, "the answer is not a KV version 2 secret")
	}
	return fields{op: opReadKV, data: data}, nil
}

// createKV writes a secret to a path that has none. If there is one already, Vault answers 403,
// which says nothing about the token.
func (c *Client) createKV(ctx context.Context, name string, data map[string]any) error {
	var answer map[string]any
	return c.callOnce(ctx, opCreateKV, writer(c.kvPath(name), map[string]any{
		"data":    data,
		"options": map[string]any{"cas": 0},
	}, &answer))
}

// lostRace says whether a creation failed the way it does when somebody else was quicker: with
// 403 under a policy without update, with 400 under one with it.
func lostRace(err error) bool {
	if e, ok := errors.AsType[*callError](err); ok {
		return e.status == http.StatusForbidden || e.status == http.StatusBadRequest
	}
	return false
}

// DeleteSecret removes one of the tenant's secrets with all its versions, if it exists. The
// janitor may do that, the relay may not. Name is, for example, "identity/1" or "carrier".
func (c *Client) DeleteSecret(ctx context.Context, name string) error {
	return c.remove(ctx, opDeleteKV, c.kvMetadataPath(name))
}

// fields reads a JSON object's values by type. It keeps the first fault, which err returns as
// ErrForeignContent, with the field's name but never its value.
type fields struct {
	op      string
	data    map[string]any
	problem string
}

func (f *fields) fail(name, want string) {
	if f.problem == "" {
		f.problem = "the field " + name + " is not " + want
	}
}

func (f *fields) err() error {
	if f.problem == "" {
		return nil
	}
	return foreign(f.op, f.problem)
}

// text returns a string of at least one and at most limit bytes.
func (f *fields) text(name string, limit int) string {
	s, _ := f.data[name].(string)
	if s == "" || len(s) > limit {
		f.fail(name, "a text of up to "+strconv.Itoa(limit)+" bytes")
		return ""
	}
	return s
}

// optional is text for a field that may be missing or empty: an admin may clear one that is
// used up.
func (f *fields) optional(name string, limit int) string {
	if v, there := f.data[name]; !there || v == "" {
		return ""
	}
	return f.text(name, limit)
}

// base64 decodes standard base64 text: exactly size bytes or, with size 0, 1 to 1024 bytes.
func (f *fields) base64(name string, size int) []byte {
	b, err := base64.StdEncoding.DecodeString(f.text(name, 2048))
	if err != nil || len(b) == 0 || len(b) > 1024 || (size != 0 && len(b) != size) {
		f.fail(name, "base64 of the right length")
		return nil
	}
	return b
}

// integer returns a number from low to high.
func (f *fields) integer(name string, low, high int64) int64 {
	n, ok := f.data[name].(json.Number)
	v, err := n.Int64()
	if !ok || err != nil || v < low || v > high {
		f.fail(name, "a number in its range")
		return 0
	}
	return v
}
