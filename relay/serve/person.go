package serve

import (
	"context"
	"encoding/hex"
	"errors"
	"strconv"

	"github.com/relaykeep/relaykeep/relay/carrier"
	"github.com/relaykeep/relaykeep/relay/cloudapi"
	"github.com/relaykeep/relaykeep/relay/message"
	"github.com/relaykeep/relaykeep/relay/phone"
	"github.com/relaykeep/relaykeep/relay/store"
)

// persons gives the HTTP interface access to what the messages store about single persons.
type persons struct{ *message.Service }

var _ cloudapi.Customers = persons{}

// Erase implements cloudapi.Customers. Even when the carrier cannot be reached, what the relay
// stores is gone; the business then has to ask again.
func (p persons) Erase(ctx context.Context, n phone.Number) error {
	err := p.Service.Erase(ctx, n)
	if errors.Is(err, carrier.ErrOffline) || errors.Is(err, context.DeadlineExceeded) {
		return cloudapi.ErrUnavailable
	}
	return translate(err)
}

// Export implements cloudapi.Customers.
func (p persons) Export(ctx context.Context, n phone.Number, after string, limit int) (*cloudapi.Export, error) {
	kept, err := p.Person(ctx, n, after, limit)
	if errors.Is(err, message.ErrUnknownCustomer) {
		return nil, cloudapi.ErrUnknownCustomer
	}
	if err != nil {
		return nil, translate(err)
	}
	e := &cloudapi.Export{UserID: kept.UserID, Name: kept.Name, LastInbound: kept.LastInbound, Blocked: kept.Blocked, OptedOut: kept.OptedOut, More: kept.More}
	for _, d := range kept.Devices {
		e.Devices = append(e.Devices, cloudapi.ExportedDevice(d))
	}
	for _, m := range kept.Messages {
		direction := "outbound"
		if m.Inbound {
			direction = "inbound"
		}
		e.Messages = append(e.Messages, cloudapi.ExportedMessage{
			ID: m.ID, Direction: direction, Type: m.Type, Status: m.State, Detail: m.Detail,
			Timestamp: strconv.FormatInt(m.Time.Unix(), 10), Opaque: m.Opaque, Content: m.Content, File: exportedFile(m.File),
		})
	}
	return e, nil
}

// ContactRequests implements cloudapi.Customers.
func (p persons) ContactRequests(ctx context.Context, after int64, limit int) ([]cloudapi.ContactRequest, error) {
	open, err := p.Service.ContactRequests(ctx, store.CustomerID(after), limit)
	if err != nil {
		return nil, translate(err)
	}
	var requests []cloudapi.ContactRequest
	for _, c := range open {
		requests = append(requests, cloudapi.ContactRequest{
			Number: c.Number, UserID: c.UserID, Since: c.Since, Declined: !c.Declined.IsZero(), Waiting: c.Waiting, Cursor: int64(c.Cursor),
		})
	}
	return requests, nil
}

func exportedFile(f *message.PersonsFile) *cloudapi.ExportedFile {
	if f == nil {
		return nil
	}
	return &cloudapi.ExportedFile{
		ID: f.ID, Kind: string(f.Kind), MIME: f.MIME, SHA256: hex.EncodeToString(f.SHA256[:]), Size: f.Size, Filename: f.Name,
	}
}
