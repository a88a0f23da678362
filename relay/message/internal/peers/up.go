package peers

// LinkUp notes that the link is up, and says whether what the carrier has of ours may be
// out of date. Our keys are published then.
func (s *Peers) LinkUp(resumed bool) (outdated bool) {
	s.link.connected(resumed)
	if !resumed {
		s.mu.Lock()
		clear(s.fetched)
		s.mu.Unlock()
	}
	if outdated = s.owed.Swap(false) || !resumed; outdated {
		s.PublishSoon()
	}
	return outdated
}

// CaughtUp notes that everything was read that the carrier had kept.
func (s *Peers) CaughtUp() { s.link.caught() }

// Reachable says whether it is worth while to try the carrier now.
func (s *Peers) Reachable() bool { return s.link.usable() }

// LinkName names the present link, for LinkFailed.
func (s *Peers) LinkName() int { return s.link.now() }

// LinkFailed notes that the link of that name was found to be down, and has probe called
// when it is worth while to try again.
func (s *Peers) LinkFailed(name int, probe func()) { s.link.failed(name, probe) }
