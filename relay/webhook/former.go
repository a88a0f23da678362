package webhook

import (
	"context"
	"errors"
	"net/http"
)

// People give a receiver its new credentials, at a time that they choose. Until the overlap ends,
// the relay uses whichever credentials the receiver has: it passes the handshake with one of the
// two, and refuses what is signed with the other.

// verify makes one handshake, with the present credentials first.
func (d *Deliverer) verify(ctx context.Context) error {
	if d.o.Receiver.Own != nil {
		d.setShown(nil)
		return d.asOwn(func(c Credentials) error {
			d.setShown(d.mark(c))
			return d.client.verify(ctx, c)
		})
	}
	err := d.client.verify(ctx, d.o.Receiver.Credentials)
	former := false
	if d.honoured() && (refused(err) || errors.Is(err, ErrChallenge)) && d.client.verify(ctx, d.o.Receiver.Former.Credentials) == nil {
		err, former = nil, true
	}
	d.setFormer(former)
	return err
}

// post delivers a payload. If the receiver refuses the credentials, it tries once more with the
// others.
func (d *Deliverer) post(ctx context.Context, body []byte) error {
	if d.o.Receiver.Own != nil {
		return d.asOwn(func(c Credentials) error { return d.client.post(ctx, body, c) })
	}
	if !d.honoured() {
		d.setFormer(false)
		return d.client.post(ctx, body, d.o.Receiver.Credentials)
	}
	d.mu.Lock()
	former := d.former
	d.mu.Unlock()
	use := map[bool]Credentials{false: d.o.Receiver.Credentials, true: d.o.Receiver.Former.Credentials}
	err := d.client.post(ctx, body, use[former])
	if !refused(err) {
		return err
	}
	if d.client.post(ctx, body, use[!former]) != nil {
		return err
	}
	d.setFormer(!former)
	return nil
}

// honoured says whether the former credentials may still be used.
func (d *Deliverer) honoured() bool {
	f := d.o.Receiver.Former
	return f != nil && d.o.Now().Before(f.Until)
}

// setShown notes the mark of the receiver's own credentials at a handshake; nil for none.
func (d *Deliverer) setShown(mark []byte) {
	d.mu.Lock()
	defer d.mu.Unlock()
	d.shown = mark
}

func (d *Deliverer) setFormer(former bool) {
	d.mu.Lock()
	defer d.mu.Unlock()
	d.former = former
}

// refused says whether a receiver's answer may mean that it does not know the
// credentials.
func refused(err error) bool {
	var status StatusError
	if !errors.As(err, &status) {
		return false
	}
	return status == http.StatusBadRequest || status == http.StatusUnauthorized || status == http.StatusForbidden
}
