package vault

import (
	"context"
	"crypto/rsa"
	"crypto/x509"
	"encoding/base64"
	"encoding/hex"
	"encoding/pem"
	"errors"
	"maps"
	"reflect"
	"strconv"
	"strings"

	"github.com/hashicorp/vault/api"
)

// Names of what an admin of Vault writes for a relay that moves to another region. The relay may read it.
const (
	secretDeparture = "departure" // in the old region
	secretArrival   = "arrival"   // in the new one
	arrivalSuffix   = "-arrival"  // of the key in the new region's mount of settings keys that opens what arrives
)

// arrivalType is the type of that key. Vault encrypts with it by RSA-OAEP and SHA-256.
const arrivalType = "rsa-3072"

const (
	fieldToken     = "token"
	fieldPublicKey = "publicKey"
	fieldDigest    = "digest"
	maxPublicKey   = 4096
)

// Departure allows a relay to hand out what it has, to whoever shows the token, sealed to a key of the new region's Vault.
type Departure struct {
	Token string
	Key   *rsa.PublicKey
}

// Arrival allows a relay to take in one file, from whoever shows the token.
type Arrival struct {
	Token  string
	Digest [32]byte // SHA-256 of the file
}

func (c *Client) arrivalKey() place {
	return place{SettingsMount(c.cfg.Vault.TransitMount), c.wrappingKey() + arrivalSuffix}
}

// Departure reads what allows the relay to leave, or returns ErrNotFound.
func (c *Client) Departure(ctx context.Context) (Departure, error) {
	f, err := c.readKV(ctx, secretDeparture)
	if err != nil {
		return Departure{}, err
	}
	d := Departure{Token: f.text(fieldToken, maxSecret)}
	if d.Key, err = parseArrivalKey(f.text(fieldPublicKey, maxPublicKey)); err != nil {
		f.fail(fieldPublicKey, "an RSA key")
	}
	return d, f.err()
}

func parseArrivalKey(text string) (*rsa.PublicKey, error) {
	block, _ := pem.Decode([]byte(text))
	if block == nil {
		return nil, errors.New("no PEM")
	}
	key, err := x509.ParsePKIXPublicKey(block.Bytes)
	if err != nil {
		return nil, err
	}
	public, is := key.(*rsa.PublicKey)
	if !is || public.Size() < 3072/8 {
		return nil, errors.New("not an RSA key of 3,072 bits")
	}
	return public, nil
}

// Arrival reads which file the relay may take in, or returns ErrNotFound.
func (c *Client) Arrival(ctx context.Context) (Arrival, error) {
	f, err := c.readKV(ctx, secretArrival)
	if err != nil {
		return Arrival{}, err
	}
	a := Arrival{Token: f.text(fieldToken, maxSecret)}
	digest, err := hex.DecodeString(f.text(fieldDigest, 2*len(a.Digest)))
	if err != nil || len(digest) != len(a.Digest) {
		f.fail(fieldDigest, "a SHA-256")
		return a, f.err()
	}
	copy(a.Digest[:], digest)
	return a, f.err()
}

// OpenArrival has Vault decrypt what was encrypted to the tenant's arrival key. It returns ErrNotFound when there is none.
func (c *Client) OpenArrival(ctx context.Context, sealed []byte) ([]byte, error) {
	answer, err := c.write(ctx, opUnwrap, c.arrivalKey().path("decrypt"),
		map[string]any{"ciphertext": "vault:v1:" + base64.StdEncoding.EncodeToString(sealed)})
	if err != nil {
		return nil, lostKey(err)
	}
	f := fields{op: opUnwrap, data: answer}
	return f.base64("plaintext", 0), f.err()
}

// A Secret is one of the tenant's, with its name, such as "identity/1". It is never printed.
type Secret struct {
	Name string         `json:"name"`
	Data map[string]any `json:"data"`
}

