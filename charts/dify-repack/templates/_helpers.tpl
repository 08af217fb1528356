{{/* Names */}}
{{- define "dify-repack.name" -}}
{{- default .Chart.Name .Values.nameOverride | trunc 40 | trimSuffix "-" }}
{{- end }}

{{- define "dify-repack.fullname" -}}
{{- if .Values.fullnameOverride }}
{{- .Values.fullnameOverride | trunc 40 | trimSuffix "-" }}
{{- else }}
{{- $name := include "dify-repack.name" . }}
{{- if contains $name .Release.Name }}
{{- .Release.Name | trunc 40 | trimSuffix "-" }}
{{- else }}
{{- printf "%s-%s" .Release.Name $name | trunc 40 | trimSuffix "-" }}
{{- end }}
{{- end }}
{{- end }}

{{/* Labels; with a component: (dict "root" $ "component" "operator") */}}
{{- define "dify-repack.labels" -}}
helm.sh/chart: {{ printf "%s-%s" .Chart.Name .Chart.Version | replace "+" "_" | trunc 63 | trimSuffix "-" }}
app.kubernetes.io/name: {{ include "dify-repack.name" . }}
app.kubernetes.io/instance: {{ .Release.Name }}
app.kubernetes.io/version: {{ .Chart.AppVersion | quote }}
app.kubernetes.io/part-of: dify-repack
app.kubernetes.io/managed-by: {{ .Release.Service }}
{{- with .Values.commonLabels }}
{{ toYaml . }}
{{- end }}
{{- end }}

{{- define "dify-repack.componentLabels" -}}
{{ include "dify-repack.labels" .root }}
app.kubernetes.io/component: {{ .component }}
{{- end }}

{{- define "dify-repack.selector" -}}
app.kubernetes.io/name: {{ include "dify-repack.name" .root }}
app.kubernetes.io/instance: {{ .root.Release.Name }}
app.kubernetes.io/component: {{ .component }}
{{- end }}

{{/* An image of .Values.images: (dict "root" $ "name" "operator") */}}
{{- define "dify-repack.image" -}}
{{- $images := .root.Values.images }}
{{- $image := index $images .name }}
{{- $repository := $image.repository }}
{{- with $images.registry }}{{ $repository = printf "%s/%s" (trimSuffix "/" .) $repository }}{{ end }}
{{- if $image.digest }}
{{- printf "%s@%s" $repository $image.digest }}
{{- else }}
{{- printf "%s:%s" $repository (default .root.Chart.AppVersion $image.tag) }}
{{- end }}
{{- end }}

{{- define "dify-repack.serviceAccountName" -}}
{{- $account := (index .root.Values .component).serviceAccount }}
{{- if $account.create }}
{{- default (printf "%s-%s" (include "dify-repack.fullname" .root) .component) $account.name }}
{{- else }}
{{- default "default" $account.name }}
{{- end }}
{{- end }}

{{/* Pod Security "restricted" */}}
{{- define "dify-repack.podSecurityContext" -}}
runAsNonRoot: true
runAsUser: 65532
runAsGroup: 65532
fsGroup: 65532
fsGroupChangePolicy: OnRootMismatch
seccompProfile:
  type: RuntimeDefault
{{- end }}

{{- define "dify-repack.securityContext" -}}
allowPrivilegeEscalation: false
readOnlyRootFilesystem: true
capabilities:
  drop: [ALL]
{{- end }}

{{/* It has no namespace, so its name says whose it is */}}
{{- define "dify-repack.priorityClass" -}}
{{ include "dify-repack.fullname" . }}-{{ .Release.Namespace }}
{{- end }}

{{/* Where a Pod runs: (dict "root" $ "component" "operator") */}}
{{- define "dify-repack.placement" -}}
{{- $values := index .root.Values .component }}
{{- with $values.nodeSelector }}
nodeSelector:
  {{- toYaml . | nindent 2 }}
{{- end }}
{{- with $values.tolerations }}
tolerations:
  {{- toYaml . | nindent 2 }}
{{- end }}
{{- with $values.affinity }}
affinity:
  {{- toYaml . | nindent 2 }}
{{- end }}
{{- if $values.topologySpreadConstraints }}
topologySpreadConstraints:
  {{- toYaml $values.topologySpreadConstraints | nindent 2 }}
{{- else if gt (int $values.replicas) 1 }}
topologySpreadConstraints:
  - maxSkew: 1
    topologyKey: kubernetes.io/hostname
    whenUnsatisfiable: ScheduleAnyway
    labelSelector:
      matchLabels:
        {{- include "dify-repack.selector" . | nindent 8 }}
{{- end }}
{{- $priority := $values.priorityClassName }}
{{- if and (not $priority) .root.Values.priorityClass.create }}{{ $priority = include "dify-repack.priorityClass" .root }}{{ end }}
{{- with $priority }}
priorityClassName: {{ . }}
{{- end }}
{{- with .root.Values.images.pullSecrets }}
imagePullSecrets:
  {{- range . }}
  - name: {{ . }}
  {{- end }}
{{- end }}
{{- end }}

{{/* Further settings as environment */}}
{{- define "dify-repack.env" -}}
{{- range $name, $value := . }}
- name: {{ $name }}
  value: {{ $value | quote }}
{{- end }}
{{- end }}

{{- define "dify-repack.dashboardURL" -}}
http://{{ include "dify-repack.fullname" . }}-dashboard.{{ .Release.Namespace }}.svc:{{ .Values.dashboard.service.port }}
{{- end }}

{{/* Namespaces in which tasks are known to be, without repetition */}}
{{- define "dify-repack.taskNamespaces" -}}
{{- $names := concat .Values.namespaces .Values.networkPolicies.jobNamespaces }}
{{- if not .Values.namespaces }}{{ $names = append $names (include "dify-repack.pageNamespace" .) }}{{ end }}
{{- toJson (uniq $names) }}
{{- end }}

