package store_test

import (
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/relaykeep/relaykeep/relay/carrier"
	"github.com/relaykeep/relaykeep/relay/phone"
	"github.com/relaykeep/relaykeep/relay/store"
)

var numbers = cmp.Comparer(func(a, b phone.Number) bool { return a == b })

func equal(t *testing.T, what string, got, want any) {
	t.Helper()
	if diff := cmp.Diff(want, got, numbers); diff != "" {
		t.Errorf("%s (-want +got):\n%s", what, diff)
	}
}

func TestCustomerIsFoundByNumberAndIDAfterReopening(t *testing.T) {
	w := newWorld(t)
	want := store.Customer{Number: number(t, "+15551234567"), Name: "Ada", LastInbound: start}
	w.update(func(t *store.Tx) error { return t.PutCustomer(&want) })
	w.customer("+15551234568")
	w.reopen()
	w.view(func(tx *store.Tx) error {
		got, err := tx.Customer(want.Number)
		equal(t, "by number", got, want)
		if err != nil {
			return err
		}
		got, err = tx.CustomerByID(want.ID)
		equal(t, "by ID", got, want)
		return err
	})
}

func TestUnknownCustomerIsNotFound(t *testing.T) {
	w := newWorld(t)
	w.customer("+15551234567")
	w.view(func(tx *store.Tx) error {
		_, err := tx.Customer(number(t, "+15551234569"))
		wantIs(t, err, store.ErrNotFound)
		_, err = tx.CustomerByID(7)
		wantIs(t, err, store.ErrNotFound)
		return nil
	})
}

func TestSecondCustomerWithANumberIsRefusedAndTheFirstCanChange(t *testing.T) {
	w := newWorld(t)
	id := w.customer("+15551234567")
	err := w.Update(t.Context(), func(tx *store.Tx) error {
		return tx.PutCustomer(&store.Customer{Number: number(t, "+15551234567")})
	})
	wantIs(t, err, store.ErrInvalid)
	w.update(func(tx *store.Tx) error {
		return tx.PutCustomer(&store.Customer{ID: id, Number: number(t, "+15551234567"), Name: "Grace"})
	})
	w.view(func(tx *store.Tx) error {
		c, err := tx.CustomerByID(id)
		equal(t, "name", c.Name, "Grace")
		return err
	})
}

func TestDevicesAndRecordsBelongToOneCustomer(t *testing.T) {
	w := newWorld(t)
	a, b := w.customer("+15551234567"), w.customer("+15551234568")
	device := store.Device{ID: 77, IdentityKey: []byte("key"), Active: true}
	second := store.Device{ID: 1<<31 - 1, Accepted: true, Offered: []byte("another")}
	w.update(func(tx *store.Tx) error {
		for _, d := range []store.Device{device, second} {
			if err := tx.PutDevice(a, d); err != nil {
				return err
			}
			if err := tx.PutRecord(a, d.ID, []byte{byte(d.ID), 1}); err != nil {
				return err
			}
		}
		return tx.PutRecord(b, 77, []byte("b's"))
	})
	w.reopen()
	w.view(func(tx *store.Tx) error {
		devices, err := tx.Devices(a)
		if err != nil {
			return err
		}
		equal(t, "devices", devices, []store.Device{device, second})
		none, err := tx.Devices(b)
		if err != nil {
			return err
		}
		equal(t, "b's devices", none, []store.Device{})
		for id, want := range map[carrier.DeviceID][]byte{77: {77, 1}, second.ID: {255, 1}, 5: nil} {
			got, err := tx.Record(a, id)
			if err != nil {
				return err
			}
			equal(t, "record", got, want)
		}
		got, err := tx.Record(b, 77)
		equal(t, "b's record", string(got), "b's")
		return err
	})
}

