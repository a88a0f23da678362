package serve

import "testing"

func TestRoomForFiles_LeavesAnEighthToMessagesAndAtMostAGibibyte(t *testing.T) {
	const mib, gib = int64(1 << 20), int64(1 << 30)
	for _, c := range []struct {
		free, volume int64
		want         bool
	}{
		{free: 129 * mib, volume: gib, want: true},
		{free: 128 * mib, volume: gib, want: false},
		{free: gib + 1, volume: 8 * gib, want: true},
		{free: gib, volume: 8 * gib, want: false},
		{free: 30 * gib, volume: 252 * gib, want: true},
		{free: gib, volume: 252 * gib, want: false},
		{free: 0, volume: 0, want: false},
	} {
		if got := leavesRoom(c.free, c.volume); got != c.want {
			t.Errorf("%d bytes free of %d: room is %v, want %v", c.free, c.volume, got, c.want)
		}
	}
}
