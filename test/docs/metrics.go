package docs

import (
	"fmt"
	"maps"
	"regexp"
	"slices"
	"strings"

	dto "github.com/prometheus/client_model/go"
)

// Metric is what a document says of one metric.
type Metric struct {
	Type string // as the exposition format names it
	// Labels are its labels, each with the values that it may have; nil for any.
	Labels map[string][]string
}

var (
	metricRow   = regexp.MustCompile("(?m)^\\| `([a-z_]+)` \\| ([a-z]+) \\|([^|]*)\\|")
	metricLabel = regexp.MustCompile("`([a-z_]+)`(?: \\(([^)]*)\\))?")
)

// Metrics reads the table of metrics below a heading, by name.
func Metrics(text, heading string) (map[string]Metric, error) {
	_, section, found := strings.Cut(text, "\n## "+heading+"\n")
	if !found {
		return nil, fmt.Errorf("there is no heading %q", heading)
	}
	section, _, _ = strings.Cut(section, "\n## ")
	all := map[string]Metric{}
	for _, row := range metricRow.FindAllStringSubmatch(section, -1) {
		if _, twice := all[row[1]]; twice {
			return nil, fmt.Errorf("%s is explained twice", row[1])
		}
		m := Metric{Type: row[2], Labels: map[string][]string{}}
		for _, l := range metricLabel.FindAllStringSubmatch(row[3], -1) {
			m.Labels[l[1]] = nil
			if l[2] != "" {
				m.Labels[l[1]] = strings.Split(l[2], ", ")
			}
		}
		all[row[1]] = m
	}
	if len(all) == 0 {
		return nil, fmt.Errorf("there is no metric below %q", heading)
	}
	return all, nil
}

// Differences compares metrics that are served with those that are explained, of the product alone: names, types, labels, and
// the values of labels whose values are explained. Nothing in what it returns is a value of another label.
func Differences(explained map[string]Metric, served []*dto.MetricFamily) (all []string) {
	missing := maps.Clone(explained)
	for _, f := range served {
		name := f.GetName()
		if !strings.HasPrefix(name, "relaykeep_") {
			continue
		}
		e, known := explained[name]
		if !known {
			all = append(all, name+" is served and not explained")
			continue
		}
		delete(missing, name)
		if kind := strings.ToLower(f.GetType().String()); kind != e.Type {
			all = append(all, fmt.Sprintf("%s is a %s, and explained as a %s", name, kind, e.Type))
		}
		for _, m := range f.Metric {
			all = append(all, labelDifferences(name, e, m)...)
		}
	}
	for name := range missing {
		all = append(all, name+" is explained and not served")
	}
	slices.Sort(all)
	return slices.Compact(all)
}

func labelDifferences(name string, e Metric, m *dto.Metric) (all []string) {
	missing := maps.Clone(e.Labels)
	for _, l := range m.Label {
		values, known := e.Labels[l.GetName()]
		delete(missing, l.GetName())
		switch {
		case !known:
			all = append(all, fmt.Sprintf("%s has a label %s that is not explained", name, l.GetName()))
		case values != nil && !slices.Contains(values, l.GetValue()):
			all = append(all, fmt.Sprintf("%s has a value of %s that is not explained", name, l.GetName()))
		}
	}
	for label := range missing {
		all = append(all, fmt.Sprintf("%s has no label %s, though that is explained", name, label))
	}
	return all
}
