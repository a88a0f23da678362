package audit_test

import (
	"bytes"
	"encoding/xml"
	"errors"
	"flag"
	"fmt"
	"io"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/relaykeep/relaykeep/cmd/kubectl-relay/internal/audit"
)

var update = flag.Bool("update", false, "write what is rendered to the golden files")

// outcomes are those of an installation where all is well, with changes.
func outcomes(changes map[audit.ID]audit.Outcome) map[audit.ID]audit.Outcome {
	all := map[audit.ID]audit.Outcome{}
	for _, e := range audit.Catalogue() {
		all[e.ID] = audit.Outcome{State: audit.Kept, Detail: "refused"}
		if o, ok := changes[e.ID]; ok {
			all[e.ID] = o
		}
	}
	return all
}

func broken() map[audit.ID]audit.Outcome {
	return map[audit.ID]audit.Outcome{
		audit.KeeperRuns:  {State: audit.Broken, Detail: "the keeper is stopped", Remedy: "kubectl patch <it>"},
		audit.Reach:       {State: audit.NotTried, Detail: "it takes a pod & a flag"},
		audit.Certificate: {State: audit.ByDesign, Detail: "the gateway ends TLS"},
	}
}

func report(relays ...audit.Relay) *audit.Report {
	r := &audit.Report{Version: audit.FormatVersion, Time: time.Date(2026, 11, 30, 12, 0, 0, 0, time.UTC), Program: "v1.2.3", Cluster: "https://10.0.0.1:6443", Relays: relays}
	r.Sum()
	return r
}

// receivers are those of a relay, of which a processor is abroad.
func receivers(relay string) []audit.Receiver {
	return []audit.Receiver{
		{Namespace: relay, Relay: relay, Party: "vault", Where: "vault.example", Countries: []string{"DE", "FR"}, Gets: "keys", ChosenBy: "region"},
		{Namespace: relay, Relay: relay, Party: "processor insight", Where: "copies.example", Countries: []string{"US"}, Gets: "messages and statuses", Purpose: "response\ntimes <b>", ChosenBy: "business", Transfer: true},
	}
}

// withCanary adds a canary whose text was found in a metric, and for which no files of etcd were given.
func withCanary(r *audit.Report) *audit.Report {
	steps := map[audit.ID]audit.Outcome{}
	for _, e := range audit.CanaryCatalogue() {
		steps[e.ID] = audit.Outcome{State: audit.Kept, Detail: "it did"}
	}
	var seen []audit.Sighting
	for _, place := range audit.Places() {
		for _, data := range audit.CanaryRows() {
			o := audit.Outcome{State: audit.Kept, Detail: "not found"}
			switch {
			case place == audit.InEtcd:
				continue
			case place == audit.InMetrics && data == audit.Content:
				o = audit.Outcome{State: audit.Broken, Detail: "the canary's text is in a metric", Remedy: "kubectl port-forward"}
			case place == audit.InCarrier && data == audit.Number:
				o = audit.Outcome{State: audit.ByDesign, Detail: "the carrier routes by numbers"}
			}
			seen = append(seen, audit.Sighting{Place: place, Data: data, Outcome: o})
		}
	}
	r.Canary = audit.JudgeCanary("acme", "acme", "no files", steps, seen)
	r.Sum()
	return r
}

func TestCanary_CountsInTheReport(t *testing.T) {
	r := withCanary(report(audit.Judge("acme", "acme", "eu", outcomes(nil))))
	if r.State != audit.Broken || r.Canary.Sighting(audit.Content, audit.InEtcd).State != audit.NotTried {
		t.Errorf("the report is %s, with etcd %s", r.State, r.Canary.Sighting(audit.Content, audit.InEtcd).State)
	}
	if c := audit.JudgeCanary("acme", "acme", "no right", nil, nil); c.State != audit.NotTried || c.Steps[0].Detail != "no right" {
		t.Errorf("a canary that was not sent is %s", c.State)
	}
}

