package dataplane_test

import (
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"strings"
	"testing"

	"github.com/relaykeep/relaykeep/relay/customer"
	"github.com/relaykeep/relaykeep/test/services/postgres"
)

// documented makes a database as docs/postgresql.md says, for a business of another name than there.
func documented(t *testing.T, server *postgres.Server) postgres.Database {
	t.Helper()
	text, err := os.ReadFile(filepath.Join("..", "..", "docs", "postgresql.md"))
	check(t, err)
	found := regexp.MustCompile("(?s)## A database for each business.*?```sql\n(.*?)```").FindSubmatch(text)
	if found == nil {
		t.Fatal("docs/postgresql.md has no SQL for a database")
	}
	// The name, the password and the authority are those of one that the test server would make.
	d := server.NewDatabaseT(t)
	_, err = server.Query(t.Context(), postgres.Superuser, "DROP DATABASE "+d.Name)
	check(t, err)
	_, err = server.Query(t.Context(), postgres.Superuser, "DROP ROLE "+d.Name)
	check(t, err)
	sql := regexp.MustCompile(`\bacme\b`).ReplaceAllString(string(found[1]), d.Name)
	sql = strings.ReplaceAll(sql, "a long random password", d.Password)
	for _, statement := range strings.Split(strings.TrimSpace(sql), ";\n") {
		_, err := server.Query(t.Context(), postgres.Superuser, strings.TrimSuffix(statement, ";"))
		check(t, err)
	}
	return d
}

// command runs one of the server's programs as a business's admin would.
func command(t *testing.T, server *postgres.Server, d postgres.Database, name string, args ...string) {
	t.Helper()
	programs, err := postgres.Programs()
	check(t, err)
	host, port, _ := strings.Cut(d.Address, ":")
	cmd := exec.CommandContext(t.Context(), filepath.Join(programs, name), append([]string{"-h", host, "-p", port, "-U", d.Name, "-d", d.Name}, args...)...)
	cmd.Env = append(os.Environ(), "PGPASSWORD="+d.Password, "PGSSLMODE=require")
	if out, err := cmd.CombinedOutput(); err != nil {
		t.Fatalf("%s: %v: %s", name, err, out)
	}
}

func TestPostgres_DumpThatIsRestoredResetsSessionsAndGoesOn(t *testing.T) {
	t.Parallel()
	server, err := shared.postgres()
	check(t, err)
	d := documented(t, server)
	b := newBusiness(t)
	b.OnPostgres(d)
	b.StartReady()
	p := newPerson(t)
	p.Says(b, "before the backup")
	b.WaitText("before the backup")
	b.Stop()
	dump := filepath.Join(t.TempDir(), "acme.dump")
	command(t, server, d, "pg_dump", "-Fc", "-f", dump)
	b.StartReady()
	p.Says(b, "lost with the server")
	b.WaitText("lost with the server")
	b.Stop()

	// As docs/postgresql.md says: into an empty database, as the role.
	_, err = server.Query(t.Context(), d.Name, `DROP SCHEMA relaykeep CASCADE`)
	check(t, err)
	command(t, server, d, "pg_restore", "--no-owner", "--role="+d.Name, dump)
	b.StartReady()
	id := b.Say(p.Number.E164(), "after the restoration")
	b.WaitStatus(id, "read")
	if n := p.Sees("after the restoration"); n != 1 {
		t.Errorf("the customer saw it %d times", n)
	}
	p.Says(b, "you are back")
	b.WaitText("you are back")
	if p.Has(func(e customer.Event) bool { return e.Kind == customer.Unreadable }) {
		t.Error("the customer got a message that could not be read")
	}
	if !strings.Contains(string(b.Log.Bytes()), "restored") {
		t.Error("the relay did not notice that its database was restored")
	}
}
