package forensic

import (
	"bytes"
	"context"
	"database/sql"
	"errors"
	"fmt"
	"time"

	"github.com/relaykeep/relaykeep/cmd/kubectl-relay/scan"
	"github.com/relaykeep/relaykeep/relay/seal"
	"github.com/relaykeep/relaykeep/relay/store"
)

// Content is what a copy of a volume says with every key that Vault has.
type Content struct {
	// Secrets names what of the secrets stands in it, and how often it was found.
	Secrets map[string]int
	// Messages, Jobs and Files are how many rows were looked at. Lost is how many messages and jobs say that
	// their content is nowhere on the volume, Whole how many files can be read.
	Messages, Jobs, Files, Lost, Whole int
	// Ciphertexts is how many messages hold what went over the wire, which an earlier state of its session opens.
	Ciphertexts int
}

// Say looks for secrets in all that a copy says: in its bytes, and in every message, job, file and setting that
// Vault's root can open. Dir is for its own files.
func (w Witness) Say(ctx context.Context, c Copy, dir string, secrets ...scan.Secret) (said Content, err error) {
	r, err := w.Restore(ctx, c, dir)
	if err != nil {
		return said, err
	}
	defer func() { err = errors.Join(err, r.Close()) }()
	l := glance{said: Content{Secrets: map[string]int{}}}
	if l.scanner, err = scan.New(secrets...); err != nil {
		return said, err
	}
	l.messages(ctx, r)
	l.jobs(ctx, r, c.Dir)
	l.files(ctx, r, c.Dir)
	l.settings(ctx, r)
	l.count(l.scanner.Tree(c.Dir))
	l.count(l.scanner.Reader("what was opened", &l.opened))
	return l.said, errors.Join(l.wrong...)
}

// glance collects what a copy says.
type glance struct {
	scanner *scan.Scanner
	opened  bytes.Buffer
	said    Content
	wrong   []error
}

func (l *glance) count(found scan.Result, err error) {
	for _, f := range found.Findings {
		l.said.Secrets[f.Secret]++
	}
	if err != nil {
		l.wrong = append(l.wrong, err)
	}
}

func (l *glance) read(data ...[]byte) {
	for _, d := range data {
		l.opened.Write(append(bytes.Clone(d), '\n'))
	}
}

func (l *glance) failed(what string, err error) {
	if err != nil && !errors.Is(err, store.ErrNotFound) && !errors.Is(err, seal.ErrErased) {
		l.wrong = append(l.wrong, fmt.Errorf("%s: %w", what, err))
	}
}

func (l *glance) messages(ctx context.Context, r *Restored) {
	l.failed("reading messages", r.store.View(ctx, func(t *store.Tx) error {
		_, err := t.EachMessage(0, 0, func(m store.Message) error {
			l.said.Messages++
			if m.Lost {
				l.said.Lost++
			}
			if bytes.Contains(m.Body, []byte(`"envelope":{`)) {
				l.said.Ciphertexts++
			}
			l.read(m.Body, []byte(m.Opaque), []byte(m.Type), []byte(m.CarrierID))
			return nil
		})
		return err
	}))
}

func (l *glance) jobs(ctx context.Context, r *Restored, dir string) {
	var queues []string
	l.failed("listing queues", query(ctx, dir, `SELECT DISTINCT queue FROM jobs`, func(rows *sql.Rows) error {
		var name string
		err := rows.Scan(&name)
		queues = append(queues, name)
		return err
	}))
	l.failed("reading jobs", r.store.View(ctx, func(t *store.Tx) error {
		for _, name := range queues {
			jobs, err := t.Due(name, time.Now().AddDate(1, 0, 0), store.Place{}, 1<<20)
			if err != nil {
				return err
			}
			for _, j := range jobs {
				l.said.Jobs++
				if j.Lost {
					l.said.Lost++
				}
				l.read(j.Body)
			}
		}
		return nil
	}))
}

func (l *glance) files(ctx context.Context, r *Restored, dir string) {
	all, err := rows(ctx, dir)
	l.failed("listing files", err)
	for _, row := range all {
		if row.kind == message {
			continue
		}
		l.failed("reading a file", r.store.View(ctx, func(t *store.Tx) error {
			if row.kind == label {
				l.said.Files++
				m, err := t.Media(row.ID)
				if err == nil {
					l.said.Whole++
				}
				l.read([]byte(m.Name), []byte(m.MIME), m.SHA256[:])
				return err
			}
			piece, err := t.ReadMedia(row.ID, row.place)
			l.read(piece)
			return err
		}))
	}
}

func (l *glance) settings(ctx context.Context, r *Restored) {
	all, err := r.Settings(ctx)
	l.failed("reading settings", err)
	for _, value := range all {
		l.read(value)
	}
}