func TestTable_HasEveryCellOnceAndUsesEveryCheck(t *testing.T) {
	table := audit.Judge("acme", "acme", "eu", outcomes(nil))
	seen, used := map[string]int{}, map[audit.ID]bool{}
	for _, c := range table.Cells {
		seen[fmt.Sprint(c.Data, "/", c.Party)]++
		for _, id := range c.Checks {
			used[id] = true
		}
		if c.Why == "" && len(c.Checks) == 0 {
			t.Errorf("%s and %s: nothing is tried, and the party may not see it", c.Data, c.Party)
		}
	}
	for _, d := range audit.Rows() {
		for _, p := range audit.Columns() {
			if seen[fmt.Sprint(d, "/", p)] != 1 {
				t.Errorf("%s and %s: %d cells", d, p, seen[fmt.Sprint(d, "/", p)])
			}
		}
	}
	for _, e := range audit.Catalogue() {
		if !used[e.ID] {
			t.Errorf("%s counts in no cell", e.ID)
		}
	}
}

func TestJudge_TakesTheWorst(t *testing.T) {
	if table := audit.Judge("acme", "acme", "eu", outcomes(nil)); table.State != audit.Kept {
		t.Errorf("where all is kept, the relay is %s", table.State)
	}
	table := audit.Judge("acme", "acme", "eu", outcomes(broken()))
	for _, c := range []struct {
		data  audit.Data
		party audit.Party
		want  audit.State
	}{
		{audit.Content, audit.Keeper, audit.Broken},
		{audit.Number, audit.Keeper, audit.Kept},
		{audit.Content, audit.OtherRelays, audit.NotTried},
		{audit.Content, audit.Platform, audit.ByDesign},
		{audit.Content, audit.Business, audit.ByDesign},
		{audit.Billing, audit.VaultAdmin, audit.Kept},
	} {
		if is := table.Cell(c.data, c.party).State; is != c.want {
			t.Errorf("%s and %s: %s, want %s", c.data, c.party, is, c.want)
		}
	}
	if table.State != audit.Broken {
		t.Errorf("the relay is %s", table.State)
	}
}

// TestJudge_IsNeverGreenWithoutAnAnswer leaves checks without an outcome.
func TestJudge_IsNeverGreenWithoutAnAnswer(t *testing.T) {
	for _, c := range audit.Judge("acme", "acme", "eu", nil).Cells {
		if want := audit.NotTried; len(c.Checks) > 0 && c.State != want {
			t.Errorf("%s and %s: %s without any outcome", c.Data, c.Party, c.State)
		}
	}
}

func TestText(t *testing.T) {
	one := report(audit.Judge("acme", "acme", "eu", outcomes(broken())))
	two := report(audit.Judge("acme", "acme", "eu", outcomes(broken())), audit.Judge("globex", "globex", "na", outcomes(nil)))
	one.Receivers, two.Receivers = receivers("acme"), append(receivers("acme"), receivers("globex")...)
	sent := withCanary(report(audit.Judge("acme", "acme", "eu", outcomes(nil))))
	for name, r := range map[string]*audit.Report{"one.txt": one, "two.txt": two, "canary.txt": sent} {
		var out bytes.Buffer
		if err := audit.Text(&out, r); err != nil {
			t.Fatal(err)
		}
		golden(t, name, out.Bytes())
	}
}

func TestHTML_StandsAlone(t *testing.T) {
	nasty := broken()
	nasty[audit.Workloads] = audit.Outcome{State: audit.Broken, Detail: `<script>alert("1")</script>`, Remedy: `x" onload="y`}
	var out bytes.Buffer
	page := withCanary(report(audit.Judge("acme", "acme", "eu", outcomes(nasty)), audit.Judge("globex", "globex", "na", outcomes(nil))))
	page.Receivers = append(receivers("acme"), receivers("globex")...)
	if err := audit.HTML(&out, page); err != nil {
		t.Fatal(err)
	}
	golden(t, "page.html", out.Bytes())
	for _, must := range []string{`lang="en"`, "<title>", "<main>", `<th scope="col">Data</th>`, `<th scope="row">message content</th>`, "✗ broken", "@media print"} {
		if !strings.Contains(out.String(), must) {
			t.Errorf("the page has no %s", must)
		}
	}
	wellFormed(t, out.Bytes())
}

