//go:build e2e

package e2e

import (
	"fmt"
	"strings"
	"testing"

	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"

	"github.com/relaykeep/relaykeep/api/v1alpha1"
	"github.com/relaykeep/relaykeep/test/lab"
)

// candidate is a BusinessRelay as somebody would write it. It is suspended: nothing
// of it runs.
type candidate struct {
	namespace, name, number, region, size string
	days                                  int
}

func (c candidate) manifest() string {
	return fmt.Sprintf(`{apiVersion: relaykeep.dev/v1alpha1, kind: BusinessRelay, metadata: {name: %s, namespace: %s}, spec: {
		phoneNumber: %q, dataRegion: %s, storage: {size: %s}, retention: {days: %d}, suspend: true}}`,
		c.name, c.namespace, c.number, c.region, c.size, c.days)
}

func (c candidate) relay() *v1alpha1.BusinessRelay {
	return &v1alpha1.BusinessRelay{ObjectMeta: metav1.ObjectMeta{Namespace: c.namespace, Name: c.name}}
}

// trial returns a candidate that is taken, in a namespace of its own that is gone after
// the test. Tests on such run beside others: they wait most of the time.
func trial(t *testing.T, namespace, number string) candidate {
	t.Helper()
	t.Parallel()
	_, err := environment.Apply(within(t), fmt.Sprintf("{apiVersion: v1, kind: Namespace, metadata: {name: %s}}", namespace))
	check(t, err)
	t.Cleanup(func() { endTrial(t, namespace) })
	return candidate{namespace: namespace, name: "trial", number: number, region: "eu", size: "128Mi", days: 30}
}

// endTrial removes what the candidates left. Each is deleted before its namespace,
// as its finalizer asks for objects in it.
func endTrial(t *testing.T, namespace string) {
	for _, args := range [][]string{
		{"delete", "brelay", "--all", "-n", namespace, "--timeout=90s"},
		{"delete", "namespace", namespace, "--timeout=90s"},
	} {
		if _, err := environment.Kubectl(withoutTest(), args...); err != nil {
			t.Error(err)
		}
	}
}

func TestInvalidSpec_IsRefusedAtApplyWithWhatToDo(t *testing.T) { //nolint:tparallel // its parts are steps
	rightful := trial(t, "trial-refused", "+493023125101")
	_, err := environment.Apply(within(t), rightful.manifest())
	check(t, err)
	changed := func(change func(*candidate)) candidate {
		c := rightful
		change(&c)
		return c
	}
	for _, refused := range []struct {
		what string
		candidate
		says string
	}{
		{"a number that is none", changed(func(c *candidate) { c.number = "030 23125101" }), "phoneNumber must be in E.164 form: a plus sign"},
		{"31 days", changed(func(c *candidate) { c.days = 31 }), "retention.days must be 1 to 30"},
		{"a name over 40 characters", changed(func(c *candidate) { c.name = strings.Repeat("a", 41) }), "choose a name of at most 40 characters"},
		{"another region", changed(func(c *candidate) { c.region = "na" }), "create another BusinessRelay in the other region"},
		{"a smaller volume", changed(func(c *candidate) { c.size = "64Mi" }), "set it back to its former size or larger"},
	} {
		t.Run(refused.what, func(t *testing.T) {
			_, err := environment.Apply(within(t), refused.manifest())
			if err == nil {
				t.Fatal("it was taken")
			}
			contains(t, err.Error(), refused.says)
		})
	}
	t.Run("the rightful owner's same command succeeds", func(t *testing.T) {
		grown := changed(func(c *candidate) { c.days, c.size = 29, "256Mi" })
		_, err := environment.Apply(within(t), grown.manifest())
		check(t, err)
		relay := rightful.relay()
		check(t, environment.Client().Get(within(t), key(relay), relay))
		if relay.Spec.Retention.Days != 29 || relay.Spec.PhoneNumber != rightful.number || string(relay.Spec.DataRegion) != "eu" {
			t.Errorf("the refused changes left something behind: %+v", relay.Spec)
		}
	})
}

func TestRegion_UnknownIsACondition(t *testing.T) {
	rightful := trial(t, "trial-region", "+493023125102")
	lost := rightful
	lost.region = "atlantis"
	_, err := environment.Apply(within(t), lost.manifest())
	check(t, err)
	c, err := environment.WaitCondition(within(t), lost.relay(), v1alpha1.ConditionPlaced, metav1.ConditionFalse)
	check(t, err)
	if c.Reason != v1alpha1.ReasonRegionNotFound {
		t.Errorf("the reason is %s", c.Reason)
	}
	contains(t, c.Message, "atlantis", "DataRegion")
	if pods := kubectl(t, "get", "pods,pvc", "-n", lost.namespace, "-o", "name"); pods != "" {
		t.Errorf("something was placed nevertheless: %s", pods)
	}
	kubectl(t, "delete", "brelay", "-n", lost.namespace, lost.name)
	_, err = environment.Apply(within(t), rightful.manifest())
	check(t, err)
	_, err = environment.WaitCondition(within(t), rightful.relay(), v1alpha1.ConditionPlaced, metav1.ConditionTrue)
	check(t, err)
}

func TestNumber_TakenIsACondition(t *testing.T) {
	rightful := trial(t, "trial-number", "+493023125103")
	thief := rightful
	thief.number = lab.Acme.Number
	_, err := environment.Apply(within(t), thief.manifest())
	check(t, err)
	c, err := environment.WaitCondition(within(t), thief.relay(), v1alpha1.ConditionReady, metav1.ConditionFalse)
	check(t, err)
	if c.Reason != v1alpha1.ReasonNumberInUse {
		t.Errorf("the reason is %s", c.Reason)
	}
	if strings.Contains(c.Message, lab.Acme.Name+"/") {
		t.Error("the message tells a stranger whose number it is")
	}
	_, err = environment.WaitCondition(within(t), lab.Acme.Relay(), v1alpha1.ConditionReady, metav1.ConditionTrue)
	check(t, err)
	_, err = environment.Apply(within(t), rightful.manifest()) // a number of its own
	check(t, err)
	_, err = environment.WaitCondition(within(t), rightful.relay(), v1alpha1.ConditionPlaced, metav1.ConditionTrue)
	check(t, err)
}
