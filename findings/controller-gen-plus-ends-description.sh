#!/bin/bash
# controller-gen: in a field's comment, a line that begins with a plus sign ends the description, also if it is no marker.
#
# Go comments are wrapped wherever the line is full. If the wrapped line happens to begin with a plus sign, as a telephone number
# or "+1" does, controller-gen takes it for a marker, knows none of that name, and says nothing. That line and all that follows it is missing in the
# description of the CustomResourceDefinition, and so in kubectl explain. A good engineer expects the text as it stands, or an error.
# So: keep a plus sign away from the beginning of a comment's line, and let a test compare the last words of the descriptions.
#
# Source: sigs.k8s.io/controller-tools, pkg/markers; and the output below.
. "$(dirname "$0")/lib/common.sh"

version=v0.22.0
command -v go >/dev/null || could_not_run "Go is not installed"
mkdir v1
cat >v1/types.go <<'GO'
// +groupName=example.dev
package v1

import metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"

// Shop is a shop.
//
// +kubebuilder:object:root=true
type Shop struct {
	metav1.TypeMeta   `json:",inline"`
	metav1.ObjectMeta `json:"metadata,omitempty"`

	// plain is the shop's number in international form, for example
	// 41441234567. It cannot be changed.
	Plain string `json:"plain"`
	// plus is the shop's number in international form, for example
	// +41441234567. It cannot be changed.
	Plus string `json:"plus"`
}
GO
printf 'module finding\n\ngo 1.26\n' >go.mod
go get "sigs.k8s.io/controller-tools/cmd/controller-gen@$version" k8s.io/apimachinery >get.log 2>&1 || could_not_run "$(tail -n 1 get.log)"
go build -o controller-gen sigs.k8s.io/controller-tools/cmd/controller-gen || could_not_run "controller-gen does not build"
./controller-gen crd paths=./v1 output:crd:dir=crd || changed "controller-gen fails"
echo "controller-gen $version"
cat >descriptions <<'SH'
awk '/^ *(plain|plus):$/ { name = $1; text = ""; while ((getline line) > 0 && line !~ /^ *type:/) { sub(/^ *(description:)?( \|-)? */, "", line); text = text " " line } print name text }' crd/*.yaml | tr -s ' '
SH
expect "plain: plain is the shop's number in international form, for example 41441234567. It cannot be changed.
plus: plus is the shop's number in international form, for example" bash descriptions
