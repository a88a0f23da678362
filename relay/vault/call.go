package vault

import (
	"context"
	"errors"
	"strings"
	"time"

	"github.com/hashicorp/vault/api"
)

// Operations, as metrics name them.
const (
	opLogin       = "login"
	opRevoke      = "revoke"
	opHealth      = "health"
	opReadKV      = "kv-read"
	opCreateKV    = "kv-create"
	opDeleteKV    = "kv-delete"
	opListKV      = "kv-list"
	opCreateKey   = "key-create"
	opReadKey     = "key-read"
	opListKeys    = "key-list"
	opConfigKey   = "key-config"
	opTrimKey     = "key-trim"
	opRotateKey   = "key-rotate"
	opDeleteKey   = "key-delete"
	opDataKey     = "datakey"
	opWrap        = "wrap"
	opUnwrap      = "unwrap"
	opReadPolicy  = "policy-read"
	opCertificate = "certificate"
	opSign        = "sign"

	opCreateReceipt = "receipt-create"
	opListReceipts  = "receipt-list"
	opReadReceipt   = "receipt-read"
	opDeleteReceipt = "receipt-delete"
)

// operations are their names in errors.
var operations = map[string]string{ //nolint:gochecknoglobals // a constant in all but name
	opLogin:       "logging in to Vault",
	opRevoke:      "revoking the Vault token",
	opHealth:      "asking Vault for its health",
	opReadKV:      "reading from Vault",
	opCreateKV:    "writing to Vault",
	opDeleteKV:    "deleting from Vault",
	opListKV:      "listing what Vault keeps",
	opCreateKey:   "making a key in Vault",
	opReadKey:     "reading a key's versions in Vault",
	opListKeys:    "listing the keys in Vault",
	opConfigKey:   "setting a key's versions in Vault",
	opTrimKey:     "destroying key versions in Vault",
	opRotateKey:   "rotating a key in Vault",
	opDeleteKey:   "deleting a key in Vault",
	opDataKey:     "getting a data key from Vault",
	opWrap:        "wrapping a data key in Vault",
	opUnwrap:      "unwrapping a data key in Vault",
	opReadPolicy:  "reading a policy of Vault",
	opCertificate: "having Vault sign a certificate",
	opSign:        "having Vault sign the log",

	opCreateReceipt: "putting a receipt into Vault",
	opListReceipts:  "listing receipts in Vault",
	opReadReceipt:   "reading a receipt from Vault",
	opDeleteReceipt: "removing a receipt from Vault",
}

// call runs one operation with a token. If it is refused, it logs in again and retries
// once.
func (c *Client) call(ctx context.Context, op string, fn func(context.Context, *api.Client) error) error {
	client, err := c.ensureLogin(ctx, nil)
	if err != nil {
		return c.note(err)
	}
	err = c.with(ctx, op, client, fn)
	if !errors.Is(err, ErrDenied) {
		return c.note(err)
	}
	fresh, loginErr := c.ensureLogin(ctx, client)
	if loginErr != nil {
		return c.note(err) // the refusal says more than "too early for a login"
	}
	err = c.with(ctx, op, fresh, fn)
	if errors.Is(err, ErrDenied) {
		c.refused(fresh, err)
	}
	return c.note(err)
}

// callOnce is call for what may be refused for another reason than the token, so that no login
// follows.
func (c *Client) callOnce(ctx context.Context, op string, fn func(context.Context, *api.Client) error) error {
	client, err := c.ensureLogin(ctx, nil)
	if err != nil {
		return c.note(err)
	}
	err = c.with(ctx, op, client, fn)
	if errors.Is(err, ErrDenied) {
		return err
	}
	return c.note(err)
}

func (c *Client) with(ctx context.Context, op string, client *api.Client, fn func(context.Context, *api.Client) error) error {
	return c.observe(ctx, op, func(ctx context.Context) error { return fn(ctx, client) })
}

