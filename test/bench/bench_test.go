package main

import (
	"strings"
	"testing"
)

const sample = `goos: linux
goarch: amd64
pkg: example
BenchmarkEncrypt/size=100/impl=relaykeep-2 	 1000	 3000 ns/op	 100 B/op
BenchmarkEncrypt/size=100/impl=relaykeep-2 	 1000	 9000 ns/op	 100 B/op
BenchmarkEncrypt/size=100/impl=relaykeep-2 	 1000	 4000 ns/op	 100 B/op
BenchmarkEncrypt/size=100/impl=primitives-2 	 1000	 2000 ns/op
PASS
`

func TestMediansAreReadByBenchmarkAndUnit(t *testing.T) {
	m, err := readMedians([]byte(sample))
	if err != nil {
		t.Fatal(err)
	}
	if got := m[nsPerOp("Encrypt/size=100/impl=relaykeep")]; got != 4000 {
		t.Errorf("median is %v ns/op, want 4000", got)
	}
	if got := m[key{"Encrypt/size=100/impl=relaykeep", "B/op"}]; got != 100 {
		t.Errorf("median is %v B/op, want 100", got)
	}
}

func TestTableSaysWhichBudgetIsMissed(t *testing.T) {
	m, err := readMedians([]byte(sample))
	if err != nil {
		t.Fatal(err)
	}
	of, by := nsPerOp("Encrypt/size=100/impl=relaykeep"), nsPerOp("Encrypt/size=100/impl=primitives")
	tests := []struct {
		name   string
		budget budget
		missed int
	}{
		{"kept", budget{what: "kept", of: of, by: by, most: 2}, 0},
		{"missed", budget{what: "missed", of: of, by: by, most: 1.9}, 1},
		{"not measured", budget{what: "absent", of: nsPerOp("Absent"), by: by, most: 1.9}, 1},
		{"without a peer", budget{what: "absolute", of: of, most: 4000}, 0},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			var out strings.Builder
			if got := printTable(&out, []budget{tt.budget}, m); got != tt.missed {
				t.Errorf("%d missed, want %d:\n%s", got, tt.missed, out.String())
			}
			if strings.Contains(out.String(), "MISSED") != (tt.missed > 0) {
				t.Errorf("the table does not say so:\n%s", out.String())
			}
		})
	}
}
