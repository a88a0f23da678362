package gatewayapi_test

import (
	"strings"
	"testing"

	"k8s.io/apimachinery/pkg/apis/meta/v1/unstructured"

	"github.com/relaykeep/relaykeep/test/gatewayapi"
)

func TestDefinitions_AreTheStandardChannels(t *testing.T) {
	all, err := gatewayapi.Definitions(t.Context(), "tlsroutes", "httproutes")
	if err != nil {
		t.Fatal(err)
	}
	for i, kind := range []string{"TLSRoute", "HTTPRoute"} {
		got, _, _ := unstructured.NestedString(all[i].Object, "spec", "names", "kind")
		channel := all[i].GetAnnotations()["gateway.networking.k8s.io/channel"]
		version := all[i].GetAnnotations()["gateway.networking.k8s.io/bundle-version"]
		if got != kind || channel != "standard" || version != gatewayapi.Version {
			t.Errorf("%s of %s in channel %s, want %s of %s", got, version, channel, kind, gatewayapi.Version)
		}
	}
	_, err = gatewayapi.Definitions(t.Context(), "hoverroutes")
	if err == nil || !strings.Contains(err.Error(), "defines no hoverroutes") {
		t.Errorf("a kind that does not exist: %v", err)
	}
}
