package xmpp

import (
	"fmt"
	"testing"
)

// TestHeld_WhatThereIsNoRoomForIsLeftToTheArchive: a message that overtakes others cannot be opened any more, so none does.
func TestHeld_WhatThereIsNoRoomForIsLeftToTheArchive(t *testing.T) {
	var h held
	id := func(i int) item { return item{archive: fmt.Sprint("live-", i), size: 1} }
	h.begin()
	for i := range maxHeld + 3 { // before it is known where the archive ends
		if !h.hold(id(i)) {
			t.Fatalf("message %d is not held back", i)
		}
	}
	h.waitFor("old-2")
	if h.hold(item{}) {
		t.Error("a message that the archive does not have is held back")
	}
	for _, came := range []string{"old-1", "old-2"} {
		h.came(came)
	}
	if h.enough() || !h.owes() {
		t.Error("the archive has brought what it had, but not what was dropped")
	}
	for i := range maxHeld + 2 {
		h.came(id(i).archive)
	}
	if !h.hold(id(maxHeld+3)) || h.enough() {
		t.Error("what arrives after a message that was dropped overtakes it")
	}
	for i := range 2 {
		h.came(id(maxHeld + 2 + i).archive)
	}
	if !h.enough() || h.owes() {
		t.Error("the archive has brought everything, and more is waited for")
	}
	if !h.hold(id(maxHeld + 4)) {
		t.Error("what arrives before the rest is released is not held back")
	}
	if rest := h.end(); len(rest) != 1 || rest[0].archive != id(maxHeld+4).archive {
		t.Errorf("%d messages are released, want the last alone", len(rest))
	}
}
