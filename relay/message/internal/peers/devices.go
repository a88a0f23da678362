package peers

import (
	"context"
	"fmt"
	"log/slog"
	"slices"
	"time"

	"github.com/relaykeep/relaykeep/relay/carrier"
	"github.com/relaykeep/relaykeep/relay/message/internal/base"
	"github.com/relaykeep/relaykeep/relay/message/internal/record"
	"github.com/relaykeep/relaykeep/relay/omemo"
	"github.com/relaykeep/relaykeep/relay/store"
)

// repairEvery is the least time between two offers of a new session to a device: two peers
// that cannot read each other must not exchange offers without end.
const repairEvery = time.Minute

// How old a customer's device list may be before it is fetched again. Changes arrive by
// themselves from customers who are our contacts, and we theirs; from others they do not.
const (
	listAge      = time.Hour
	strangersAge = 5 * time.Minute
)

// fetch is when we last learned which devices a customer has, and whether that came by itself.
type fetch struct {
	at     time.Time
	pushed bool
}

// outdated says whether to fetch the list again.
func (f fetch) outdated(now time.Time) bool {
	if f.pushed {
		return now.Sub(f.at) > listAge
	}
	return now.Sub(f.at) > strangersAge
}

// maxDeviceID is the highest device id that XEP-0384 v0.3 allows.
const maxDeviceID carrier.DeviceID = 1<<31 - 1

// maxRemembered bounds the maps that only save work.
const maxRemembered = 10_000

// DeviceList receives a customer's device list. Carriers send every list whenever a link comes
// up. A list that says nothing new must not extend an idle customer's life, so nothing is
// written for it.
func (s *Peers) DeviceList(ctx context.Context, l carrier.DeviceList) error {
	var c store.CustomerID
	var news bool
	err := s.Store.View(ctx, func(tx *store.Tx) (err error) {
		if c, err = tx.CustomerID(l.Peer); err != nil {
			return err
		}
		known, err := tx.Devices(c)
		news = differs(known, l.Format, l.Devices)
		return err
	})
	learned := func() { s.learned(list{c, l.Format}, true) }
	switch {
	case err == nil && news:
		err = s.Store.Update(ctx, func(tx *store.Tx) error {
			tx.Then(learned) // before what is queued for it runs
			return s.listed(tx, c, l.Format, l.Devices)
		})
	case err == nil:
		learned()
	}
	if record.IsNotFound(err) {
		return nil // nobody whom we know
	}
	return err
}

// A list may name more devices than we write to or remember: clients leave behind the devices
// of each installation, and anybody can invent some. Which devices are cut off must not depend
// on their place in the list. Devices that wrote come first, the latest first; then those with
// an identity key on record, which they got with a session; then the others in the list's
// order.

// livelier orders devices so that those in use come first.
func livelier(a, b store.Device) int {
	if c := b.Wrote.Compare(a.Wrote); c != 0 {
		return c
	}
	return len(b.IdentityKey) - len(a.IdentityKey) // 0, or the one length that all keys have
}

// listing is what a device list changes.
type listing struct {
	changed []store.Device     // known devices, as they are now
	added   []carrier.DeviceID // new devices, as many as are remembered
}

// on is what says whether a device is on the list of a format.
func on(d *store.Device, f carrier.Format) *bool {
	if f == carrier.OMEMO2 {
		return &d.OMEMO2
	}
	return &d.Active
}

// compare says what a list changes about the known devices.
func compare(known []store.Device, f carrier.Format, devices []carrier.DeviceID) (l listing) {
	listed := make(map[carrier.DeviceID]bool, len(devices))
	for _, id := range devices {
		listed[id] = id >= 1 && id <= maxDeviceID
	}
	room := maxKnown
	for _, d := range known {
		if is := on(&d, f); *is != listed[d.ID] {
			*is = listed[d.ID]
			l.changed = append(l.changed, d)
		}
		if d.Reachable() {
			room--
		}
		delete(listed, d.ID)
	}
	for _, id := range devices {
		if listed[id] && room > 0 {
			l.added = append(l.added, id)
			delete(listed, id)
			room--
		}
	}
	return l
}

// differs says whether list would change anything.
func differs(known []store.Device, f carrier.Format, devices []carrier.DeviceID) bool {
	l := compare(known, f, devices)
	return len(l.changed)+len(l.added) > 0
}