// wellFormed reads a page as a browser does that closes nothing by itself, and looks for what would run, or be fetched.
func wellFormed(t *testing.T, page []byte) {
	t.Helper()
	reader := xml.NewDecoder(bytes.NewReader(page))
	reader.Strict, reader.AutoClose, reader.Entity = false, xml.HTMLAutoClose, xml.HTMLEntity
	var open []string
	for {
		token, err := reader.Token()
		if errors.Is(err, io.EOF) {
			break
		}
		if err != nil {
			t.Fatal(err)
		}
		switch e := token.(type) {
		case xml.StartElement:
			open = append(open, e.Name.Local)
			if slices.Contains([]string{"script", "link", "img", "iframe", "object"}, e.Name.Local) {
				t.Errorf("the page has a %s", e.Name.Local)
			}
			for _, a := range e.Attr {
				if strings.HasPrefix(a.Name.Local, "on") || a.Name.Local == "src" || a.Name.Local == "href" && !strings.HasPrefix(a.Value, "#") {
					t.Errorf("the page has %s=%q", a.Name.Local, a.Value)
				}
			}
		case xml.EndElement:
			if len(open) == 0 || open[len(open)-1] != e.Name.Local {
				t.Fatalf("%s ends, and %v is open", e.Name.Local, open)
			}
			open = open[:len(open)-1]
		}
	}
	if len(open) > 0 {
		t.Errorf("%v does not end", open)
	}
}

// TestManual_HasEveryCheck compares the manual's tables with the catalogues; -update writes them.
func TestManual_HasEveryCheck(t *testing.T) {
	manualHas(t, "checks", audit.Catalogue())
	manualHas(t, "canary", audit.CanaryCatalogue())
}

func manualHas(t *testing.T, name string, entries []audit.Entry) {
	t.Helper()
	begin, end := "<!-- "+name+": written by `go test ./cmd/kubectl-relay/internal/audit -update` -->\n", "<!-- end of "+name+" -->"
	path := filepath.Join("..", "..", "..", "..", "docs", "audit.md")
	raw, err := os.ReadFile(path)
	if err != nil {
		t.Fatal(err)
	}
	before, rest, ok := strings.Cut(string(raw), begin)
	is, after, ended := strings.Cut(rest, end)
	if !ok || !ended {
		t.Fatalf("%s has no table of %s", path, name)
	}
	var want strings.Builder
	want.WriteString("| check | holds if kept | what is tried | what that cannot see |\n|---|---|---|---|\n")
	for _, e := range entries {
		fmt.Fprintf(&want, "| `%s` | %s | %s | %s |\n", e.ID, e.Title, e.How, e.Blind)
	}
	if *update {
		if err := os.WriteFile(path, []byte(before+begin+want.String()+end+after), 0o644); err != nil {
			t.Fatal(err)
		}
		return
	}
	if diff := cmp.Diff(is, want.String()); diff != "" {
		t.Errorf("%s does not list what is tried (-file +code; rewrite with -update):\n%s", path, diff)
	}
}

func golden(t *testing.T, name string, got []byte) {
	t.Helper()
	path := filepath.Join("testdata", name)
	if *update {
		if err := os.MkdirAll("testdata", 0o755); err != nil {
			t.Fatal(err)
		}
		if err := os.WriteFile(path, got, 0o644); err != nil {
			t.Fatal(err)
		}
	}
	want, err := os.ReadFile(path)
	if err != nil {
		t.Fatal(err)
	}
	if diff := cmp.Diff(string(want), string(got)); diff != "" {
		t.Errorf("%s is not what is rendered now (-file +now; rewrite with -update):\n%s", path, diff)
	}
}
