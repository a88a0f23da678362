package postgres_test

import (
	"context"
	"database/sql/driver"
	"errors"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/relaykeep/relaykeep/relay/store/internal/engine"
	"github.com/relaykeep/relaykeep/relay/store/internal/postgres"
	"github.com/relaykeep/relaykeep/test/lab/authority"
	server "github.com/relaykeep/relaykeep/test/services/postgres"
)

// hook is a group that calls a function right before each commit.
type hook struct {
	mu     sync.Mutex // guards the following fields
	before func()
	write  string // a key that each group writes; empty: none
}

func (h *hook) Commit(tx engine.Tx) error {
	h.mu.Lock()
	defer h.mu.Unlock()
	if h.before != nil {
		h.before()
		h.before = nil
	}
	if h.write == "" {
		return nil
	}
	return tx.Write(`INSERT INTO meta (key, value) VALUES (?, ?)`, h.write, []byte{1})
}

func (*hook) Ended(error) {}

// next sets what is called before the next commit.
func (h *hook) next(before func()) {
	h.mu.Lock()
	defer h.mu.Unlock()
	h.before = before
}

func open(t *testing.T, f postgres.Config, g engine.Group) *postgres.DB {
	t.Helper()
	db, err := postgres.Open(t.Context(), f, g)
	if err != nil {
		t.Fatalf("opening: %v", err)
	}
	t.Cleanup(func() { _ = db.Close() })
	return db
}

func put(db engine.Database, key string) error {
	return db.Begin(context.Background(), engine.Change{
		Do: func(tx engine.Tx) error {
			_, err := tx.Run(`INSERT INTO meta (key, value) VALUES (?, ?)`, key, []byte(key))
			return err
		},
		Kept: func() {},
	})()
}

func keys(t *testing.T, db engine.Database) (found []string) {
	t.Helper()
	err := db.View(t.Context(), func(tx engine.Tx) error {
		return tx.Rows(`SELECT key FROM meta ORDER BY key`, func(row []driver.Value) error {
			key, _ := row[0].(string)
			found = append(found, key)
			return nil
		})
	})
	if err != nil {
		t.Fatalf("reading: %v", err)
	}
	return found
}

func wantKeys(t *testing.T, db engine.Database, want ...string) {
	t.Helper()
	if found := keys(t, db); !slices.Equal(found, want) {
		t.Errorf("durable are %q, want %q", found, want)
	}
}

func wantIs(t *testing.T, err, target error) {
	t.Helper()
	if !errors.Is(err, target) {
		t.Errorf("the error is %v, want %v", err, target)
	}
}

// A commit whose answer is lost happened, or it did not: the change says which.
func TestCommit_WhoseAnswerIsLostIsResolved(t *testing.T) {
	s := shared(t)
	restart := func() {
		s.Kill()
		if err := s.Start(context.Background()); err != nil {
			t.Errorf("starting the server again: %v", err)
		}
	}
	for _, c := range []struct {
		name    string
		way     server.Way
		do      func()
		durable bool
	}{
		{"the server did not get it", server.ToServer, nil, false},
		{"the server has done it", server.ToClient, nil, true},
		{"the server was killed before it", server.ToServer, restart, false},
		{"the server was killed after it", server.ToClient, restart, true},
	} {
		t.Run(c.name, func(t *testing.T) {
			p := newPlace(t, s)
			proxy := server.StartProxyT(t, p.Address)
			f, h := p.config(), new(hook)
			f.Address = proxy.Addr
			db := open(t, f, h)
			if err := put(db, "before"); err != nil {
				t.Fatal(err)
			}
			h.next(func() { proxy.Break(c.way, c.do) })
			err := put(db, "lost")
			if c.durable && err != nil {
				t.Errorf("a change that was committed returned %v", err)
			}
			if !c.durable {
				wantIs(t, err, engine.ErrUnreachable)
			}
			if err := put(db, "thereafter"); err != nil {
				t.Errorf("the next change returned %v", err)
			}
			want := []string{"before", "lost", "thereafter"}
			if !c.durable {
				want = []string{"before", "thereafter"}
			}
			wantKeys(t, db, want...)
		})
	}
}

