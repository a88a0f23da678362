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
{{- $own := include "relaykeep.image" (dict "image" .Values.relayImage "name" "relay" "root" .) -}}
{{- $former := splitList "," (include "relaykeep.formerRelayImages" .) | compact -}}
['{{ join "', '" (concat (list $own) $former .Values.admissionPolicies.relayImages | uniq) }}']
{{- end -}}

{{/* The images that relays ran before, at most three, separated by commas: what the operator in the cluster was started with,
and what it noted. Several, because a release may come before all relays had the last one. Without a cluster, as with helm
template, nothing is known. */}}
{{- define "relaykeep.formerRelayImages" -}}
{{- $own := include "relaykeep.image" (dict "image" .Values.relayImage "name" "relay" "root" .) -}}
{{- $deployed := lookup "apps/v1" "Deployment" .Release.Namespace (include "relaykeep.manager" .) -}}
{{- if and (dig "keepFormerImage" true .Values.admissionPolicies) $deployed -}}
{{- $former := splitList "," (dig "metadata" "annotations" "relaykeep.dev/former-relay-images" "" $deployed) -}}
{{- range dig "spec" "template" "spec" "containers" list $deployed -}}
{{- range .args -}}
{{- if hasPrefix "--relay-image=" . -}}
{{- $former = prepend $former (trimPrefix "--relay-image=" .) -}}
{{- end -}}
{{- end -}}
{{- end -}}
{{- $former = without (compact $former | uniq) $own -}}
{{- slice $former 0 (min 3 (len $former)) | join "," -}}
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

{{/* A reference to an image: the digest, else the tag, else the digest that the chart's release has, else the chart's version. */}}
{{- define "relaykeep.image" -}}
{{- $released := index .root.Chart.Annotations (printf "relaykeep.dev/%s-digest" .name) -}}
{{- if .image.digest -}}
{{- printf "%s@%s" .image.repository .image.digest -}}
{{- else if and $released (not .image.tag) -}}
{{- printf "%s@%s" .image.repository $released -}}
{{- else -}}
{{- printf "%s:%s" .image.repository (default .root.Chart.AppVersion .image.tag) -}}
{{- end -}}
{{- end -}}

{{/* Whether metrics are served to those only who may read them: "true" or "false". */}}
{{- define "relaykeep.metricsSecure" -}}
{{- and .Values.metrics.enabled (dig "secure" true .Values.metrics) -}}
{{- end -}}

{{/* Binds a Role of the operator's to its account, in the Role's namespace. */}}
{{- define "relaykeep.roleBinding" -}}
---
apiVersion: rbac.authorization.k8s.io/v1
kind: RoleBinding
metadata:
  name: {{ .role }}
  namespace: {{ .namespace }}
  labels:
    {{- include "relaykeep.labels" .root | nindent 4 }}
roleRef:
  apiGroup: rbac.authorization.k8s.io
  kind: Role
  name: {{ .role }}
subjects:
  - kind: ServiceAccount
    name: {{ include "relaykeep.serviceAccountName" .root }}
    namespace: {{ .root.Release.Namespace }}
{{- end -}}

{{/* Fails for a namespace of watchNamespaces that does not exist. Helm would fail as well, but only after it had taken the
operator's rights on all namespaces. Without a cluster, as with helm template, nothing is known. */}}
{{- define "relaykeep.checkNamespaces" -}}
{{- if .Values.watchNamespaces -}}
{{- if lookup "v1" "Namespace" "" "default" -}}
{{- range .Values.watchNamespaces -}}
{{- $namespace := lookup "v1" "Namespace" "" . -}}
{{- if not $namespace -}}
{{- fail (printf "watchNamespaces names %s, which does not exist: create that namespace first" .) -}}
{{- end -}}
{{- if dig "metadata" "deletionTimestamp" "" $namespace -}}
{{- fail (printf "watchNamespaces names %s, which is being deleted: take it out, or wait until it is gone and create it" .) -}}
{{- end -}}
{{- end -}}
{{- end -}}
{{- end -}}
{{- end -}}
