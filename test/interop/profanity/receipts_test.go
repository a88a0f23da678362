package profanity

import "testing"

// What Profanity 0.13.1 shows under tmux 3.3a.
func TestReceiptsAreReadFromTheScreensColours(t *testing.T) {
	const (
		title    = "\x1b[37m\x1b[44m +4930111111@relay.test \x1b[36m[\x1b[37mOMEMO\x1b[36m]\x1b[37m  \n\x1b[39m\x1b[49m"
		received = "21:38:17 ~ \x1b[33mme: \x1b[39mhello\n"
		info     = "21:38:17 - *+4930111111@relay.test Authorization request\n"
		awaited  = "21:38:17 ~ \x1b[31mme: hello again\n\x1b[39m"
		theirs   = "21:38:18 ~ \x1b[35m+4930111111: \x1b[39mme: too\n"
		status   = "\n\x1b[37m\x1b[44m \x1b[36m[\x1b[37m21:38\x1b[36m]\n"
	)
	for screen, want := range map[string][2]int{
		title + info + theirs + status:                                   {0, 0},
		title + received + info + status:                                 {1, 0},
		title + received + info + awaited + status:                       {2, 1},
		title + awaited + awaited + theirs + received + awaited + status: {4, 3},
		"21:38:17 ~ \x1b[31mme: one\n\x1b[0m21:38:17 ~ \x1b[1;31mme: two\n\x1b[m21:38:17 ~ \x1b[38;5;31mme: three\n": {3, 2},
	} {
		if sent, missing := unreceived(screen); sent != want[0] || missing != want[1] {
			t.Errorf("%q: %d sent, %d missing, want %v", screen, sent, missing, want)
		}
	}
}