// Belongings reads the secrets that a relay takes to another region: its owner, its account at the carrier, and its
// identities and credentials, of which the newest have those numbers. It looks for so many of each.
func (c *Client) Belongings(ctx context.Context, identity, access, each int) ([]Secret, error) {
	account, err := c.Account(ctx)
	if err != nil {
		return nil, err
	}
	names := []string{secretOwner, secretCarrier}
	for n := max(1, identity-each); n <= identity; n++ {
		names = append(names, "identity/"+strconv.Itoa(n))
	}
	for n := max(1, access-each); n <= access; n++ {
		names = append(names, AccessName(account, n))
	}
	var found []Secret
	for _, name := range names {
		f, err := c.readKV(ctx, name)
		if errors.Is(err, ErrNotFound) {
			continue
		}
		if err != nil {
			return nil, err
		}
		found = append(found, Secret{name, f.data})
	}
	return found, nil
}

// TakeIn writes a secret that Belongings read. One that is there must be the same.
func (c *Client) TakeIn(ctx context.Context, s Secret) error {
	if !pathPart(s.Name) {
		return foreign(opCreateKV, "a secret that was brought along has an invalid name")
	}
	f, err := c.loadOrCreate(ctx, s.Name, func() (map[string]any, error) { return maps.Clone(s.Data), nil })
	if err != nil {
		return err
	}
	if !reflect.DeepEqual(f.data, s.Data) {
		return foreign(opCreateKV, "there is another secret where one should be that was brought along")
	}
	return nil
}

// What follows is for an admin.

// PrepareArrival makes the key to which a relay's file is sealed, unless it is there, and returns its public half as PEM.
func (c *Client) PrepareArrival(ctx context.Context) (string, error) {
	if _, err := c.write(ctx, opCreateKey, c.arrivalKey().path("keys"), map[string]any{"type": arrivalType}); err != nil {
		return "", err
	}
	answer, err := c.read(ctx, opReadKey, c.arrivalKey().path("keys"))
	if err != nil {
		return "", err
	}
	versions, _ := answer["keys"].(map[string]any)
	first, _ := versions["1"].(map[string]any)
	f := fields{op: opReadKey, data: first}
	text := f.text("public_key", maxPublicKey)
	if _, err := parseArrivalKey(text); err != nil || len(versions) != 1 {
		f.fail("public_key", "the one RSA key that was made for this move")
	}
	return text, f.err()
}

// AllowDeparture allows the relay to hand out what it has, sealed to a public key.
func (c *Client) AllowDeparture(ctx context.Context, token, publicKey string) error {
	return c.replaceKV(ctx, secretDeparture, map[string]any{fieldToken: token, fieldPublicKey: publicKey})
}

// AllowArrival allows the relay to take in one file.
func (c *Client) AllowArrival(ctx context.Context, a Arrival) error {
	return c.replaceKV(ctx, secretArrival, map[string]any{fieldToken: a.Token, fieldDigest: hex.EncodeToString(a.Digest[:])})
}

// ForgetDeparture takes back what AllowDeparture allowed.
func (c *Client) ForgetDeparture(ctx context.Context) error {
	return c.DeleteSecret(ctx, secretDeparture)
}

// EndArrival destroys the key to which the relay's file was sealed, so that no copy of the file can be opened any more, and
// what AllowArrival wrote.
func (c *Client) EndArrival(ctx context.Context) error {
	if err := c.DeleteSecret(ctx, secretArrival); err != nil {
		return err
	}
	return c.deleteKey(ctx, c.arrivalKey())
}

// MayMove says whether a region's policy for relays knows of moves.
func (c *Client) MayMove(ctx context.Context, role string) (bool, error) {
	answer, err := c.read(ctx, opReadPolicy, "sys/policies/acl/"+role)
	if errors.Is(err, ErrNotFound) {
		return false, nil
	}
	if err != nil {
		return false, err
	}
	text, _ := answer["policy"].(string)
	return strings.Contains(text, "/"+secretDeparture+`"`) && strings.Contains(text, arrivalSuffix+`"`), nil
}

// replaceKV writes a secret over whatever is there.
func (c *Client) replaceKV(ctx context.Context, name string, data map[string]any) error {
	return c.call(ctx, opCreateKV, func(ctx context.Context, client *api.Client) error {
		_, err := client.Logical().WriteWithContext(ctx, c.kvPath(name), map[string]any{"data": data})
		return err
	})
}
