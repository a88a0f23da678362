package dataplane_test

import (
	"bytes"
	"cmp"
	"encoding/json"
	"fmt"
	"go/ast"
	"go/parser"
	"go/token"
	"io"
	"io/fs"
	"net/http"
	"net/http/httptest"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/relaykeep/relaykeep/relay/customer"
	"github.com/relaykeep/relaykeep/test/await"
	"github.com/relaykeep/relaykeep/test/customers"
	"github.com/relaykeep/relaykeep/test/repository"
	"github.com/relaykeep/relaykeep/test/rig"
)

// changeSite is where the code begins a change of the store, which is a kind of change.
type changeSite struct {
	at string // file:line
	in string // file, function, and which of its places it is, from 1 on
}

// changes returns all places in the code that begin a change.
func changes(t *testing.T) (found []changeSite) {
	t.Helper()
	root, err := repository.Root()
	check(t, err)
	files := token.NewFileSet()
	err = filepath.WalkDir(filepath.Join(root, "relay"), func(path string, d fs.DirEntry, err error) error {
		name, relErr := filepath.Rel(root, path)
		switch {
		case err != nil || relErr != nil:
			return err
		case name == "relay/store/internal" || name == "relay/store/store.go": // which are what is called
			return skip(d)
		case d.IsDir() || !strings.HasSuffix(path, ".go") || strings.HasSuffix(path, "_test.go"):
			return nil
		}
		f, err := parser.ParseFile(files, path, nil, parser.SkipObjectResolution)
		if err != nil {
			return err
		}
		for _, d := range f.Decls {
			function, ok := d.(*ast.FuncDecl)
			if !ok {
				continue
			}
			in, n := strings.TrimPrefix(name, "relay/")+" "+function.Name.Name, 0
			ast.Inspect(function, func(node ast.Node) bool {
				if call, ok := node.(*ast.CallExpr); ok && beginsChange(call) {
					n++
					found = append(found, changeSite{fmt.Sprint(name, ":", files.Position(call.Lparen).Line), fmt.Sprint(in, " ", n)})
				}
				return true
			})
		}
		return nil
	})
	check(t, err)
	if len(found) < 50 {
		t.Fatalf("only %d places begin a change", len(found))
	}
	return found
}

func lines(places []changeSite) (at []string) {
	for _, p := range places {
		at = append(at, p.at)
	}
	return at
}

func skip(d fs.DirEntry) error {
	if d.IsDir() {
		return fs.SkipDir
	}
	return nil
}

// beginsChange says whether a call is one of a method of the store that begins a change, or of one that has its name and
// passes a context and a change on.
func beginsChange(call *ast.CallExpr) bool {
	method, ok := call.Fun.(*ast.SelectorExpr)
	if !ok || len(call.Args) < 2 || len(call.Args) > 3 {
		return false
	}
	if !slices.Contains([]string{"Update", "UpdateLate", "Begin", "Shrink"}, method.Sel.Name) {
		return false
	}
	switch ctx := call.Args[0].(type) {
	case *ast.Ident:
		return ctx.Name == "ctx"
	case *ast.CallExpr: // context.WithoutCancel(ctx)
		from, ok := ctx.Fun.(*ast.SelectorExpr)
		return ok && from.Sel.Name == "WithoutCancel"
	}
	return false
}

// stage is a business and a customer whose relay kills itself at each of its commits, while they do all that makes
// the relay commit something.
type stage struct {
	*business
	p     *customers.Client
	kills []changeSite      // where the process is killed
	calls int               // with an Idempotency-Key each
	said  map[string]string // texts that the business sent, with their ids
	heard []string          // texts that the customer sent
	files *httptest.Server  // to which links lead
}

// ask calls the endpoint until it answers that the call was done, with one Idempotency-Key, and returns the answer.
func (s *stage) ask(method, path string, body any) (answer string) {
	s.t.Helper()
	raw, err := json.Marshal(body)
	check(s.t, err)
	return s.askWith(method, path, "application/json", raw)
}

// askWith is ask for any content.
func (s *stage) askWith(method, path, contentType string, raw []byte) (answer string) {
	s.t.Helper()
	s.calls++
	key := fmt.Sprint("call ", s.calls)
	await.Until(s.t, "the endpoint does "+method+" "+path, func() bool {
		r, err := http.NewRequestWithContext(s.t.Context(), method, "https://"+s.Endpoint()+rig.Version+path, bytes.NewReader(raw))
		check(s.t, err)
		r.Header.Set("Authorization", "Bearer "+s.Token)
		r.Header.Set("Content-Type", contentType)
		r.Header.Set("Idempotency-Key", key)
		w, err := s.Client.Do(r)
		if err != nil {
			return false
		}
		defer w.Body.Close()
		all, err := io.ReadAll(w.Body)
		if answer = string(all); err != nil || w.StatusCode >= http.StatusInternalServerError || w.StatusCode == http.StatusTooManyRequests {
			return false
		}
		if w.StatusCode != http.StatusOK {
			s.t.Fatalf("%s %s answers %d %s", method, path, w.StatusCode, answer)
		}
		return true
	})
	return answer
}

// send has the business send a message, and returns its id.
func (s *stage) send(to *customers.Client, fields map[string]any) string {
	s.t.Helper()
	fields["messaging_product"], fields["to"] = "whatsapp", to.Number.E164()
	return rig.MessageID(s.ask(http.MethodPost, "/"+s.NumberID+"/messages", fields))
}

