package main

import (
	"context"

	"github.com/relaykeep/relaykeep/test/lab"
	"github.com/relaykeep/relaykeep/test/lab/report"
)

// show is one run of the demo.
type show struct {
	lab    *lab.Lab
	report *report.Reporter
}

func (s *show) run(ctx context.Context) error {
	return s.lab.Up(ctx)
}
