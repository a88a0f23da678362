package vault

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"slices"
	"strings"
	"time"

	"github.com/hashicorp/vault/api"

	"github.com/relaykeep/relaykeep/api/contract"
	"github.com/relaykeep/relaykeep/relay/receipt"
)

// ReceiptsMount is the KV mount of receipts that belongs to the mount of secrets. It is separate so that nothing that may delete a
// tenant's secrets reaches its receipts, which outlive the tenant.
func ReceiptsMount(kv string) string { return kv + "-receipts" }

// CreateReceipt puts a receipt of the tenant, in the name of the janitor or, with an admin's client, of the admin. It never
// replaces one. Where Vault was set up by an earlier release, it returns ErrDenied, to an admin ErrNotFound.
func (c *Client) CreateReceipt(ctx context.Context, r receipt.Receipt) error {
	r.By = receipt.Janitor
	if c.cfg.Role == adminRole {
		r.By = receipt.Admin
	}
	return c.createReceipt(ctx, c.cfg.Namespace+"/"+c.cfg.Tenant, r)
}

// CreateReceipt is Client.CreateReceipt for the tenant of a wrapping key that WrappingKeys listed, in the name of the keeper.
func (k *Keeper) CreateReceipt(ctx context.Context, key string, r receipt.Receipt) error {
	namespace, account, ok := TenantOf(key)
	if !ok || !pathPart(account) {
		return foreign(opCreateReceipt, "the key is no tenant's")
	}
	r.By = receipt.Keeper
	return k.client.createReceipt(ctx, namespace+"/"+account, r)
}

func (c *Client) createReceipt(ctx context.Context, tenant string, r receipt.Receipt) error {
	text, err := r.Encode()
	if err != nil {
		return err
	}
	var data map[string]any
	if err := json.Unmarshal(text, &data); err != nil {
		return fmt.Errorf("encoding a receipt: %w", err)
	}
	path := ReceiptsMount(c.cfg.Vault.KVMount) + "/data/" + tenant + "/" + receipt.NewName(r.By, r.Time).String()
	// Once: a refusal says that the policy grants no receipts, and nothing about the token.
	_, err = c.writeOnce(ctx, opCreateReceipt, path, map[string]any{"data": data, "options": map[string]any{"cas": 0}})
	return err
}

// maxReceiptMonths bounds how many months ReceiptNames lists, the latest.
const maxReceiptMonths = 24

// ReceiptMonths lists the months of which the tenant has receipts of one writer, oldest first.
func (c *Client) ReceiptMonths(ctx context.Context, by receipt.Writer) ([]string, error) {
	folders, err := c.listOnce(ctx, opListReceipts, c.receiptsPath("metadata", string(by)))
	var months []string
	for _, folder := range folders {
		if month := strings.TrimSuffix(folder, "/"); receipt.IsMonth(month) {
			months = append(months, month)
		}
	}
	return months, err
}

// ReceiptNames lists the tenant's receipts of one writer from a time on, oldest first. The relay and an admin may do that. Where
// Vault was set up by an earlier release, it returns ErrDenied; that says nothing about the token.
func (c *Client) ReceiptNames(ctx context.Context, by receipt.Writer, since time.Time) ([]receipt.Name, error) {
	months, err := c.ReceiptMonths(ctx, by)
	if err != nil {
		return nil, err
	}
	months = slices.DeleteFunc(months, func(month string) bool { return month < since.UTC().Format("2006-01") })
	var names []receipt.Name
	for _, month := range months[max(len(months)-maxReceiptMonths, 0):] {
		entries, err := c.listOnce(ctx, opListReceipts, c.receiptsPath("metadata", string(by)+"/"+month))
		if err != nil {
			return nil, err
		}
		for _, entry := range entries {
			name := receipt.Name{By: by, Month: month, Entry: entry}
			if at, ok := name.Time(); ok && !at.Before(since) {
				names = append(names, name)
			}
		}
	}
	return names, nil
}

// Receipt reads a receipt that ReceiptNames listed. It returns ErrForeignContent when it is not one, or not of that name's time
// and writer, and ErrNotFound when it is gone.
func (c *Client) Receipt(ctx context.Context, name receipt.Name) (receipt.Receipt, error) {
	var data any
	err := c.callOnce(ctx, opReadReceipt, func(ctx context.Context, client *api.Client) error {
		secret, err := client.Logical().ReadWithContext(ctx, c.receiptsPath("data", name.String()))
		if err != nil {
			return err
		}
		if secret == nil || secret.Data["data"] == nil {
			return &callError{op: opReadReceipt, kind: ErrNotFound}
		}
		data = secret.Data["data"]
		return nil
	})
	if err != nil {
		return receipt.Receipt{}, err
	}
	text, err := json.Marshal(data)
	if err != nil {
		return receipt.Receipt{}, foreign(opReadReceipt, "the receipt is not JSON")
	}
	r, err := receipt.Parse(text)
	at, ok := name.Time()
	switch {
	case err != nil:
		return receipt.Receipt{}, foreign(opReadReceipt, err.Error())
	case !ok || r.By != name.By || !r.Time.Equal(at):
		return receipt.Receipt{}, foreign(opReadReceipt, "the receipt is not of its name's time and writer")
	}
	return r, nil
}

// DeleteReceipts removes a month of the tenant's receipts, and says how many. Only an admin may do that.
func (c *Client) DeleteReceipts(ctx context.Context, by receipt.Writer, month string) (int, error) {
	path := c.receiptsPath("metadata", string(by)+"/"+month)
	entries, err := c.listOnce(ctx, opListReceipts, path)
	removed := 0
	for _, entry := range entries {
		if removeErr := c.remove(ctx, opDeleteReceipt, path+"/"+entry); removeErr != nil {
			return removed, errors.Join(err, removeErr)
		}
		removed++
	}
	return removed, err
}

func (c *Client) receiptsPath(kind, name string) string {
	return ReceiptsMount(c.cfg.Vault.KVMount) + "/" + kind + "/" + c.cfg.Namespace + "/" + c.cfg.Tenant + "/" + name
}

// ReceiptTenants lists, with an admin's own login, the tenants that have receipts, by namespace and account. Names that no relay can
// have are left out.
func ReceiptTenants(ctx context.Context, login *api.Client, v contract.Vault) ([]Holding, error) {
	c, err := newClient(Config{Vault: v, Role: adminRole})
	if err != nil {
		return nil, err
	}
	c.useAdmin(login)
	all := holdings{}
	if err := all.folders(ctx, c, ReceiptsMount(v.KVMount)+"/metadata", func(*Holding) {}); err != nil {
		return nil, err
	}
	return all.sorted(), nil
}