// Whenever the server dies: what was acknowledged is there, and what failed is not.
func TestServer_KilledAtAnyMomentLosesNothing(t *testing.T) {
	s := shared(t)
	p := newPlace(t, s)
	db := open(t, p.config(), new(hook))
	var mu sync.Mutex // guards the following
	acknowledged, failed := map[string]bool{}, map[string]bool{}
	ctx, stop := context.WithCancel(t.Context())
	var group sync.WaitGroup
	for writer := range 8 {
		group.Go(func() {
			for n := 0; ctx.Err() == nil; n++ {
				key := fmt.Sprintf("%d.%d", writer, n)
				err := put(db, key)
				mu.Lock()
				if err == nil {
					acknowledged[key] = true
				} else {
					failed[key] = true
				}
				mu.Unlock()
			}
		})
	}
	count := func() int { mu.Lock(); defer mu.Unlock(); return len(acknowledged) }
	for round := range 5 {
		for goal := count() + 50 + 37*round; count() < goal; {
			select {
			case <-time.After(time.Millisecond):
			case <-t.Context().Done():
				t.Fatal("nothing is acknowledged any more")
			}
		}
		s.Kill()
		if err := s.Start(t.Context()); err != nil {
			t.Fatal(err)
		}
	}
	stop()
	group.Wait()
	there := map[string]bool{}
	for _, key := range keys(t, db) {
		there[key] = true
		if failed[key] {
			t.Errorf("%s failed and is there", key)
		}
	}
	for key := range acknowledged {
		if !there[key] {
			t.Errorf("%s was acknowledged and is not there", key)
		}
	}
	t.Logf("%d were acknowledged, %d failed", len(acknowledged), len(failed))
}

func TestServer_RestartedWhileNothingWasWrittenCostsNoChange(t *testing.T) {
	s := shared(t)
	p := newPlace(t, s)
	db := open(t, p.config(), new(hook))
	if err := put(db, "a"); err != nil {
		t.Fatal(err)
	}
	wantKeys(t, db, "a")
	s.Stop()
	if err := s.Start(t.Context()); err != nil {
		t.Fatal(err)
	}
	postgres.Quiet(db)
	if err := put(db, "b"); err != nil {
		t.Errorf("the first change returned %v", err)
	}
	wantKeys(t, db, "a", "b")
}

// A writer that others took over from has been stalled: it believes that the term is its own.
func TestWriter_WithAFormerTermWritesNothing(t *testing.T) {
	s := shared(t)
	for _, within := range []bool{false, true} {
		t.Run(fmt.Sprintf("within a group %t", within), func(t *testing.T) {
			p := newPlace(t, s)
			old := open(t, p.config(), new(hook))
			if err := put(old, "a"); err != nil {
				t.Fatal(err)
			}
			stalled, resume := make(chan struct{}), make(chan struct{})
			done := make(chan error, 1)
			go func() {
				done <- old.Begin(t.Context(), engine.Change{
					Do: func(tx engine.Tx) error {
						write := func() error {
							_, err := tx.Run(`INSERT INTO meta (key, value) VALUES ('stale', ?)`, []byte{})
							return err
						}
						if within {
							if err := write(); err != nil {
								return err
							}
						}
						close(stalled)
						<-resume
						if !within {
							return write()
						}
						return nil
					},
					Kept: func() {},
				})()
			}()
			<-stalled
			young := open(t, p.config().WithSilence(time.Nanosecond), new(hook))
			if err := put(young, "b"); err != nil {
				t.Errorf("the writer that took over: %v", err)
			}
			close(resume)
			if err := <-done; err == nil {
				t.Error("the stalled change was acknowledged")
			}
			wantIs(t, put(old, "c"), engine.ErrFenced)
			wantIs(t, put(old, "d"), engine.ErrFenced)
			wantKeys(t, young, "a", "b")
			if _, err := postgres.Open(t.Context(), p.config(), new(hook)); !errors.Is(err, engine.ErrLocked) {
				t.Errorf("a third: %v", err)
			}
		})
	}
}

