package vault

import (
	"context"
	"crypto/rand"
	"encoding/base64"
	"fmt"
	"math/big"
	"strconv"
	"time"
)

// Identity is who the business is to its customers. It is made once and then only read.
type Identity struct {
	PrivateKey        []byte   // as generate returned it; the caller overwrites it after use
	DeviceID          uint32   // 1 to 2^31-1 (XEP-0384 v0.3)
	StoreID           [16]byte // the only store that belongs to it
	PhoneNumberID     string   // 15 or 16 decimal digits
	BusinessAccountID string   // 15 or 16 decimal digits
	Created           time.Time
}

const maxDeviceID = 1<<31 - 1

// Identity reads the tenant's identity n, or makes it with the private key that generate
// returns. If several make it at once, one wins, and all return that one. If there is something
// else, or the identity was deleted, it returns ErrForeignContent: no new identity replaces an
// old one.
func (c *Client) Identity(ctx context.Context, n int, generate func() ([]byte, error)) (Identity, error) {
	return c.identity(ctx, n, func() (map[string]any, error) { return c.freshIdentity(generate) })
}

// IdentityAfter is Identity for a tenant that had another one before. A new identity keeps what
// others know the business by: its phone number ID, its business account ID, and its store. Key
// and device ID are new.
func (c *Client) IdentityAfter(ctx context.Context, n int, before Identity, generate func() ([]byte, error)) (Identity, error) {
	return c.identity(ctx, n, func() (map[string]any, error) {
		fresh, err := c.freshIdentity(generate)
		if err != nil {
			return nil, err
		}
		fresh["storeID"] = base64.StdEncoding.EncodeToString(before.StoreID[:])
		fresh["phoneNumberID"], fresh["businessAccountID"] = before.PhoneNumberID, before.BusinessAccountID
		return fresh, nil
	})
}

// ReadIdentity reads the tenant's identity n, or returns ErrNotFound.
func (c *Client) ReadIdentity(ctx context.Context, n int) (Identity, error) {
	return c.identity(ctx, n, nil)
}

func (c *Client) identity(ctx context.Context, n int, fresh func() (map[string]any, error)) (Identity, error) {
	f, err := c.loadOrCreate(ctx, "identity/"+strconv.Itoa(n), fresh)
	if err != nil {
		return Identity{}, fmt.Errorf("identity %d: %w", n, err)
	}
	id, err := parseIdentity(f)
	if err != nil {
		return Identity{}, fmt.Errorf("identity %d: %w", n, err)
	}
	return id, nil
}

func (c *Client) freshIdentity(generate func() ([]byte, error)) (map[string]any, error) {
	key, err := generate()
	if err != nil {
		return nil, fmt.Errorf("generating an identity key: %w", err)
	}
	defer clear(key)
	device, err := rand.Int(rand.Reader, big.NewInt(maxDeviceID))
	if err != nil {
		return nil, fmt.Errorf("drawing a device ID: %w", err)
	}
	var store [16]byte
	_, _ = rand.Read(store[:])
	phoneNumberID, err := decimalID()
	if err != nil {
		return nil, err
	}
	businessAccountID, err := decimalID()
	if err != nil {
		return nil, err
	}
	return map[string]any{
		"privateKey":        base64.StdEncoding.EncodeToString(key),
		"deviceID":          device.Int64() + 1,
		"storeID":           base64.StdEncoding.EncodeToString(store[:]),
		"phoneNumberID":     phoneNumberID,
		"businessAccountID": businessAccountID,
		"created":           c.now().UTC().Format(time.RFC3339),
	}, nil
}

// decimalID draws 15 random digits, the first not zero, like the Cloud API's ids.
func decimalID() (string, error) {
	const low, count = 100_000_000_000_000, 900_000_000_000_000
	n, err := rand.Int(rand.Reader, big.NewInt(count))
	if err != nil {
		return "", fmt.Errorf("drawing an ID: %w", err)
	}
	return strconv.FormatInt(low+n.Int64(), 10), nil
}

func parseIdentity(f fields) (Identity, error) {
	id := Identity{
		PrivateKey:        f.base64("privateKey", 0),
		DeviceID:          uint32(f.integer("deviceID", 1, maxDeviceID)),
		PhoneNumberID:     f.digits("phoneNumberID"),
		BusinessAccountID: f.digits("businessAccountID"),
	}
	copy(id.StoreID[:], f.base64("storeID", len(id.StoreID)))
	created, err := time.Parse(time.RFC3339, f.text("created", 40))
	if err != nil {
		f.fail("created", "a time as in RFC 3339")
	}
	id.Created = created
	return id, f.err()
}

// digits returns 15 or 16 decimal digits, the first not zero.
func (f *fields) digits(name string) string {
	s := f.text(name, 16)
	n, err := strconv.ParseUint(s, 10, 64)
	if err != nil || len(s) < 15 || strconv.FormatUint(n, 10) != s {
		f.fail(name, "15 or 16 digits")
		return ""
	}
	return s
}
