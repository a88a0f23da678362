package xmpp

import (
	"fmt"
	"testing"
)

// room is for how many messages there is room in these tests.
const room = 100

// TestHeld_WhatThereIsNoRoomForIsLeftToTheArchive: a message that overtakes others cannot be opened any more, so none does.
func TestHeld_WhatThereIsNoRoomForIsLeftToTheArchive(t *testing.T) {
	h := held{most: room}
	id := func(i int) item { return item{archive: fmt.Sprint("live-", i), size: 1} }
	unfinished := func(when, owed string, noMore bool) {
		t.Helper()
		if rest, done := h.finish(owed, noMore); done || len(rest) > 0 {
			t.Errorf("%s it ends with %d messages", when, len(rest))
		}
	}
	h.begin()
	for i := range room + 3 { // before it is known where the archive ends
		if !h.hold(id(i)) {
			t.Fatalf("message %d is not held back", i)
		}
	}
	h.waitFor("old-2")
	if h.hold(item{}) {
		t.Error("a message that the archive does not have is held back")
	}
	h.came("old-1")
	unfinished("before the archive has brought what it had", h.owing(), false)
	h.came("old-2")
	unfinished("before the archive has brought what was dropped", h.owing(), false)
	for i := range room + 2 {
		h.came(id(i).archive)
	}
	owed := h.owing()
	if !h.hold(id(room + 3)) {
		t.Error("what arrives after a message that was dropped overtakes it")
	}
	unfinished("when more was dropped during the last page", owed, true)
	h.came(id(room + 2).archive)
	h.came(id(room + 3).archive)
	if !h.hold(id(room + 4)) {
		t.Error("what arrives before the end is not held back")
	}
	rest, done := h.finish("", false)
	if done || len(rest) != 1 || rest[0].archive != id(room+4).archive {
		t.Errorf("%d messages are released, want the last alone", len(rest))
	}
	if !h.hold(id(room + 5)) {
		t.Error("what arrives while the rest is passed on overtakes it")
	}
	if rest, done = h.finish("", false); done || len(rest) != 1 {
		t.Errorf("then %d messages are released, want 1", len(rest))
	}
	if rest, done = h.finish("", false); !done || len(rest) > 0 || h.hold(id(room+6)) {
		t.Error("it does not end")
	}
}

// TestHeld_WhatTheArchiveBroughtBeforeIsNotWaitedFor: servers send messages again that were not acknowledged.
func TestHeld_WhatTheArchiveBroughtBeforeIsNotWaitedFor(t *testing.T) {
	h := held{most: room}
	h.begin()
	h.waitFor("old")
	h.came("old")
	for i := range room + 1 {
		h.hold(item{archive: fmt.Sprint(i)})
	}
	if rest, done := h.finish(h.owing(), true); done || len(rest) != room {
		t.Errorf("%d messages are released, want %d", len(rest), room)
	}
	if _, done := h.finish("", true); !done {
		t.Error("it does not end")
	}
}