func TestRecordIsReplacedAndDeleted(t *testing.T) {
	w := newWorld(t)
	c := w.customer("+15551234567")
	for _, record := range []string{"one", "two"} {
		w.update(func(tx *store.Tx) error { return tx.PutRecord(c, 9, []byte(record)) })
		w.view(func(tx *store.Tx) error {
			got, err := tx.Record(c, 9)
			equal(t, "record", string(got), record)
			return err
		})
	}
	for range 2 {
		w.update(func(tx *store.Tx) error { return tx.DeleteRecord(c, 9) })
	}
	w.view(func(tx *store.Tx) error {
		got, err := tx.Record(c, 9)
		equal(t, "record", got, []byte(nil))
		return err
	})
}

func TestPreKeysAreKeptByKind(t *testing.T) {
	w := newWorld(t)
	signed := store.Key{ID: 1, Data: []byte("signed"), Created: start}
	w.update(func(tx *store.Tx) error {
		if err := tx.PutSignedPreKey(signed); err != nil {
			return err
		}
		for id := uint32(1); id <= 3; id++ {
			if err := tx.PutPreKey(store.Key{ID: id, Data: []byte{byte(id)}, Created: start}); err != nil {
				return err
			}
		}
		return tx.DeletePreKey(2)
	})
	w.reopen()
	w.view(func(tx *store.Tx) error {
		got, err := tx.SignedPreKey(1)
		if err != nil {
			return err
		}
		equal(t, "signed", got, signed)
		n, err := tx.PreKeyCount()
		equal(t, "count", n, 2)
		if err != nil {
			return err
		}
		_, err = tx.PreKey(2)
		wantIs(t, err, store.ErrNotFound)
		keys, err := tx.PreKeys()
		equal(t, "one-time", keys, []store.Key{{ID: 1, Data: []byte{1}, Created: start}, {ID: 3, Data: []byte{3}, Created: start}})
		return err
	})
}

func TestMessageIsFoundByEitherID(t *testing.T) {
	w := newWorld(t)
	c := w.customer("+15551234567")
	want := store.Message{
		ID: store.NewMessageID(), Direction: store.Outbound, Customer: c, Type: "text", Body: []byte(`{"body":"hi"}`),
		CarrierID: "stanza-1", State: "accepted", Opaque: "ticket", Created: start, Updated: start.Add(time.Second),
	}
	w.update(func(tx *store.Tx) error { return tx.PutMessage(want) })
	w.reopen()
	w.view(func(tx *store.Tx) error {
		got, err := tx.Message(want.ID)
		if err != nil {
			return err
		}
		equal(t, "by ID", got, want)
		got, err = tx.MessageByCarrierID(store.Outbound, "stanza-1")
		if err != nil {
			return err
		}
		equal(t, "by carrier ID", got, want)
		_, err = tx.MessageByCarrierID(store.Inbound, "stanza-1")
		wantIs(t, err, store.ErrNotFound)
		return nil
	})
}

func TestMessageStateChangesAndItsContentStays(t *testing.T) {
	w := newWorld(t)
	id := w.message(w.customer("+15551234567"), "hello")
	at := start.Add(time.Minute)
	w.update(func(tx *store.Tx) error { return tx.SetMessageState(id, "read", at) })
	w.view(func(tx *store.Tx) error {
		m, err := tx.Message(id)
		equal(t, "state", m.State, "read")
		equal(t, "updated", m.Updated, at)
		equal(t, "body", string(m.Body), "hello")
		return err
	})
	err := w.Update(t.Context(), func(tx *store.Tx) error { return tx.SetMessageState("wamid.none", "read", at) })
	wantIs(t, err, store.ErrNotFound)
}

func TestMessagesOfACustomerComeYoungestFirstUpToATime(t *testing.T) {
	w := newWorld(t)
	c, other := w.customer("+15551234567"), w.customer("+15551234568")
	var ids []string
	for i := range 4 {
		w.now = start.Add(time.Duration(i) * time.Second)
		ids = append(ids, w.message(c, "m"))
		w.message(other, "o")
	}
	w.view(func(tx *store.Tx) error {
		got, err := tx.MessagesOf(c, store.Inbound, start.Add(2*time.Second), 2)
		if err != nil {
			return err
		}
		equal(t, "IDs", []string{got[0].ID, got[1].ID}, []string{ids[2], ids[1]})
		equal(t, "how many", len(got), 2)
		none, err := tx.MessagesOf(c, store.Outbound, w.now, 10)
		equal(t, "outbound", len(none), 0)
		return err
	})
}

