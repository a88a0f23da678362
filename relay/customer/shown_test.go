package customer

import (
	"strconv"
	"testing"

	"github.com/relaykeep/relaykeep/relay/carrier"
	"github.com/relaykeep/relaykeep/relay/phone"
)

func TestShown_ComparesTextIDAndPeer(t *testing.T) {
	bob, err := phone.Parse("+15550102222")
	if err != nil {
		t.Fatal(err)
	}
	eve, err := phone.Parse("+15550103333")
	if err != nil {
		t.Fatal(err)
	}
	var s shown
	for _, c := range []struct {
		from     phone.Number
		id, text string
		want     bool
	}{
		{bob, "1", "yes", false},
		{bob, "1", "yes", true},
		{bob, "1", "no", false},
		{bob, "2", "yes", false},
		{eve, "1", "yes", false},
		{bob, "1", "yes", true},
		{bob, "", "yes", false},
		{bob, "", "yes", false},
	} {
		if got := s.again(carrier.Message{From: c.from, ID: c.id}, []byte(c.text)); got != c.want {
			t.Errorf("%q under id %q: shown before is %v, want %v", c.text, c.id, got, c.want)
		}
	}
}

func TestShown_RemembersTheLatestMessagesOnly(t *testing.T) {
	var s shown
	for i := range 3 * maxShown {
		if s.again(carrier.Message{ID: strconv.Itoa(i)}, nil) {
			t.Errorf("message %d was shown before", i)
		}
		if !s.again(carrier.Message{ID: strconv.Itoa(max(0, i-maxShown+1))}, nil) {
			t.Errorf("at message %d the earliest of the latest is forgotten", i)
		}
	}
	if len(s.known) != maxShown {
		t.Errorf("%d messages are remembered, want %d", len(s.known), maxShown)
	}
}