// putList writes which devices a customer has on a list now, and returns those that are new.
func putList(tx *store.Tx, c store.CustomerID, f carrier.Format, devices []carrier.DeviceID) (added []carrier.DeviceID, err error) {
	known, err := tx.Devices(c)
	if err != nil {
		return nil, err
	}
	l := compare(known, f, devices)
	for _, id := range l.added {
		d := store.Device{ID: id}
		*on(&d, f) = true
		l.changed = append(l.changed, d)
	}
	for _, d := range l.changed {
		if err := tx.PutDevice(c, d); err != nil {
			return nil, err
		}
	}
	return l.added, Bound(tx, c, 0)
}

// maxKnown is how many devices of a customer are remembered, those included that are
// no longer on its list and may write again.
const maxKnown = 2 * omemo.MaxDevices

// Bound forgets devices beyond maxKnown, with their sessions: first those that are not on the
// list, and among these first the ones not in use. A customer or a carrier that invents devices
// must not fill the store. The device to keep stays.
func Bound(tx *store.Tx, c store.CustomerID, keep carrier.DeviceID) error {
	known, err := tx.Devices(c)
	if err != nil || len(known) <= maxKnown {
		return err
	}
	slices.SortStableFunc(known, func(a, b store.Device) int {
		if (a.ID == keep) != (b.ID == keep) {
			return first(a.ID == keep)
		}
		if a.Reachable() != b.Reachable() {
			return first(a.Reachable())
		}
		return livelier(a, b)
	})
	for _, d := range known[maxKnown:] {
		if err := tx.DeleteDevice(c, d.ID); err != nil {
			return err
		}
	}
	return nil
}

// first orders true before false.
func first(so bool) int {
	if so {
		return -1
	}
	return 1
}

// learned notes that one of a customer's device lists is up to date. Pushed says that the carrier
// told us by itself, and will again.
func (s *Peers) learned(l list, pushed bool) {
	s.mu.Lock()
	defer s.mu.Unlock()
	if len(s.fetched) >= maxRemembered {
		clear(s.fetched)
	}
	s.fetched[l] = fetch{s.Now(), pushed || s.fetched[l].pushed}
}

// wroteEvery is how old the stored time of a device's last message may be before it is updated.
const wroteEvery = 24 * time.Hour

// Activate makes a device that wrote one that we write to: some clients never publish a device
// list. It says whether the session with the device has just begun.
func (s *Peers) Activate(tx *store.Tx, c store.CustomerID, id carrier.DeviceID, f carrier.Format, opened omemo.Opened, now time.Time) (renewed bool, err error) {
	d, err := tx.Device(c, id)
	if record.IsNotFound(err) {
		d, err = store.Device{ID: id}, nil
	}
	if err != nil {
		return false, err
	}
	begins := opened.NewSession || opened.Answers
	if begins {
		d.Renewed = now
	}
	renewed = !d.Renewed.IsZero() && now.Sub(d.Renewed) < renewedTime
	is := on(&d, f)
	if *is && !begins && now.Sub(d.Wrote) < wroteEvery {
		return renewed, nil
	}
	*is, d.Wrote = true, now
	return renewed, tx.PutDevice(c, d)
}

// DevicesOf returns the devices that a message to a customer goes to. It fetches the list
// unless that is known to be fresh. A customer without a list keeps the devices that wrote.
func (s *Peers) DevicesOf(ctx context.Context, c store.Customer) ([]carrier.DeviceID, error) {
	var why error
	shown := false // a list; servers say of one that does not exist that it is hidden
	for _, f := range s.Account.Formats() {
		missing, err := s.fetchList(ctx, c, f)
		if err != nil {
			return nil, err
		}
		if shown = shown || missing == nil; missing != nil {
			why = unreachable(missing, why)
		}
	}
	if shown {
		why = ErrUnreachable
	}
	devices, err := s.active(ctx, c.ID)
	if err == nil && len(devices) == 0 {
		s.forgetLists(c.ID) // ask again next time
		err = why
	}
	return devices, err
}

// fetchList fetches a customer's device list unless it is known to be fresh. Missing is why the carrier
// did not show it; it is nil if the carrier did, or told us the list before.
func (s *Peers) fetchList(ctx context.Context, c store.Customer, f carrier.Format) (missing, err error) {
	l := list{c.ID, f}
	if s.fresh(l) {
		return nil, nil
	}
	listed, err := s.Carrier.Devices(ctx, c.Number, f)
	switch {
	case isMissing(err):
		missing, err = err, nil
	case err != nil:
		return nil, fmt.Errorf("fetching a device list: %w", err)
	default:
		err = s.Store.Update(ctx, func(tx *store.Tx) error { return s.listed(tx, c.ID, f, listed) })
	}
	if err == nil {
		s.learned(l, false)
	}
	return missing, err
}

// fresh says whether a device list is known to be up to date.
func (s *Peers) fresh(l list) bool {
	s.mu.Lock()
	defer s.mu.Unlock()
	return !s.fetched[l].outdated(s.Now())
}

