{{/* Environment of the operator */}}
{{- define "dify-repack.operatorEnv" -}}
{{- $values := .Values.operator }}
{{- $worker := .Values.worker }}
{{- $env := dict
  "REPACK_OPERATOR_MAX_CONCURRENT" ($values.maxConcurrent | int | toString)
  "REPACK_OPERATOR_KUBERNETES_EVENTS" ($values.kubernetesEvents | toString)
  "REPACK_OPERATOR_LOG_LEVEL" $values.logLevel
  "REPACK_OPERATOR_WORKER_IMAGE" (include "dify-repack.image" (dict "root" . "name" "worker"))
  "REPACK_OPERATOR_WORKER_IMAGE_PULL_POLICY" .Values.images.pullPolicy
  "REPACK_OPERATOR_WORKER_ENV" (include "dify-repack.workerEnv" .)
  "REPACK_OPERATOR_PROFILES" (toJson $worker.profiles)
}}
{{- with .Values.namespaces }}{{ $_ := set $env "REPACK_OPERATOR_NAMESPACES" (toJson .) }}{{ end }}
{{- with $values.maxPerNamespace }}{{ $_ := set $env "REPACK_OPERATOR_MAX_PER_NAMESPACE" (. | int | toString) }}{{ end }}
{{- with $values.namespaceWeights }}{{ $_ := set $env "REPACK_OPERATOR_NAMESPACE_WEIGHTS" (toJson .) }}{{ end }}
{{- if not (kindIs "invalid" $values.defaultTtlSeconds) }}
{{- $_ := set $env "REPACK_OPERATOR_DEFAULT_TTL_SECONDS" ($values.defaultTtlSeconds | int64 | toString) }}
{{- end }}
{{- with .Values.images.pullSecrets }}{{ $_ := set $env "REPACK_OPERATOR_WORKER_IMAGE_PULL_SECRETS" (toJson .) }}{{ end }}
{{- with $worker.serviceAccountName }}{{ $_ := set $env "REPACK_OPERATOR_WORKER_SERVICE_ACCOUNT" . }}{{ end }}
{{- with $worker.envFromSecrets }}{{ $_ := set $env "REPACK_OPERATOR_WORKER_ENV_FROM_SECRETS" (toJson .) }}{{ end }}
{{- $mounted := list }}
{{- with $worker.signingKey.name }}{{ $mounted = append $mounted . }}{{ end }}
{{- with $worker.netrc.name }}{{ $mounted = append $mounted . }}{{ end }}
{{- with $mounted }}{{ $_ := set $env "REPACK_OPERATOR_WORKER_MOUNTED_SECRETS" (uniq . | toJson) }}{{ end }}
{{- with $worker.caBundle.configMap }}
{{- $_ := set $env "REPACK_OPERATOR_WORKER_CA_CONFIG_MAP" . }}
{{- $_ := set $env "REPACK_OPERATOR_WORKER_CA_KEY" $worker.caBundle.key }}
{{- end }}
{{- if .Values.dashboard.enabled }}
{{- $_ := set $env "REPACK_OPERATOR_INGEST_URL" (include "dify-repack.dashboardURL" .) }}
{{- $_ := set $env "REPACK_OPERATOR_INGEST_TOKEN_FILE" "/var/run/secrets/dify-repack/token" }}
{{- end }}
{{- if include "dify-repack.leaderElection" . }}
{{- $_ := set $env "REPACK_OPERATOR_LEADER_ELECTION" "true" }}
{{- $_ := set $env "REPACK_OPERATOR_LEASE_NAME" (printf "%s-operator" (include "dify-repack.fullname" .)) }}
{{- $_ := set $env "REPACK_OPERATOR_LEASE_NAMESPACE" .Release.Namespace }}
{{- end }}
{{- include "dify-repack.env" (merge (dict) $values.env $env) }}
{{- if include "dify-repack.leaderElection" . }}
- name: REPACK_OPERATOR_IDENTITY
  valueFrom:
    fieldRef:
      fieldPath: metadata.name
{{- end }}
{{- end }}

{{/* Environment of the workers, as JSON */}}
{{- define "dify-repack.workerEnv" -}}
{{- $worker := .Values.worker }}
{{- $env := dict }}
{{- with $worker.indexUrl }}{{ $_ := set $env "REPACK_INDEX_URL" . }}{{ end }}
{{- with $worker.signingKey }}
{{- if .name }}{{ $_ := set $env "REPACK_SIGNING_KEY_FILE" (printf "/etc/dify-repack/secrets/%s/%s" .name .key) }}{{ end }}
{{- end }}
{{- with $worker.netrc }}
{{- if .name }}{{ $_ := set $env "REPACK_INDEX_NETRC_FILE" (printf "/etc/dify-repack/secrets/%s/%s" .name .key) }}{{ end }}
{{- end }}
{{- with $worker.wheelStore }}
{{- if .url }}
{{- $_ := set $env "REPACK_WHEEL_STORE_URL" .url }}
{{- with .endpoint }}{{ $_ := set $env "REPACK_WHEEL_STORE_ENDPOINT" . }}{{ end }}
{{- with .region }}{{ $_ := set $env "REPACK_WHEEL_STORE_REGION" . }}{{ end }}
{{- if not .pathStyle }}{{ $_ := set $env "REPACK_WHEEL_STORE_PATH_STYLE" "false" }}{{ end }}
{{- if .allowHttp }}{{ $_ := set $env "REPACK_WHEEL_STORE_ALLOW_HTTP" "true" }}{{ end }}
{{- end }}
{{- end }}
{{- with $worker.allowedPrivateHosts }}{{ $_ := set $env "REPACK_ALLOWED_PRIVATE_HOSTS" (toJson .) }}{{ end }}
{{- with $worker.proxy.http }}{{ $_ := set $env "HTTP_PROXY" . }}{{ end }}
{{- with $worker.proxy.https }}{{ $_ := set $env "HTTPS_PROXY" . }}{{ end }}
{{- with $worker.proxy.noProxy }}{{ $_ := set $env "NO_PROXY" . }}{{ end }}
{{- toJson (merge (dict) $worker.env $env) }}
{{- end }}

