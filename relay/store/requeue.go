package store

import (
	"errors"

	"github.com/relaykeep/relaykeep/relay/seal"
)

// JobOf returns one job of a queue, or ErrNotFound. One whose row is damaged has no Body.
func (t *Tx) JobOf(queue string, id int64) (Job, error) {
	s, err := t.findJob(queue, id)
	if err != nil {
		return Job{}, err
	}
	job := s.closed()
	_, err = t.openJob(&s, &job)
	if errors.Is(err, seal.ErrTampered) {
		job.Body, err, job.Damaged = nil, nil, true
	}
	return job, err
}

// Requeue moves a job from one queue into j.Queue, with j's NotBefore, Attempts and Body. What else j has is
// not looked at but its ID: the job keeps its customer, message and Created, and its epoch, so that it does
// not live longer than before. It returns ErrNotFound when the queue has no such job.
func (t *Tx) Requeue(from string, j Job) error {
	err := t.allow(identifier(j.Queue), len(j.Body) <= MaxBody, !j.NotBefore.IsZero(), j.Attempts >= 0)
	if err != nil {
		return err
	}
	s, err := t.findJob(from, j.ID)
	if err != nil {
		return err
	}
	before, key := len(s.sealed), int64(0)
	if t.shared.memory != nil {
		if key, err = t.openJob(&s, &Job{ID: s.id}); err != nil && !errors.Is(err, seal.ErrTampered) {
			return err
		}
	}
	s.queue = j.Queue
	body, err := t.shared.memory.job(s.id, j.Queue, j.Body, key)
	if err != nil {
		return err
	}
	s.sealed, err = t.shared.keys.SealIn(s.epoch, purposeJob, s.identity(), body)
	if errors.Is(err, seal.ErrErased) {
		return errors.Join(ErrNotFound, err)
	}
	if err != nil {
		return err
	}
	t.use(CustomerID(s.customer), int64(len(s.sealed)-before))
	_, err = t.run(`UPDATE jobs SET queue = ?, not_before = ?, attempts = ?, sealed = ? WHERE id = ?`,
		s.queue, toMillis(j.NotBefore), int64(j.Attempts), s.sealed, s.id)
	if err == nil {
		t.hot().forgetQueued(CustomerID(s.customer))
		t.queueChanged(s.queue)
	}
	return err
}

// findJob returns the row of a queue's job, or ErrNotFound.
func (t *Tx) findJob(queue string, id int64) (s sealedJob, err error) {
	found, err := t.first(`SELECT `+jobColumns+` FROM jobs WHERE id = ? AND queue = ?`, s.scan, id, queue)
	if err == nil && !found {
		err = ErrNotFound
	}
	return s, err
}