// Fresh says whether all device lists of a customer are known to be up to date.
func (s *Peers) Fresh(c store.CustomerID) bool {
	return !slices.ContainsFunc(s.Account.Formats(), func(f carrier.Format) bool { return !s.fresh(list{c, f}) })
}

// forgetLists forgets that a customer's device lists are up to date.
func (s *Peers) forgetLists(c store.CustomerID) {
	s.mu.Lock()
	defer s.mu.Unlock()
	for _, f := range carrier.Formats() {
		delete(s.fetched, list{c, f})
	}
}

// active reads the devices that a customer has now, without those that firstUse refuses. Those
// in use come first. There may be more than an envelope addresses.
func (s *Peers) active(ctx context.Context, c store.CustomerID) ([]carrier.DeviceID, error) {
	var devices []carrier.DeviceID
	err := s.Store.View(ctx, func(tx *store.Tx) error {
		known, err := tx.Devices(c)
		devices = s.activeOf(known)
		return err
	})
	return devices, err
}

// activeOf is active for devices that were read. It sorts them.
func (s *Peers) activeOf(known []store.Device) (devices []carrier.DeviceID) {
	strict := s.strict(known)
	slices.SortStableFunc(known, livelier)
	for _, d := range known {
		if d.Reachable() && (d.Accepted || !strict) {
			devices = append(devices, d.ID)
		}
	}
	return devices
}

// OwnDevices receives our account's device list. The relay has one device. Another device on
// its account would get what customers write, so it is removed from the list, and reported.
func (s *Peers) OwnDevices(ctx context.Context, f carrier.Format, devices []carrier.DeviceID) {
	if !slices.Contains(s.Account.Formats(), f) {
		return
	}
	other := slices.ContainsFunc(devices, func(d carrier.DeviceID) bool { return d != s.Account.Device })
	foreign := slices.ContainsFunc(devices, func(d carrier.DeviceID) bool { return d != s.Account.Device && !s.WasOurs(d) })
	if foreign {
		s.Counts.Add(base.EventForeignDevice)
		s.Log.LogAttrs(ctx, slog.LevelError, "our account lists a device that is not ours; someone else has its password, or the carrier adds devices")
	}
	if other || !slices.Contains(devices, s.Account.Device) {
		s.PublishSoon()
	}
}

// WasOurs says whether a device is that of our former identity: it is on the list that we
// published before the identity was rotated.
func (s *Peers) WasOurs(d carrier.DeviceID) bool {
	return s.Former != nil && s.Former.Account.Device == d
}

// MayRepair says whether a device may be offered a new session now, and notes the offer: each
// message that shares a commit must know about those before it.
func (s *Peers) MayRepair(d Device, now time.Time) bool {
	s.mu.Lock()
	defer s.mu.Unlock()
	if at, ok := s.repaired[d]; ok && now.Sub(at) < repairEvery {
		return false
	}
	if len(s.repaired) >= maxRemembered {
		clear(s.repaired)
	}
	s.repaired[d] = s.Now()
	return true
}

// Unrepaired takes back the note of an offer that was not stored.
func (s *Peers) Unrepaired(d Device) {
	s.mu.Lock()
	defer s.mu.Unlock()
	delete(s.repaired, d)
}

// ForgetDevices forgets what memory holds about a customer's devices.
func (s *Peers) ForgetDevices(id store.CustomerID) {
	s.forgetLists(id)
	s.mu.Lock()
	defer s.mu.Unlock()
	for _, devices := range []map[Device]time.Time{s.missing, s.repaired} {
		for d := range devices {
			if d.Customer == id {
				delete(devices, d)
			}
		}
	}
}

// renewedTime is how long after a session began a client may send again what was lost with the
// one before.
const renewedTime = 5 * time.Minute

// listed writes which devices a customer has now. Under firstUse it queues a look at the keys
// of new devices, so that the business learns of them.
func (s *Peers) listed(tx *store.Tx, c store.CustomerID, f carrier.Format, devices []carrier.DeviceID) error {
	added, err := putList(tx, c, f, devices)
	if err != nil || len(added) == 0 {
		return err
	}
	if _, err := s.Release(tx, c); err != nil { // what waited for a list
		return err
	}
	if s.Account.Trust != omemo.FirstUse {
		return nil
	}
	known, err := tx.Devices(c)
	if err != nil || !s.strict(known) {
		return err
	}
	for _, d := range added {
		if err := s.Enqueue(tx, c, "", record.Task{Kind: record.KindInspect, Device: d}); err != nil {
			return err
		}
	}
	return nil
}