{{/* Environment of the dashboard */}}
{{- define "dify-repack.dashboardEnv" -}}
{{- $values := .Values.dashboard }}
{{- $operator := include "dify-repack.serviceAccountName" (dict "root" . "component" "operator") }}
{{- $env := dict
  "REPACK_DASHBOARD_HOST" "0.0.0.0"
  "REPACK_DASHBOARD_PORT" "8080"
  "REPACK_DASHBOARD_DATA_DIR" "/data"
  "REPACK_DASHBOARD_NAMESPACE" (include "dify-repack.pageNamespace" .)
  "REPACK_DASHBOARD_AUTH_MODE" $values.auth.mode
  "REPACK_DASHBOARD_INGEST_AUTH" "kubernetes"
  "REPACK_DASHBOARD_INGEST_OPERATORS" (toJson (list (printf "system:serviceaccount:%s:%s" .Release.Namespace $operator)))
  "REPACK_DASHBOARD_MAX_UPLOAD_BYTES" ($values.maxUploadBytes | int64 | toString)
  "REPACK_DASHBOARD_RETENTION_SECONDS" ($values.retentionSeconds | int64 | toString)
  "REPACK_DASHBOARD_DRAIN_SECONDS" ($values.drainSeconds | int | toString)
}}
{{- with .Values.namespaces }}{{ $_ := set $env "REPACK_DASHBOARD_WATCH_NAMESPACES" (toJson .) }}{{ end }}
{{- with $values.allowedHosts }}{{ $_ := set $env "REPACK_DASHBOARD_ALLOWED_HOSTS" (toJson .) }}{{ end }}
{{- with $values.allowedOrigins }}{{ $_ := set $env "REPACK_DASHBOARD_ALLOWED_ORIGINS" (toJson .) }}{{ end }}
{{- with $values.trustedProxies }}{{ $_ := set $env "REPACK_DASHBOARD_TRUSTED_PROXIES" (toJson .) }}{{ end }}
{{- with .Values.worker.indexUrl }}{{ $_ := set $env "REPACK_DASHBOARD_DEFAULT_PACKAGE_INDEX_URL" . }}{{ end }}
{{- if eq $values.auth.mode "token" }}
{{- $_ := set $env "REPACK_DASHBOARD_AUTH_TOKEN_FILE" "/var/run/secrets/dify-repack-users/token" }}
{{- end }}
{{- with $values.objectStore }}
{{- if .url }}
{{- $_ := set $env "REPACK_DASHBOARD_STORE_URL" .url }}
{{- with .endpoint }}{{ $_ := set $env "REPACK_DASHBOARD_STORE_ENDPOINT" . }}{{ end }}
{{- with .region }}{{ $_ := set $env "REPACK_DASHBOARD_STORE_REGION" . }}{{ end }}
{{- if not .pathStyle }}{{ $_ := set $env "REPACK_DASHBOARD_STORE_PATH_STYLE" "false" }}{{ end }}
{{- if .allowHttp }}{{ $_ := set $env "REPACK_DASHBOARD_STORE_ALLOW_HTTP" "true" }}{{ end }}
{{- if .caBundle.configMap }}{{ $_ := set $env "REPACK_DASHBOARD_STORE_CA_FILE" "/etc/dify-repack/store-ca/ca.crt" }}{{ end }}
{{- end }}
{{- end }}
{{- if or $values.redis.url $values.redis.existingSecret.name }}
{{- $_ := set $env "REPACK_DASHBOARD_REDIS_PREFIX" $values.redis.prefix }}
{{- if $values.redis.existingSecret.name }}
{{- $_ := set $env "REPACK_DASHBOARD_REDIS_URL_FILE" "/var/run/secrets/dify-repack-redis/url" }}
{{- else }}
{{- $_ := set $env "REPACK_DASHBOARD_REDIS_URL" $values.redis.url }}
{{- end }}
{{- end }}
{{- include "dify-repack.env" (merge (dict) $values.env $env) }}
{{- end }}

{{/* Name and key of the Secret with the users' token */}}
{{- define "dify-repack.tokenSecret" -}}
{{- default (printf "%s-token" (include "dify-repack.fullname" .)) .Values.dashboard.auth.existingSecret.name }}
{{- end }}

{{- define "dify-repack.claim" -}}
{{- default (printf "%s-data" (include "dify-repack.fullname" .)) .Values.dashboard.persistence.existingClaim }}
{{- end }}