func TestMessagesUnderWayAreThoseThatReceiptsMayMoveOn(t *testing.T) {
	w := newWorld(t)
	c := w.customer("+15551234567")
	var ids []string
	for i, state := range []string{"accepted", "sent", "read", "delivered", "failed"} {
		w.now = start.Add(time.Duration(i) * time.Second)
		id := w.message(c, "m")
		w.update(func(tx *store.Tx) error { return tx.SetMessageState(id, state, w.now) })
		ids = append(ids, id)
	}
	w.view(func(tx *store.Tx) error {
		got, err := tx.MessagesUnderWay(c, store.Inbound, w.now, 10)
		if err != nil {
			return err
		}
		equal(t, "how many", len(got), 2)
		equal(t, "IDs", []string{got[0].ID, got[1].ID}, []string{ids[3], ids[1]})
		early, err := tx.MessagesUnderWay(c, store.Inbound, start.Add(2*time.Second), 10)
		equal(t, "how many up to an earlier time", len(early), 1)
		return err
	})
}

func TestMessage_MissingIsNotReplaced(t *testing.T) {
	w := newWorld(t)
	c := w.customer("+15551234567")
	m := store.Message{ID: "wamid.none", Direction: store.Inbound, Customer: c, Type: "text", State: "read", Created: start}
	wantIs(t, w.Update(t.Context(), func(tx *store.Tx) error { return tx.ReplaceMessage(m) }), store.ErrNotFound)
	m.ID = w.message(c, "m")
	w.update(func(tx *store.Tx) error { return tx.ReplaceMessage(m) })
	m.Direction = store.Outbound
	wantIs(t, w.Update(t.Context(), func(tx *store.Tx) error { return tx.ReplaceMessage(m) }), store.ErrInvalid)
}

func TestCiphertextIsSeenOnce(t *testing.T) {
	w := newWorld(t)
	seen := func(hash byte) (first bool) {
		w.update(func(tx *store.Tx) (err error) {
			first, err = tx.SeenCiphertext([32]byte{hash})
			return err
		})
		return first
	}
	equal(t, "first time", seen(1), true)
	equal(t, "second time", seen(1), false)
	equal(t, "another", seen(2), true)
	w.reopen()
	equal(t, "after reopening", seen(1), false)
	w.pass(25 * time.Hour)
	equal(t, "in the next epoch", seen(1), false)
	w.reopen()
	equal(t, "in the next epoch after reopening", seen(1), false)
}