// say has the business send a text.
func (s *stage) say(to *customers.Client, text string) (id string) {
	s.t.Helper()
	id = s.send(to, map[string]any{"text": map[string]string{"body": text}})
	s.said[text] = id
	return id
}

// talk has both sides write once and see it: their session is alive.
func (s *stage) talk(about string) (in, out string) {
	s.t.Helper()
	in = s.p.Says(s, "customer: "+about)
	s.heard = append(s.heard, "customer: "+about)
	s.WaitText("customer: " + about)
	out = s.say(s.p, "business: "+about)
	s.p.Sees("business: " + about)
	s.WaitStatus(out, "read")
	return in, out
}

// everythingOnce looks whether each side has once what the other wrote.
func (s *stage) everythingOnce() {
	s.t.Helper()
	for text, id := range s.said {
		if n := s.p.Count(func(e customer.Event) bool { return e.Kind == customer.Received && e.Text == text }); n != 1 {
			s.t.Errorf("the customer has %q %d times", text, n)
		}
		s.WaitStatus(id, "read")
	}
	ids := map[string][]string{}
	for _, u := range s.Updates() {
		if u.Type == "text" && !slices.Contains(ids[u.Text], u.ID) {
			ids[u.Text] = append(ids[u.Text], u.ID)
		}
	}
	for _, text := range s.heard {
		if n := len(ids[text]); n != 1 {
			s.t.Errorf("the business has %q as %d messages", text, n)
		}
	}
	if n := s.p.Count(func(e customer.Event) bool { return e.Kind == customer.Unreadable }); n > 0 {
		s.t.Errorf("%d messages were unreadable to the customer", n)
	}
}

// TestKill_AtEveryCommitLosesAndDoublesNothing kills a relay's process just before and just after a commit of every
// kind of change that the code has, with SIGKILL and while both sides wait for what follows from it, and looks that
// each has everything once in the end. It fails for a kind that it did not come to.
func TestKill_AtEveryCommitLosesAndDoublesNothing(t *testing.T) {
	t.Parallel()
	all := changes(t)
	s := &stage{business: newBusiness(t), said: map[string]string{}}
	s.kills = all
	s.Config.Trust, s.Config.ClearMetadata = "firstUse", true
	s.SetLater(begins)
	s.Kill(rig.Kills{Places: lines(s.kills)})
	s.KeepRunning()
	s.WaitWell()
	await.Until(t, "the relay reports its id", func() bool { return s.Report().PhoneNumberID != "" })
	s.TakeCredentials()
	s.p = newPerson(t)
	s.files = httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) { // to which links lead
		w.Header().Set("Content-Type", "image/png")
		_, _ = io.WriteString(w, picture)
	}))
	t.Cleanup(s.files.Close)
	t.Cleanup(func() {
		if t.Failed() {
			t.Logf("killed at, in this order:\n%s", strings.Join(s.Killed(), "\n"))
			for _, u := range s.Updates() {
				t.Logf("the business was told: %s %s %s about %s, code %d", cmp.Or(u.Type, u.Status, u.System), u.ID, u.Text, u.About, u.Code)
			}
		}
	})
	for _, a := range acts() {
		before, began := len(s.Killed()), time.Now()
		a.do(s)
		t.Logf("%s: %d kills, %s", a.name, len(s.Killed())-before, time.Since(began).Round(time.Millisecond))
	}
	s.everythingOnce()
	report(t, all, append(s.Killed(), killWithoutStorage(t, all, s.Killed())...))
}

// killWithoutStorage kills a relay that keeps content in memory only where one with storage was not killed, and returns
// where.
func killWithoutStorage(t *testing.T, all []changeSite, hit []string) []string {
	t.Helper()
	s := &stage{business: newBusiness(t), said: map[string]string{}}
	for _, c := range all {
		if !slices.Contains(hit, c.at+" "+rig.Before) {
			s.kills = append(s.kills, c)
		}
	}
	s.Config.NoStorage = true
	s.Kill(rig.Kills{Places: lines(s.kills)})
	s.KeepRunning()
	s.WaitWell()
	await.Until(t, "the relay reports its id", func() bool { return s.Report().PhoneNumberID != "" })
	s.TakeCredentials()
	s.killedIn("outbound/lost.go FailLost")
	s.p = newPerson(t)
	s.talk("without storage")
	s.everythingOnce()
	return s.Killed()
}

// report fails for places that were not hit, unless it is known why.
func report(t *testing.T, all []changeSite, hit []string) {
	t.Helper()
	boundaries := 0
	for _, c := range all {
		why, excused := elsewhere()[c.in]
		for _, moment := range []string{rig.Before, rig.After} {
			was := slices.Contains(hit, c.at+" "+moment)
			if was {
				boundaries++
			}
			switch {
			case !was && !excused:
				t.Errorf("not killed %s the commit of %s (%s)", moment, c.at, c.in)
			case was && excused:
				t.Logf("killed %s the commit of %s (%s), which is said not to be sure here: %s", moment, c.at, c.in, why)
			}
		}
	}
	t.Logf("killed at %d boundaries, of %d places:\n%s", boundaries, len(all), strings.Join(hit, "\n"))
}