// Its first word with the server is the one that would commit.
func TestWriter_WithAFormerTermDoesNotCommitWhatIsTheGroups(t *testing.T) {
	p := newPlace(t, shared(t))
	h := new(hook)
	old := open(t, p.config(), h)
	young := open(t, p.config().WithSilence(time.Nanosecond), new(hook))
	if err := put(young, "a"); err != nil {
		t.Fatal(err)
	}
	postgres.Revive(t.Context(), old)
	h.next(func() { h.write = "stale" })
	err := old.Begin(t.Context(), engine.Change{Do: func(engine.Tx) error { return nil }, Kept: func() {}})()
	wantIs(t, err, engine.ErrFenced)
	wantKeys(t, young, "a")
}

func TestWriter_ThatLostItsTermLearnsWhatBecameOfItsLastGroup(t *testing.T) {
	s := shared(t)
	for way, durable := range map[server.Way]bool{server.ToServer: false, server.ToClient: true} {
		t.Run(fmt.Sprintf("durable %t", durable), func(t *testing.T) {
			p := newPlace(t, s)
			proxy := server.StartProxyT(t, p.Address)
			f, h := p.config(), new(hook)
			f.Address = proxy.Addr
			old := open(t, f, h)
			release := proxy.Hold() // no new connection of the old one before it has lost its term
			defer release()
			h.next(func() {
				proxy.Break(way, func() {
					defer release()
					young, err := postgres.Open(t.Context(), p.config().WithSilence(time.Nanosecond), new(hook))
					if err != nil {
						t.Errorf("taking over: %v", err)
						return
					}
					t.Cleanup(func() { _ = young.Close() })
				})
			})
			err := put(old, "a")
			if durable && err != nil {
				t.Errorf("a change that was committed returned %v", err)
			}
			if !durable {
				wantIs(t, err, engine.ErrFenced)
			}
			wantIs(t, put(old, "b"), engine.ErrFenced)
		})
	}
}

// An earlier state of the server's files is put in place beneath a running relay.
func TestDatabase_PutBackBeneathAWriterIsNoticed(t *testing.T) {
	s := shared(t)
	p := newPlace(t, s)
	db := open(t, p.config(), new(hook))
	if err := put(db, "a"); err != nil {
		t.Fatal(err)
	}
	birth := db.Birth()
	saved := filepath.Join(t.TempDir(), "saved")
	s.Stop()
	copyAll(t, filepath.Join(s.Dir, "data"), saved)
	if err := s.Start(t.Context()); err != nil {
		t.Fatal(err)
	}
	postgres.Quiet(db)
	if err := put(db, "b"); err != nil {
		t.Fatal(err)
	}
	s.Stop()
	if err := os.RemoveAll(filepath.Join(s.Dir, "data")); err != nil {
		t.Fatal(err)
	}
	copyAll(t, saved, filepath.Join(s.Dir, "data"))
	if err := s.Start(t.Context()); err != nil {
		t.Fatal(err)
	}
	postgres.Quiet(db)
	wantIs(t, put(db, "c"), engine.ErrRolledBack)
	wantIs(t, put(db, "d"), engine.ErrRolledBack)
	if err := db.Close(); err != nil {
		t.Fatal(err)
	}
	again := open(t, p.config(), new(hook))
	wantKeys(t, again, "a")
	if again.Birth() == birth {
		t.Error("it does not count as restored")
	}
}

// anotherCA returns the certificate of an authority that signed no server's.
func anotherCA(t *testing.T) []byte {
	t.Helper()
	a, err := authority.Open(t.TempDir())
	if err != nil {
		t.Fatal(err)
	}
	return []byte(a.PEM())
}

func copyAll(t *testing.T, from, to string) {
	t.Helper()
	if out, err := exec.CommandContext(t.Context(), "cp", "-a", from, to).CombinedOutput(); err != nil {
		t.Fatalf("copying: %v: %s", err, out)
	}
}

