package canary

import (
	"bytes"
	"context"
	"encoding/base64"
	"encoding/hex"
	"errors"
	"fmt"
	"io/fs"
	"path/filepath"
	"strings"
	"time"

	"github.com/relaykeep/relaykeep/cmd/kubectl-relay/internal/audit"
	"github.com/relaykeep/relaykeep/cmd/kubectl-relay/scan"
	"github.com/relaykeep/relaykeep/relay/phone"
)

// File is a file or a folder that was given to be searched.
type File struct {
	Place audit.Place
	Path  string
}

// skew is by how much clocks of this machine and of one that wrote a file may differ.
const skew = 2 * time.Second

// witness is the name of what files must have.
const witness = "witness"

// search looks for the canary.
type search struct {
	secrets []scan.Secret
	digits  string
	scanner *scan.Scanner
}

// newSearch returns a search that has been proven.
func newSearch(n phone.Number, texts ...string) (*search, error) {
	s := &search{digits: n.Digits(), secrets: []scan.Secret{{Name: string(audit.Number), Bytes: n.Digits()}}}
	for _, text := range texts {
		s.secrets = append(s.secrets, scan.Secret{Name: string(audit.Content), Bytes: text})
	}
	var err error
	if s.scanner, err = scan.New(s.secrets...); err != nil {
		return nil, err
	}
	return s, s.prove()
}

// prove plants each secret in each encoding between other bytes, and a text without any.
func (s *search) prove() error {
	const before, after = "x: ", " and more"
	for _, secret := range s.secrets {
		text := []byte(before + secret.Bytes + after)
		for name, planted := range map[string][]byte{
			"plain": text, "base64": []byte(base64.StdEncoding.EncodeToString(text)), "hex": []byte(hex.EncodeToString(text)),
		} {
			found, err := s.scanner.Reader(name, bytes.NewReader(planted))
			if err != nil || len(found.Findings) != 1 || found.Findings[0].Secret != secret.Name {
				return fmt.Errorf("a planted %s was not found in %s", secret.Name, name)
			}
		}
	}
	none, err := s.scanner.Reader("none", strings.NewReader(before+after))
	if err != nil || len(none.Findings) > 0 {
		return errors.New("something was found where nothing was planted")
	}
	return nil
}

// look is what a search of a place saw.
type look struct {
	bytes int64
	seen  map[audit.Data]int
	first map[audit.Data]string // where the first is
	show  string                // the command that shows it, if there is one
	// untried says why the place, or a part of it, was not searched.
	untried string
}

func (l *look) add(found scan.Result, where func(scan.Finding) string) {
	if l.seen == nil {
		l.seen, l.first = map[audit.Data]int{}, map[audit.Data]string{}
	}
	l.bytes += found.Bytes
	for _, f := range found.Findings {
		data := audit.Data(f.Secret)
		if l.seen[data]++; l.seen[data] == 1 {
			l.first[data] = where(f)
		}
	}
}

// look searches all places. Files must have been written since a time.
func (r *run) look(ctx context.Context, step string, since time.Time) map[audit.Place]look {
	all := map[audit.Place]look{}
	texts, err := r.Texts(ctx)
	if err != nil {
		for _, place := range []audit.Place{audit.InLogs, audit.InMetrics, audit.InEvents, audit.InStatus} {
			all[place] = look{untried: err.Error()}
		}
	}
	for _, t := range texts {
		l := all[t.Place]
		if t.Failed != nil {
			l.untried = t.Failed.Detail
		}
		found, err := r.scan.scanner.Reader(t.Where, bytes.NewReader(t.Bytes))
		switch {
		case err != nil:
			l.untried = err.Error()
		case t.Failed == nil && t.Place != audit.InEvents && len(t.Bytes) == 0:
			l.untried = t.Where + " is empty"
		}
		l.add(found, func(f scan.Finding) string { return fmt.Sprintf("%s, at byte %d, %s", t.Where, f.Offset, f.Encoding) })
		if len(found.Findings) > 0 {
			l.show = t.Show
		}
		all[t.Place] = l
	}
	var failed error
	if len(r.Files) > 0 && r.Prepare != nil {
		failed = r.Prepare(ctx, step)
	}
	for _, f := range r.Files {
		l := all[f.Place]
		if failed != nil {
			l.untried = fmt.Sprintf("--prepare %s: %v", step, failed)
		} else {
			r.searchFile(&l, f, step, since)
		}
		all[f.Place] = l
	}
	return all
}