func TestJobsAreDueInOrderUntilFinished(t *testing.T) {
	w := newWorld(t)
	c := w.customer("+15551234567")
	var ids []int64
	w.update(func(tx *store.Tx) error {
		for i, after := range []time.Duration{time.Hour, 0, time.Minute} {
			id, err := tx.Enqueue(store.Job{
				Queue: "webhook", Customer: c, Message: "wamid.x", NotBefore: start.Add(after), Created: start, Body: []byte{byte(i)},
			})
			if err != nil {
				return err
			}
			ids = append(ids, id)
		}
		_, err := tx.Enqueue(store.Job{Queue: "out", NotBefore: start, Body: []byte("x")})
		return err
	})
	w.reopen()
	due := func(at time.Time) (got []int64) {
		w.view(func(tx *store.Tx) error {
			jobs, err := tx.Due("webhook", at, store.Place{}, 10)
			for _, j := range jobs {
				got = append(got, j.ID)
			}
			return err
		})
		return got
	}
	equal(t, "now", due(start), []int64{ids[1]})
	equal(t, "in an hour", due(start.Add(time.Hour)), []int64{ids[1], ids[2], ids[0]})
	for name, c := range map[string]struct {
		after store.Place
		want  []int64
	}{
		"after a job":                  {store.Place{NotBefore: start.Add(time.Minute), ID: ids[2]}, []int64{ids[0]}},
		"after another job of a time":  {store.Place{NotBefore: start.Add(time.Minute), ID: ids[2] - 1}, []int64{ids[2], ids[0]}},
		"from a time on":               {store.Place{NotBefore: start.Add(time.Minute)}, []int64{ids[2], ids[0]}},
		"after the last":               {store.Place{NotBefore: start.Add(time.Hour), ID: ids[0]}, nil},
		"after a time between theirs":  {store.Place{NotBefore: start.Add(time.Second), ID: ids[2]}, []int64{ids[2], ids[0]}},
		"after an id that is no job's": {store.Place{NotBefore: start, ID: 1 << 40}, []int64{ids[2], ids[0]}},
	} {
		w.view(func(tx *store.Tx) error {
			jobs, err := tx.Due("webhook", start.Add(time.Hour), c.after, 10)
			var got []int64
			for _, j := range jobs {
				got = append(got, j.ID)
			}
			equal(t, name, got, c.want)
			return err
		})
	}
	w.update(func(tx *store.Tx) error {
		if err := tx.Finish(ids[2]); err != nil {
			return err
		}
		return tx.Postpone("webhook", ids[1], start.Add(2*time.Hour), 3)
	})
	equal(t, "after finishing one and postponing one", due(start.Add(3*time.Hour)), []int64{ids[0], ids[1]})
	w.view(func(tx *store.Tx) error {
		jobs, err := tx.Due("webhook", start.Add(3*time.Hour), store.Place{}, 10)
		if err != nil {
			return err
		}
		equal(t, "postponed job", jobs[1], store.Job{
			ID: ids[1], Queue: "webhook", Customer: c, Message: "wamid.x", NotBefore: start.Add(2 * time.Hour),
			Attempts: 3, Created: start, Body: []byte{1},
		})
		n, err := tx.QueueLength("webhook")
		equal(t, "queue length", n, int64(2))
		if err != nil {
			return err
		}
		at, found, err := tx.NextDue("webhook")
		equal(t, "next due", at, start.Add(time.Hour))
		equal(t, "found", found, true)
		return err
	})
}

func TestJobsOfOneCustomerAreReadFromAPlaceOnWithoutThoseThatAreSkipped(t *testing.T) {
	w := newWorld(t)
	a, b := w.customer("+15551234567"), w.customer("+15551234568")
	var ids []int64
	w.update(func(tx *store.Tx) error {
		for i, j := range []store.Job{
			{Queue: "out", Customer: a, NotBefore: start.Add(time.Minute)},
			{Queue: "out", Customer: a, NotBefore: start},
			{Queue: "out", Customer: b, NotBefore: start},
			{Queue: "webhook", Customer: a, NotBefore: start},
			{Queue: "out", NotBefore: start},
			{Queue: "out", Customer: a, NotBefore: start},
			{Queue: "out", Customer: a, NotBefore: start.Add(time.Hour)},
		} {
			j.Body = []byte{byte(i)}
			id, err := tx.Enqueue(j)
			if err != nil {
				return err
			}
			ids = append(ids, id)
		}
		return nil
	})
	skip := func(id int64) func(store.Job) bool {
		return func(j store.Job) bool { return j.ID == id && j.Body == nil }
	}
	place := func(i int, after time.Duration) store.Place {
		return store.Place{NotBefore: start.Add(after), ID: ids[i]}
	}
	for name, c := range map[string]struct {
		wanted store.Wanted
		want   []int
		to     store.Place
	}{
		"all of one":                {store.Wanted{Customer: a, Limit: 10}, []int{1, 5, 0}, place(0, time.Minute)},
		"some":                      {store.Wanted{Customer: a, Limit: 2}, []int{1, 5}, place(5, 0)},
		"after a place":             {store.Wanted{Customer: a, Limit: 10, After: place(1, 0)}, []int{5, 0}, place(0, time.Minute)},
		"after another's":           {store.Wanted{Customer: a, Limit: 1, After: place(4, 0)}, []int{5}, place(5, 0)},
		"after the last":            {store.Wanted{Customer: a, Limit: 1, After: place(0, time.Minute)}, nil, place(0, time.Minute)},
		"the limit after a skipped": {store.Wanted{Customer: a, Limit: 2, Skip: skip(ids[1])}, []int{5, 0}, place(0, time.Minute)},
		"the last one skipped":      {store.Wanted{Limit: 9, Skip: skip(ids[0])}, []int{1, 2, 4, 5}, place(0, time.Minute)},
		"no further than the limit": {store.Wanted{Limit: 3, Skip: skip(ids[5])}, []int{1, 2, 4}, place(4, 0)},
	} {
		w.view(func(tx *store.Tx) error {
			c.wanted.Queue, c.wanted.Now = "out", start.Add(time.Minute)
			jobs, to, err := tx.DueOf(c.wanted)
			var got []int
			for _, j := range jobs {
				got = append(got, int(j.Body[0]))
			}
			equal(t, name, got, c.want)
			equal(t, name+": the place", to, c.to)
			return err
		})
	}
}

