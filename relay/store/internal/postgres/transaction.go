package postgres

import (
	"errors"
	"slices"
)

// savepoint begins a savepoint. As long as nothing was run in it, the server does not know of it.
func (c *conn) savepoint() error {
	at := len(c.ahead)
	if err := c.add("SAVEPOINT caller", nil); err != nil {
		return err
	}
	c.mark = at
	return nil
}

// writes says whether the running change has statements that the server does not know yet.
func (c *conn) writes() bool {
	return slices.ContainsFunc(c.ahead[c.mark+1:], func(s step) bool { return s.stmt != nil })
}

// keep ends the savepoint and keeps what was written since.
func (c *conn) keep() error {
	if c.mark >= 0 {
		c.ahead, c.mark = c.ahead[:c.mark], -1
		return nil
	}
	return c.add("RELEASE caller", nil)
}

// undo ends the savepoint and undoes what was written since.
func (c *conn) undo() error {
	if c.broken != nil {
		return c.broken
	}
	c.failed = nil
	if c.mark >= 0 {
		c.ahead, c.mark = c.ahead[:c.mark], -1
		return nil
	}
	c.ahead = c.ahead[:0] // the change's own, which must not fail now
	if err := c.add("ROLLBACK TO caller", nil); err != nil {
		return err
	}
	return c.add("RELEASE caller", nil)
}

// commit ends the transaction. asked says that the server was asked to: if the connection broke
// then, it may have done it or not.
func (c *conn) commit() (asked bool, err error) {
	if !c.sent && !c.written {
		c.ahead = c.ahead[:0]
		return false, nil
	}
	if !c.sent { // what the first exchange checks must be known before the last
		if _, err := c.exchange(step{}, nil); err != nil {
			return false, err
		}
	}
	s, err := c.step("COMMIT", nil)
	if err != nil {
		return false, err
	}
	r, err := c.exchange(s, nil)
	if err == nil && r.tag != "COMMIT" {
		err = errors.New("postgres: the server rolled a transaction back instead of committing it")
	}
	return true, err
}

// rollback ends the transaction and undoes it.
func (c *conn) rollback() error {
	c.ahead, c.mark, c.failed = c.ahead[:0], -1, nil
	if c.sent && c.broken == nil { // else the server knows of none, or has undone it
		_, err := c.run("ROLLBACK")
		return err
	}
	return nil
}

// textDurable has commits wait for the server's log where the server's own setting would not.
const textDurable = `SELECT set_config('synchronous_commit', 'on', false) WHERE current_setting('synchronous_commit') = 'off'`

// ready prepares the statements of which a transaction that failed may have need: the server
// prepares none then.
func (c *conn) ready() error {
	for _, text := range []string{"COMMIT", "ROLLBACK", "SAVEPOINT caller", "RELEASE caller", "ROLLBACK TO caller"} {
		if _, err := c.step(text, nil); err != nil {
			return err
		}
	}
	_, err := c.run(textDurable)
	return err
}
