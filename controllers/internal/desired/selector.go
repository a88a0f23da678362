package desired

import (
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	metav1ac "k8s.io/client-go/applyconfigurations/meta/v1"
)

// selectorOf copies a label selector. An empty one selects everything and stays so.
func selectorOf(s *metav1.LabelSelector) *metav1ac.LabelSelectorApplyConfiguration {
	a := metav1ac.LabelSelector()
	if len(s.MatchLabels) > 0 {
		a.WithMatchLabels(s.MatchLabels)
	}
	for _, r := range s.MatchExpressions {
		e := metav1ac.LabelSelectorRequirement().WithKey(r.Key).WithOperator(r.Operator)
		if len(r.Values) > 0 {
			e.WithValues(r.Values...)
		}
		a.WithMatchExpressions(e)
	}
	return a
}