// observe runs one request within its time and reports it.
func (c *Client) observe(ctx context.Context, op string, fn func(context.Context) error) error {
	limited, cancel := context.WithTimeout(ctx, callTimeout)
	defer cancel()
	begun := time.Now()
	err := classify(ctx, op, fn(limited))
	if c.cfg.Observer != nil {
		c.cfg.Observer.VaultCall(op, outcome(err), time.Since(begun))
	}
	return err
}

// note remembers whether Vault is usable. That something is not found, or erased, is a normal
// answer.
func (c *Client) note(err error) error {
	trouble := err
	if errors.Is(err, context.Canceled) {
		return err
	}
	if errors.Is(err, ErrNotFound) || errors.Is(err, ErrErased) || errors.Is(err, ErrForeignContent) {
		trouble = nil
	}
	c.mu.Lock()
	defer c.mu.Unlock()
	if outcome(c.trouble) != outcome(trouble) {
		if trouble != nil {
			c.log.Warn("vault is not usable", "outcome", outcome(trouble), "error", trouble)
		} else {
			c.log.Info("vault is usable again")
		}
	}
	c.trouble = trouble
	return err
}

// write posts data to a path. It returns the answer's data, nil when there is none.
func (c *Client) write(ctx context.Context, op, path string, data map[string]any) (answer map[string]any, err error) {
	err = c.call(ctx, op, writer(path, data, &answer))
	return answer, err
}

// writeOnce is write for what may be refused for another reason than the token.
func (c *Client) writeOnce(ctx context.Context, op, path string, data map[string]any) (answer map[string]any, err error) {
	err = c.callOnce(ctx, op, writer(path, data, &answer))
	return answer, err
}

func writer(path string, data map[string]any, answer *map[string]any) func(context.Context, *api.Client) error {
	return func(ctx context.Context, client *api.Client) error {
		secret, err := client.Logical().WriteWithContext(ctx, path, data)
		if err == nil && secret != nil {
			*answer = secret.Data
		}
		return err
	}
}

// read returns the data at a path, or ErrNotFound.
func (c *Client) read(ctx context.Context, op, path string) (data map[string]any, err error) {
	err = c.call(ctx, op, func(ctx context.Context, client *api.Client) error {
		secret, err := client.Logical().ReadWithContext(ctx, path)
		if err != nil {
			return err
		}
		if secret == nil || secret.Data == nil {
			return &callError{op: op, kind: ErrNotFound}
		}
		data = secret.Data
		return nil
	})
	return data, err
}

// remove deletes a path, if there is anything.
func (c *Client) remove(ctx context.Context, op, path string) error {
	err := c.call(ctx, op, func(ctx context.Context, client *api.Client) error {
		_, err := client.Logical().DeleteWithContext(ctx, path)
		return err
	})
	if errors.Is(err, ErrNotFound) {
		return nil
	}
	return err
}

// list returns the names below a path, none if there is nothing; folders end in a slash. Names
// that would be invalid in a path are left out and lead to an error.
func (c *Client) list(ctx context.Context, op, path string) ([]string, error) {
	return c.listBy(ctx, c.call, op, path)
}

// listOnce is list for what may be refused for another reason than the token.
func (c *Client) listOnce(ctx context.Context, op, path string) ([]string, error) {
	return c.listBy(ctx, c.callOnce, op, path)
}

// caller is call or callOnce.
type caller func(ctx context.Context, op string, fn func(context.Context, *api.Client) error) error

func (*Client) listBy(ctx context.Context, call caller, op, path string) ([]string, error) {
	var keys []any
	err := call(ctx, op, func(ctx context.Context, client *api.Client) error {
		secret, err := client.Logical().ListWithContext(ctx, path)
		if err == nil && secret != nil {
			keys, _ = secret.Data["keys"].([]any)
		}
		return err
	})
	if err != nil && !errors.Is(err, ErrNotFound) {
		return nil, err
	}
	names, odd := make([]string, 0, len(keys)), false
	for _, key := range keys {
		name, _ := key.(string)
		if !pathPart(strings.TrimSuffix(name, "/")) {
			odd = true
			continue
		}
		names = append(names, name)
	}
	if odd {
		return names, foreign(op, "the list holds an invalid name")
	}
	return names, nil
}