{{/* Namespace of the tasks that the page creates */}}
{{- define "dify-repack.pageNamespace" -}}
{{- default (first (append .Values.namespaces .Release.Namespace)) .Values.dashboard.namespace }}
{{- end }}

{{- define "dify-repack.leaderElection" -}}
{{- $wanted := .Values.operator.leaderElection.enabled }}
{{- if kindIs "bool" $wanted }}{{ if $wanted }}true{{ end }}{{ else if gt (int .Values.operator.replicas) 1 }}true{{ end }}
{{- end }}

{{/* Whether an object of an optional kind is made: (dict "root" $ "api" "…/v1/Kind" "mode" … "what" "…") */}}
{{- define "dify-repack.rendered" -}}
{{- if or (eq .mode "alwaysRender") (.root.Capabilities.APIVersions.Has .api) }}true
{{- else if eq .mode "failIfMissing" }}
{{- fail (printf "%s needs the kind %s, which this cluster does not serve: install it, or set renderMode to skipIfMissing" .what .api) }}
{{- end }}
{{- end }}

{{/* What cannot work is refused with a sentence. */}}
{{- define "dify-repack.checks" -}}
{{- $dashboard := .Values.dashboard }}
{{- $several := and $dashboard.enabled (gt (int $dashboard.replicas) 1) }}
{{- if and $several (not $dashboard.redis.url) (not $dashboard.redis.existingSecret.name) }}
{{- fail "dashboard.replicas is more than 1, and every replica would number events by itself: name a Redis in dashboard.redis.url or dashboard.redis.existingSecret" }}
{{- end }}
{{- $store := $dashboard.objectStore }}
{{- if and $dashboard.enabled $store.url $dashboard.persistence.enabled }}
{{- fail "dashboard.objectStore.url and dashboard.persistence.enabled are both set, but files lie in one place: set dashboard.persistence.enabled to false (what lies on the volume is not copied)" }}
{{- end }}
{{- if and (not $store.url) (or $store.endpoint $store.region $store.existingSecret $store.allowHttp $store.caBundle.configMap) }}
{{- fail "dashboard.objectStore says how to reach a store, but not which: set dashboard.objectStore.url to s3://bucket/prefix, gs://bucket/prefix or az://container/prefix" }}
{{- end }}
{{- range $name, $place := dict "dashboard.objectStore" $store "worker.wheelStore" .Values.worker.wheelStore }}
{{- if and $place.url (not (regexMatch "^(s3|gs|az)://[^/?#@]+(/[^?#]*)?$" $place.url)) }}
{{- fail (printf "%s.url is no address of an object store: give s3://bucket/prefix, gs://bucket/prefix or az://container/prefix, without credentials or parameters" $name) }}
{{- end }}
{{- if and (hasPrefix "http://" $place.endpoint) (not $place.allowHttp) }}
{{- fail (printf "%s.endpoint is http://, so that everything would go unencrypted: use https://, or set %s.allowHttp" $name $name) }}
{{- end }}
{{- end }}
{{- if and (not .Values.worker.wheelStore.url) (or .Values.worker.wheelStore.endpoint .Values.worker.wheelStore.region) }}
{{- fail "worker.wheelStore says how to reach a store, but not which: set worker.wheelStore.url" }}
{{- end }}
{{- if and $several (not $store.url) (not $dashboard.persistence.enabled) }}
{{- fail "dashboard.replicas is more than 1, and every replica would have packages of its own: set dashboard.objectStore.url, or dashboard.persistence.enabled with a volume that all replicas can mount" }}
{{- end }}
{{- if and $several (not $store.url) (not $dashboard.persistence.existingClaim) (not (has "ReadWriteMany" $dashboard.persistence.accessModes)) }}
{{- fail (printf "dashboard.replicas is more than 1, and a volume of access mode %s is mounted by one node only: set dashboard.persistence.accessModes to [ReadWriteMany], with a storage class that has it" (join ", " $dashboard.persistence.accessModes)) }}
{{- end }}
{{- if and (eq .Values.rbac.scope "namespaces") (not .Values.namespaces) }}
{{- fail "rbac.scope is namespaces, but namespaces is empty: list the namespaces whose tasks are served" }}
{{- end }}
{{- if and (gt (int .Values.operator.replicas) 1) (not (include "dify-repack.leaderElection" .)) }}
{{- fail "operator.replicas is more than 1 with operator.leaderElection.enabled false: all of them would work at once" }}
{{- end }}
{{- if and .Values.namespaces $dashboard.namespace (not (has $dashboard.namespace .Values.namespaces)) }}
{{- fail (printf "dashboard.namespace is %s, which is not in namespaces: nobody would serve what the page creates there" $dashboard.namespace) }}
{{- end }}
{{- range $where := list "commonLabels" "operator.podLabels" "dashboard.podLabels" }}
{{- $labels := $.Values }}{{ range splitList "." $where }}{{ $labels = index $labels . }}{{ end }}
{{- range $label, $_ := $labels }}
{{- if regexMatch "^(app\\.kubernetes\\.io|helm\\.sh)/" $label }}
{{- fail (printf "%s sets %s, by which the chart finds its own objects: choose another name" $where $label) }}
{{- end }}
{{- end }}
{{- end }}
{{- if not (hasKey .Values.worker.profiles "default") }}
{{- fail "worker.profiles has no profile named default: tasks that name none use it" }}
{{- end }}
{{- if and $dashboard.ingress.enabled (not $dashboard.ingress.host) }}
{{- fail "dashboard.ingress.enabled needs dashboard.ingress.host" }}
{{- end }}
{{- end }}
