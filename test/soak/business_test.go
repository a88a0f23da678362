package soak_test

import (
	"bytes"
	"context"
	"encoding/json"
	"fmt"
	"io"
	"net/http"
	"strconv"
	"time"

	"github.com/relaykeep/relaykeep/relay/phone"
	"github.com/relaykeep/relaykeep/test/rig"
)

// business is the tenant whose relay is tried.
type business struct {
	*rig.Business
	*ledger
	client *http.Client
	seed   uint64
}

// again is how long the business waits before it makes a request again.
const again = 100 * time.Millisecond

// write sends one message, as often as it takes, always with the same Idempotency-Key.
func (b *business) write(ctx context.Context, to phone.Number, n int) error {
	body, err := json.Marshal(map[string]any{
		"messaging_product": "whatsapp", "to": to.E164(), "biz_opaque_callback_data": strconv.Itoa(n), "text": map[string]string{"body": text(n)},
	})
	if err != nil {
		return err
	}
	b.with(func() { b.out.begin(n) })
	for {
		id, why, err := b.try(ctx, n, body)
		if err != nil {
			return err
		}
		if id != "" {
			b.with(func() { b.out.take(n) })
			return nil
		}
		b.again(why)
		select {
		case <-time.After(again):
		case <-ctx.Done():
			return ctx.Err()
		}
	}
}

// try makes the request once. It returns the message's id, or why to try again.
func (b *business) try(ctx context.Context, n int, body []byte) (id, why string, err error) {
	url := "https://" + b.Endpoint() + rig.Version + "/" + b.NumberID + "/messages"
	ctx, cancel := context.WithTimeout(ctx, 30*time.Second)
	defer cancel()
	request, err := http.NewRequestWithContext(ctx, http.MethodPost, url, bytes.NewReader(body))
	if err != nil {
		return "", "", err
	}
	request.Header.Set("Authorization", "Bearer "+b.Token)
	request.Header.Set("Content-Type", "application/json")
	request.Header.Set("Idempotency-Key", fmt.Sprint("soak-", b.seed, "-", n))
	response, err := b.client.Do(request)
	if err != nil {
		return "", "no answer", nil // the relay was killed, or its link to us
	}
	defer response.Body.Close()
	raw, err := io.ReadAll(io.LimitReader(response.Body, 1<<20))
	if err != nil {
		return "", "half an answer", nil // likewise
	}
	if id = rig.MessageID(string(raw)); id != "" {
		return id, "", nil
	}
	var refused struct{ Error struct{ Code int } }
	if err := json.Unmarshal(raw, &refused); err != nil {
		return "", "", fmt.Errorf("the endpoint answers %d and no error: %w", response.StatusCode, err)
	}
	switch refused.Error.Code {
	case 130429, 131056, 131000, 131016: // too fast, too fast to one, broken, full
		return "", "error " + strconv.Itoa(refused.Error.Code), nil
	}
	return "", "", fmt.Errorf("the endpoint answers %d with error %d", response.StatusCode, refused.Error.Code)
}