// searchFile searches a file or folder, and the names in it.
func (r *run) searchFile(l *look, f File, step string, since time.Time) {
	names, newest, err := names(f.Path)
	if err != nil {
		l.untried = err.Error()
		return
	}
	shown := func(f scan.Finding) string {
		return strings.ReplaceAll(fmt.Sprintf("%s, at byte %d, %s", f.Path, f.Offset, f.Encoding), r.scan.digits, "NUMBER")
	}
	inNames, err := r.scan.scanner.Reader("names in "+f.Path, strings.NewReader(names))
	if err == nil {
		inNames.Bytes = 0
		l.add(inNames, shown)
	}
	scanner := r.scan.scanner
	known := r.Witness[f.Place]
	if step == Erased && f.Place == audit.InVolume {
		known = "" // what it was known by has gone with the canary
	}
	if known != "" {
		scanner, err = scan.New(append([]scan.Secret{{Name: witness, Bytes: known}}, r.scan.secrets...)...)
		if err != nil {
			l.untried = err.Error()
			return
		}
	}
	found, err := scanner.Tree(f.Path)
	if err != nil {
		l.untried = err.Error()
		return
	}
	recognised := known == ""
	kept := found.Findings[:0]
	for _, one := range found.Findings {
		if one.Secret == witness {
			recognised = true
			continue
		}
		kept = append(kept, one)
	}
	found.Findings = kept
	l.add(found, shown)
	switch {
	case found.Bytes == 0:
		l.untried = f.Path + " is empty"
	case newest.Before(since.Add(-skew)):
		l.untried = fmt.Sprintf("nothing in %s is newer than the canary was %s: bring it up to date with --prepare", f.Path, step)
	case !recognised:
		l.untried = fmt.Sprintf("%s has nothing by which it is known to be the %s of this relay: it is another, or compressed or encrypted", f.Path, f.Place)
	case step == Stored && f.Place == audit.InCarrier && l.seen[audit.Number] == 0:
		l.untried = f.Path + " has no trace of the canary, which the carrier routes by number: it is another carrier's, or compressed or encrypted"
	}
}

// names lists the names below a path, and says when the newest file was written, or one was removed from a folder.
func names(path string) (list string, newest time.Time, err error) {
	var all strings.Builder
	err = filepath.WalkDir(path, func(path string, entry fs.DirEntry, err error) error {
		if errors.Is(err, fs.ErrNotExist) {
			return nil
		}
		if err != nil {
			return err
		}
		fmt.Fprintln(&all, entry.Name())
		info, err := entry.Info()
		if err == nil && info.ModTime().After(newest) {
			newest = info.ModTime()
		}
		return nil
	})
	if err == nil && all.Len() == 0 {
		err = fmt.Errorf("%s is not there", path)
	}
	return all.String(), newest, err
}

// sightings sums both searches up.
func (r *run) sightings() (all []audit.Sighting) {
	if r.stored == nil {
		return nil
	}
	for _, data := range audit.CanaryRows() {
		for _, place := range audit.Places() {
			all = append(all, audit.Sighting{Place: place, Data: data, Outcome: r.outcome(place, data)})
		}
	}
	return all
}

// outcome is that of a place for one kind of data.
func (r *run) outcome(place audit.Place, data audit.Data) audit.Outcome {
	stored, searched := r.stored[place]
	erased := r.erased[place]
	here := place == audit.InCarrier && data == audit.Number
	switch {
	case !searched:
		return audit.Outcome{State: audit.NotTried, Detail: ungiven(place)}
	case here && stored.untried == "" && erased.untried == "":
		return audit.Outcome{State: audit.ByDesign, Detail: fmt.Sprintf("the carrier routes by numbers: it has this one in %d places, and in %d after the erasure", stored.seen[data], erased.seen[data])}
	case stored.seen[data] > 0 && !here:
		return audit.Outcome{State: audit.Broken, Remedy: stored.show, Detail: fmt.Sprintf("the canary's %s is in clear in %d places, the first in %s", noun(data), stored.seen[data], stored.first[data])}
	case erased.seen[data] > 0 && !here:
		return audit.Outcome{State: audit.Broken, Remedy: erased.show, Detail: fmt.Sprintf("after the erasure the canary's %s is in clear in %d places, the first in %s", noun(data), erased.seen[data], erased.first[data])}
	case stored.untried != "":
		return audit.Outcome{State: audit.NotTried, Detail: stored.untried}
	case erased.untried != "":
		return audit.Outcome{State: audit.NotTried, Detail: "after the erasure: " + erased.untried}
	}
	return audit.Outcome{State: audit.Kept, Detail: fmt.Sprintf("not found in %d bytes while it was stored, nor in %d after its erasure", stored.bytes, erased.bytes)}
}

func noun(d audit.Data) string {
	if d == audit.Number {
		return "number"
	}
	return "text"
}

// ungiven says why a place was not searched for which there are no files.
func ungiven(place audit.Place) string {
	const give = "; give a copy or a snapshot with --search "
	switch place {
	case audit.InVolume:
		return "nobody may enter a relay's pod or read its volume from the cluster, and its image has no shell" + give + "volume=PATH"
	case audit.InEtcd:
		return "the API server shows no more of etcd than its objects" + give + "etcd=PATH"
	case audit.InCarrier:
		return "the carrier's store is its operator's" + give + "carrier=PATH"
	case audit.InLogs, audit.InMetrics, audit.InEvents, audit.InStatus:
	}
	return "it could not be read"
}
