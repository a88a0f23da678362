package forensic

import (
	"context"
	"errors"
	"fmt"
	"path/filepath"
	"slices"

	"github.com/relaykeep/relaykeep/cmd/kubectl-relay/scan"
	"github.com/relaykeep/relaykeep/relay/phone"
)

// Case is what a copy has to be held to.
type Case struct {
	Copy    Copy
	Witness Witness
	// Expired are the epochs that must have died; all others live.
	Expired []int64
	// Young is a text of a living epoch, YoungFile one in a file of such an epoch and
	// in the file's name: both must be readable.
	Young, YoungFile string
	// Old wrote in expired epochs only, Current in a living one.
	Old, Current phone.Number
	// Never may stand nowhere on the volume, in any encoding.
	Never []scan.Secret
	// Former is what the wrapping key was before: its expired versions must be gone.
	Former map[int]string
}

// Examine returns everything that is not as it should be. Dir is for its own files.
func Examine(ctx context.Context, c Case, dir string) error {
	for _, look := range []func(context.Context, Case, string) error{
		keysAreGone, settingsKeysAreApart, rowsAreGone, settingsAreReadable, standInsShowNothing, bytesAreBlind,
	} {
		if err := look(ctx, c, dir); err != nil {
			return err
		}
	}
	return nil
}

// keysAreGone holds that root can unwrap no expired data key, by Vault or past it,
// and every other.
func keysAreGone(ctx context.Context, c Case, _ string) error {
	epochs, err := Epochs(ctx, c.Copy.Dir)
	if err != nil {
		return err
	}
	wrapping := c.Witness.wrapping()
	left, err := wrapping.Material(ctx)
	if err != nil {
		return err
	}
	var wrong []error
	for _, e := range epochs {
		lives := !slices.Contains(c.Expired, e.ID)
		byVault, err := wrapping.Opens(ctx, e)
		if err != nil {
			return err
		}
		byHand, err := OpensWith(left, e)
		if err != nil {
			return err
		}
		if byVault != lives || byHand != lives {
			wrong = append(wrong, fmt.Errorf("epoch %d: root unwraps its key: %v, with what Vault holds: %v, want %v", e.ID, byVault, byHand, lives))
		}
		// The look past Vault sees keys where there are some.
		if former, err := OpensWith(c.Former, e); err != nil || !former {
			wrong = append(wrong, fmt.Errorf("epoch %d: the former key does not open it: %w", e.ID, err))
		}
		for version, key := range left {
			if !lives && key == c.Former[e.Version()] {
				wrong = append(wrong, fmt.Errorf("the key of expired epoch %d is still Vault's version %d", e.ID, version))
			}
		}
	}
	return errors.Join(wrong...)
}

// rowsAreGone holds that the restored copy shows what is young and nothing else.
func rowsAreGone(ctx context.Context, c Case, dir string) (err error) {
	all, err := rows(ctx, c.Copy.Dir)
	if err != nil {
		return err
	}
	r, err := c.Witness.Restore(ctx, c.Copy, filepath.Join(dir, "beside"))
	if err != nil {
		return err
	}
	defer func() { err = errors.Join(err, r.Close()) }()
	var wrong []error
	old, young := map[kind]int{}, map[kind]int{}
	for _, row := range all {
		readable, says, err := r.Reads(ctx, row, c.young(row.kind))
		if err != nil {
			return err
		}
		switch expired := slices.Contains(c.Expired, row.Epoch); {
		case expired:
			old[row.kind]++
			if readable {
				wrong = append(wrong, fmt.Errorf("a %s of expired epoch %d can be read", row.kind, row.Epoch))
			}
		case !readable:
			wrong = append(wrong, fmt.Errorf("a %s of living epoch %d cannot be read", row.kind, row.Epoch))
		case says:
			young[row.kind]++
		}
	}
	for _, k := range kinds() {
		if old[k] == 0 || young[k] == 0 {
			wrong = append(wrong, fmt.Errorf("%s: the copy has %d of expired epochs and %d that say what is young: nothing is proven", k, old[k], young[k]))
		}
	}
	return errors.Join(wrong...)
}

// young is what a row of a living epoch says.
func (c Case) young(k kind) string {
	if k == message {
		return c.Young
	}
	return c.YoungFile
}

// bytesAreBlind holds that the bytes hold nothing that must never be there, and that
// no key that lives finds again who wrote in expired epochs only.
func bytesAreBlind(ctx context.Context, c Case, dir string) (err error) {
	r, err := c.Witness.Restore(ctx, c.Copy, filepath.Join(dir, "numbers"))
	if err != nil {
		return err
	}
	defer func() { err = errors.Join(err, r.Close()) }()
	never := slices.Clone(c.Never)
	old, err := r.settingsMACs(c.Old)
	if err != nil {
		return err
	}
	for _, mac := range old {
		never = append(never, scan.Secret{Name: "the old customer's number under a key of the settings", Bytes: string(mac)})
	}
	var known []scan.Secret
	for _, epoch := range r.Live() {
		old, err := r.NumberMAC(epoch, c.Old)
		if err != nil {
			return err
		}
		current, err := r.NumberMAC(epoch, c.Current)
		if err != nil {
			return err
		}
		never = append(never, scan.Secret{Name: fmt.Sprintf("the old customer's number under epoch %d", epoch), Bytes: string(old)})
		known = append(known, scan.Secret{Name: "the current customer's number", Bytes: string(current)})
	}
	found, err := look(c.Copy.Dir, never)
	if err != nil {
		return err
	}
	var wrong []error
	for _, f := range found {
		wrong = append(wrong, errors.New(f.String()))
	}
	if found, err := look(c.Copy.Dir, known); err != nil || len(found) == 0 {
		wrong = append(wrong, fmt.Errorf("the current customer's number is not found under any living epoch, so that the search proves nothing: %w", err))
	}
	return errors.Join(wrong...)
}

func look(dir string, secrets []scan.Secret) ([]scan.Finding, error) {
	scanner, err := scan.New(secrets...)
	if err != nil {
		return nil, err
	}
	result, err := scanner.Tree(dir)
	return result.Findings, err
}