func TestJob_SkippedIsNotOpened(t *testing.T) {
	w := newWorld(t)
	w.update(func(tx *store.Tx) error { _, err := tx.Enqueue(store.Job{Queue: "q", NotBefore: start}); return err })
	w.close()
	w.sql(`UPDATE jobs SET sealed = zeroblob(40)`)
	w.open(store.MustExist())
	w.view(func(tx *store.Tx) error {
		jobs, _, err := tx.DueOf(store.Wanted{Queue: "q", Now: start, Limit: 1})
		if err != nil || len(jobs) != 1 || !jobs[0].Damaged {
			t.Errorf("read %+v: %v", jobs, err)
		}
		_, _, err = tx.DueOf(store.Wanted{Queue: "q", Now: start, Limit: 1, Skip: func(store.Job) bool { return true }})
		return err
	})
}

func TestJobIDsAreNeverUsedTwice(t *testing.T) {
	w := newWorld(t)
	enqueue := func() (id int64) {
		w.update(func(tx *store.Tx) (err error) {
			id, err = tx.Enqueue(store.Job{Queue: "q", NotBefore: start})
			return err
		})
		return id
	}
	first := enqueue()
	w.update(func(tx *store.Tx) error { return tx.Finish(first) })
	w.reopen()
	if second := enqueue(); second <= first {
		t.Errorf("job after reopening has ID %d, after %d", second, first)
	}
}

func TestSettingsAreWrittenReplacedAndRemoved(t *testing.T) {
	w := newWorld(t)
	for _, want := range [][]byte{[]byte("1"), []byte("2"), nil} {
		w.update(func(tx *store.Tx) error { return tx.PutSetting("initialized", want) })
		w.view(func(tx *store.Tx) error {
			got, err := tx.Setting("initialized")
			equal(t, "setting", got, want)
			return err
		})
	}
}

func TestDeletedDeviceIsGoneWithItsSession(t *testing.T) {
	w := newWorld(t)
	c := store.Customer{Number: number(t, "+4915200000001")}
	w.update(func(tx *store.Tx) error {
		if err := tx.PutCustomer(&c); err != nil {
			return err
		}
		for _, id := range []carrier.DeviceID{1, 2} {
			if err := tx.PutDevice(c.ID, store.Device{ID: id, Active: true}); err != nil {
				return err
			}
			if err := tx.PutRecord(c.ID, id, []byte("session")); err != nil {
				return err
			}
		}
		return tx.DeleteDevice(c.ID, 1)
	})
	w.update(func(tx *store.Tx) error { return tx.DeleteDevice(c.ID, 1) }) // dropping none is no error
	w.reopen()
	w.update(func(tx *store.Tx) error {
		devices, err := tx.Devices(c.ID)
		if err != nil || len(devices) != 1 || devices[0].ID != 2 {
			t.Errorf("%d devices are left, error %v", len(devices), err)
		}
		gone, err := tx.Record(c.ID, 1)
		if err != nil || gone != nil {
			t.Errorf("its session is %d bytes, error %v", len(gone), err)
		}
		kept, err := tx.Record(c.ID, 2)
		if err != nil || string(kept) != "session" {
			t.Errorf("the other's session is %d bytes, error %v", len(kept), err)
		}
		return nil
	})
}
