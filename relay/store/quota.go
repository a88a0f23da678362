package store

// One customer may use this share of the volume: an eighth. It has no lower or upper bound,
// since it is the most that the others can lose.
const quotaShare = 8

// rowCost is roughly how many bytes a row takes in addition to its sealed value: columns and
// indexes.
const rowCost = 256

// maxUsages is how many customers' use is remembered.
const maxUsages = 1 << 14

// textUse sums up what a customer uses. SQLite gets a value's length without reading the
// value.
const textUse = `SELECT
	(SELECT coalesce(sum(length(sealed) + 256), 0) FROM messages WHERE customer = ?1) +
	(SELECT coalesce(sum(length(sealed) + 256), 0) FROM jobs WHERE customer = ?1) +
	(SELECT coalesce(sum(length(c.sealed) + 256), 0) FROM media m JOIN media_chunks c ON c.media = m.id WHERE m.customer = ?1)`

// Quota returns ErrQuota when a customer has used up their share of the volume: their
// messages in both directions, their jobs, and the files that BeginMedia gave to them.
func (t *Tx) Quota(c CustomerID) error {
	if !t.writes {
		return ErrReadOnly
	}
	if t.owed || c == 0 {
		return nil
	}
	volume, held := t.conn.Usage()
	share := volume / quotaShare
	if share == 0 || held <= share {
		return nil // all customers together use less
	}
	used, err := t.usedBy(c)
	if err == nil && used > share {
		err = ErrQuota
	}
	return err
}

// Owed lifts the quota for the rest of the update: for what follows from something that was
// accepted before, and for telling that something was refused.
func (t *Tx) Owed() { t.owed = true }

// usedBy counts what a customer uses the first time, and then keeps the count up to date.
func (t *Tx) usedBy(c CustomerID) (int64, error) {
	if t.conn == nil {
		return 0, errEnded
	}
	var pending int64
	for _, u := range t.uses {
		if u.customer == c {
			pending = u.bytes
		}
	}
	if base, ok := t.shared.usage[c]; ok {
		return base + pending, nil
	}
	used, err := t.integer(textUse, int64(c))
	if err != nil {
		return 0, err
	}
	if len(t.shared.usage) >= maxUsages {
		clear(t.shared.usage)
	}
	t.shared.usage[c] = used - pending
	return used, nil
}

// use notes that a customer uses more, or less.
func (t *Tx) use(c CustomerID, bytes int64) {
	if c == 0 {
		return
	}
	for i := range t.uses {
		if t.uses[i].customer == c {
			t.uses[i].bytes += bytes
			return
		}
	}
	t.uses = append(t.uses, use{c, bytes})
}

// adds notes a new row of a customer and returns ErrQuota when it is too much.
func (t *Tx) adds(c CustomerID, sealed []byte) error {
	t.use(c, int64(len(sealed))+rowCost)
	return t.Quota(c)
}

// used adopts what an update came to use. Only if rows were deleted unseen is everybody
// counted again: counting takes longer the more rows a customer has, and others wait for it.
func (s *shared) used(t *Tx) {
	if t.recount {
		clear(s.usage)
		return
	}
	for _, u := range t.uses {
		if base, ok := s.usage[u.customer]; ok {
			s.usage[u.customer] = base + u.bytes
		}
	}
}

// finishes notes that a job is removed.
func (t *Tx) finishes(job int64) error {
	if len(t.shared.usage) == 0 {
		return nil
	}
	_, err := t.first(`SELECT coalesce(customer, 0), length(sealed) FROM jobs WHERE id = ?`, func(r row) error {
		var c, length int64
		r.numbers(&c, &length)
		t.use(CustomerID(c), -length-rowCost)
		return nil
	}, job)
	return err
}

// textFrees sums up what the last chunks of a file take.
const textFrees = `SELECT coalesce(m.customer, 0),
	(SELECT coalesce(sum(length(sealed) + 256), 0) FROM
		(SELECT sealed FROM media_chunks WHERE media = m.id ORDER BY place DESC LIMIT ?2) AS last)
	FROM media m WHERE m.id = ?1`

// frees notes that so many of a file's last chunks are removed.
func (t *Tx) frees(media, limit int64) error {
	if len(t.shared.usage) == 0 {
		return nil
	}
	_, err := t.first(textFrees, func(r row) error {
		var c, bytes int64
		r.numbers(&c, &bytes)
		t.use(CustomerID(c), -bytes)
		return nil
	}, media, limit)
	return err
}

// Waiting counts a customer's jobs in a queue, up to a limit.
func (t *Tx) Waiting(c CustomerID, queue string, limit int) (int64, error) {
	return t.integer(`SELECT count(*) FROM (SELECT 1 FROM jobs WHERE customer = ? AND queue = ? LIMIT ?) AS waiting`, int64(c), queue, int64(limit))
}
