package serve

import "github.com/prometheus/client_golang/prometheus"

// DescribeMetrics describes every metric that a relay shows, for those who check what is asked of them: dashboards and alerts.
func DescribeMetrics(to chan<- *prometheus.Desc) {
	newMetrics("").registry.Describe(to)
	newCollector(nil).Describe(to)
}
