package postgres

import (
	"database/sql/driver"
	"errors"
	"strings"
	"testing"

	"github.com/jackc/pgx/v5/pgconn"

	"github.com/relaykeep/relaykeep/relay/store/internal/engine"
	"github.com/relaykeep/relaykeep/test/fuzz/mutation"
)

func TestNumbered(t *testing.T) {
	for text, want := range map[string]string{
		`SELECT a FROM t WHERE b = ? AND c IN (?, ?)`:                `SELECT a FROM t WHERE b = $1 AND c IN ($2, $3)`,
		`SELECT ?2 + ?1 + ?12`:                                       `SELECT $2 + $1 + $12`,
		`SELECT '?', "?", 'it''s ?', ?`:                              `SELECT '?', "?", 'it''s ?', $1`,
		`UPDATE customers SET user = ? WHERE row = ?`:                `UPDATE customers SET "user" = $1 WHERE "row" = $2`,
		`SELECT users, user_id, rows, "user", 'user', excluded.user`: `SELECT users, user_id, rows, "user", 'user', excluded."user"`,
		`SELECT 'open`: `SELECT 'open`,
	} {
		if got := numbered(text); got != want {
			t.Errorf("%s\nbecame %s\nwant   %s", text, got, want)
		}
	}
}

func TestParameters_OfAnotherTypeAreRefused(t *testing.T) {
	for name, c := range map[string]struct {
		oid   uint32
		value driver.Value
	}{
		"text for bytes": {typeBytes, "a"}, "bytes for text": {typeText, []byte("a")}, "text for a number": {typeInt8, "1"},
		"too large": {typeInt4, int64(1) << 31}, "too small": {typeInt2, int64(-1)<<15 - 1}, "another type": {typeInt8, 1.5},
	} {
		if got, err := encode(c.oid, c.value); err == nil {
			t.Errorf("%s became %v", name, got)
		}
	}
}

// What a server sends is read into no more memory than it takes, or refused.
func FuzzDecode(tf *testing.F) {
	f := mutation.Of(tf)
	for _, oid := range []uint32{typeBool, typeBytes, typeInt8, typeInt2, typeInt4, typeText, typeVarchar, 1700} {
		f.Add(oid, []byte{0, 0, 0, 0, 0, 0, 0, 7})
	}
	f.Fuzz(func(t *testing.T, oid uint32, value []byte) {
		v, err := decode(oid, value)
		if err != nil {
			return
		}
		again, err := encode(oid, v)
		if oid == typeBool {
			return // read as a number, and never written
		}
		if err != nil || value != nil && string(again) != string(value) {
			t.Errorf("%d of the type %d became %v, and that %d: %v", value, oid, v, again, err)
		}
	})
}

func TestErrors_CarryNoValues(t *testing.T) {
	const secret = "Ada"
	for code, want := range map[string]error{
		"23505": nil, "53100": engine.ErrFull, "53300": engine.ErrBusy, "25006": engine.ErrStandby, "57P01": engine.ErrUnreachable,
		"08006": engine.ErrUnreachable, "42501": engine.ErrRights, "28P01": engine.ErrDenied, "XX001": engine.ErrDamaged,
	} {
		err := typed(&pgconn.PgError{Code: code, Message: secret, Detail: secret, Hint: secret, Where: secret, ConstraintName: "jobs_pkey"})
		if want != nil && !errors.Is(err, want) || strings.Contains(err.Error(), secret) || !strings.Contains(err.Error(), code) {
			t.Errorf("%s became: %v", code, err)
		}
	}
}

func TestServer_ThatIsTooOldIsRefused(t *testing.T) {
	for version, want := range map[string]error{"140022": engine.ErrTooOld, "90624": engine.ErrTooOld, "150000": nil, "170002": nil} {
		if err := checkSettings(version, "off"); !errors.Is(err, want) {
			t.Errorf("version %s: %v", version, err)
		}
	}
	if err := checkSettings("150000", "on"); !errors.Is(err, engine.ErrStandby) {
		t.Errorf("read-only: %v", err)
	}
	if err := checkSettings("15.18 (Debian)", "off"); err == nil {
		t.Error("what is no number is taken for a version")
	}
}
