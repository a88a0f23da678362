package store

// sealedKey is a pre-key's row as it is stored.
type sealedKey struct {
	kind, id, epoch, created int64
	sealed                   []byte
}

func (s *sealedKey) scan(r row) error {
	r.numbers(&s.kind, &s.id, &s.epoch, &s.created)
	s.sealed = r.octets(4)
	return nil
}

func (s *sealedKey) identity() []byte { return rowOf(s.kind, s.id, s.created) }

// kept is what a pre-key's row holds in the clear.
func (s *sealedKey) kept() []byte { return rowOf(s.kind, s.id, s.epoch, s.created) }
