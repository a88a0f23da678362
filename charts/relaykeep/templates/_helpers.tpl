{{/* Name of the chart in labels. */}}
{{- define "relaykeep.name" -}}
{{- default .Chart.Name .Values.nameOverride | trunc 40 | trimSuffix "-" -}}
{{- end -}}

{{/* Beginning of every object's name. */}}
{{- define "relaykeep.fullname" -}}
{{- if .Values.fullnameOverride -}}
{{- .Values.fullnameOverride | trunc 40 | trimSuffix "-" -}}
{{- else if contains (include "relaykeep.name" .) .Release.Name -}}
{{- .Release.Name | trunc 40 | trimSuffix "-" -}}
{{- else -}}
{{- printf "%s-%s" .Release.Name (include "relaykeep.name" .) | trunc 40 | trimSuffix "-" -}}
{{- end -}}
{{- end -}}

{{/* Name of the operator's own objects. */}}
{{- define "relaykeep.manager" -}}
{{- printf "%s-manager" (include "relaykeep.fullname" .) -}}
{{- end -}}

{{- define "relaykeep.serviceAccountName" -}}
{{- if and (not .Values.serviceAccount.create) (not .Values.serviceAccount.name) -}}
{{- fail "serviceAccount.name must say which account the operator runs as, because serviceAccount.create is false" -}}
{{- end -}}
{{- default (include "relaykeep.manager" .) .Values.serviceAccount.name -}}
{{- end -}}

{{/* Labels that never change, by which the operator's pods are found. */}}
{{- define "relaykeep.selectorLabels" -}}
app.kubernetes.io/name: {{ include "relaykeep.name" . }}
app.kubernetes.io/instance: {{ .Release.Name }}
app.kubernetes.io/component: manager
{{- end -}}

{{- define "relaykeep.labels" -}}
{{ include "relaykeep.selectorLabels" . }}
app.kubernetes.io/version: {{ .Chart.AppVersion | quote }}
app.kubernetes.io/managed-by: {{ .Release.Service }}
helm.sh/chart: {{ printf "%s-%s" .Chart.Name .Chart.Version | replace "+" "_" }}
{{- end -}}

{{/* The images that may hold a token for Vault, a list in CEL. */}}
{{- define "relaykeep.relayImages" -}}
{{- $own := include "relaykeep.image" (dict "image" .Values.relayImage "root" .) -}}
{{- $former := include "relaykeep.formerRelayImage" . | list | compact -}}
['{{ join "', '" (concat (list $own) $former .Values.admissionPolicies.relayImages | uniq) }}']
{{- end -}}

{{/* The image that relays ran before the last change of it, empty if there is none: what the operator in the cluster was
started with, or else what it noted. Without a cluster, as with helm template, nothing is known. */}}
{{- define "relaykeep.formerRelayImage" -}}
{{- $own := include "relaykeep.image" (dict "image" .Values.relayImage "root" .) -}}
{{- $deployed := lookup "apps/v1" "Deployment" .Release.Namespace (include "relaykeep.manager" .) -}}
{{- if and (dig "keepFormerImage" true .Values.admissionPolicies) $deployed -}}
{{- $former := dig "metadata" "annotations" "relaykeep.dev/former-relay-image" "" $deployed -}}
{{- range dig "spec" "template" "spec" "containers" list $deployed -}}
{{- range .args -}}
{{- if and (hasPrefix "--relay-image=" .) (ne . (printf "--relay-image=%s" $own)) -}}
{{- $former = trimPrefix "--relay-image=" . -}}
{{- end -}}
{{- end -}}
{{- end -}}
{{- if ne $former $own -}}{{- $former -}}{{- end -}}
{{- end -}}
{{- end -}}

{{/* The environment variables that their pods may have, a list in CEL. */}}
{{- define "relaykeep.relayEnvironment" -}}
{{- with .Values.admissionPolicies.relayEnvironment -}}
['{{ join "', '" . }}']
{{- else -}}
dyn([])
{{- end -}}
{{- end -}}

{{/* A reference to an image: the digest, else the tag, else the chart's version. */}}
{{- define "relaykeep.image" -}}
{{- if .image.digest -}}
{{- printf "%s@%s" .image.repository .image.digest -}}
{{- else -}}
{{- printf "%s:%s" .image.repository (default .root.Chart.AppVersion .image.tag) -}}
{{- end -}}
{{- end -}}