func TestDatabase_CopiedIsBornAgain(t *testing.T) {
	s := shared(t)
	for name, change := range map[string]func(*testing.T, *place) *place{
		"copied to another": func(t *testing.T, p *place) *place {
			to := newPlace(t, s)
			for _, text := range []string{
				`DROP DATABASE ` + to.Name, `CREATE DATABASE ` + to.Name + ` OWNER ` + to.Name + ` TEMPLATE ` + p.Name,
			} {
				if _, err := s.Query(t.Context(), server.Superuser, text); err != nil {
					t.Fatal(err)
				}
			}
			to.query(`REASSIGN OWNED BY ` + p.Name + ` TO ` + to.Name)
			return to
		},
		"marked by hand": func(t *testing.T, p *place) *place {
			p.query(`UPDATE relaykeep.engine SET place = ''`)
			return p
		},
	} {
		t.Run(name, func(t *testing.T) {
			p := newPlace(t, s)
			db := open(t, p.config(), new(hook))
			birth := db.Birth()
			if err := db.Close(); err != nil {
				t.Fatal(err)
			}
			if again := open(t, change(t, p).config(), new(hook)).Birth(); again == birth {
				t.Error("it has the same birth")
			}
		})
	}
}

func TestOpen_SaysWhatToDo(t *testing.T) {
	s := shared(t)
	other := newPlace(t, s)
	for name, c := range map[string]struct {
		prepare func(*place, *postgres.Config)
		want    error
	}{
		"read-only": {func(p *place, _ *postgres.Config) {
			p.query(`ALTER ROLE ` + p.Name + ` SET default_transaction_read_only = on`)
		}, engine.ErrStandby},
		"no connection": {func(p *place, _ *postgres.Config) { p.query(`ALTER ROLE ` + p.Name + ` CONNECTION LIMIT 0`) }, engine.ErrBusy},
		"not the owner": {func(p *place, _ *postgres.Config) {
			p.query(`ALTER DATABASE ` + p.Name + ` OWNER TO postgres; GRANT CONNECT ON DATABASE ` + p.Name + ` TO ` + p.Name)
		}, engine.ErrRights},
		"wrong password":           {func(p *place, _ *postgres.Config) { p.Password = "wrong" }, engine.ErrDenied},
		"no such database":         {func(_ *place, f *postgres.Config) { f.Database = "nowhere" }, engine.ErrDenied},
		"another's":                {func(_ *place, f *postgres.Config) { f.Database = other.Name }, engine.ErrDenied},
		"another authority":        {func(_ *place, f *postgres.Config) { f.CA = anotherCA(t) }, engine.ErrCertificate},
		"the system's authorities": {func(_ *place, f *postgres.Config) { f.CA = nil }, engine.ErrCertificate},
		"another host":             {func(p *place, f *postgres.Config) { f.Address = "localhost" + p.Address[len("127.0.0.1"):] }, engine.ErrCertificate},
		"nobody there":             {func(_ *place, f *postgres.Config) { f.Address = "127.0.0.1:1" }, engine.ErrUnreachable},
	} {
		t.Run(name, func(t *testing.T) {
			p := newPlace(t, s)
			f := p.config()
			c.prepare(p, &f)
			db, err := postgres.Open(t.Context(), f, new(hook))
			wantIs(t, err, c.want)
			if err == nil {
				_ = db.Close()
			}
			if err != nil && slices.ContainsFunc([]string{p.Name, p.Password, p.Address}, func(secret string) bool {
				return secret != "" && strings.Contains(err.Error(), secret)
			}) {
				t.Errorf("the error names too much: %v", err)
			}
		})
	}
	t.Run("encoding", func(t *testing.T) {
		p := newPlace(t, s)
		for _, text := range []string{
			`DROP DATABASE ` + p.Name, `CREATE DATABASE ` + p.Name + ` OWNER ` + p.Name + ` TEMPLATE template0 ENCODING 'LATIN1' LOCALE 'C'`,
		} {
			if _, err := s.Query(t.Context(), server.Superuser, text); err != nil {
				t.Fatal(err)
			}
		}
		_, err := postgres.Open(t.Context(), p.config(), new(hook))
		wantIs(t, err, engine.ErrEncoding)
	})
}
