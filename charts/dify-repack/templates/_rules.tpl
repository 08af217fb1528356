{{/* The rights of the operator: what it calls, and not one verb more. */}}
{{- define "dify-repack.operatorRules" -}}
- apiGroups: [dify-repack.io]
  resources: [repackagetasks]
  verbs: [get, list, watch, delete]  # delete: at the end of their time to live
- apiGroups: [dify-repack.io]
  resources: [repackagetasks/status]
  verbs: [patch]
- apiGroups: [batch]
  resources: [jobs]
  verbs: [get, list, watch, create, delete]
- apiGroups: [""]
  resources: [pods]
  verbs: [list, watch]
{{- if .Values.operator.kubernetesEvents }}
- apiGroups: [""]
  resources: [events]
  verbs: [create]
{{- end }}
{{- end }}

{{/* The rights of the dashboard. */}}
{{- define "dify-repack.dashboardRules" -}}
- apiGroups: [dify-repack.io]
  resources: [repackagetasks]
  verbs: [list, create, patch, delete]
- apiGroups: [""]
  resources: [pods]
  verbs: [get, list]  # get: which attempt the sender of a worker's token belongs to; list: for the task's page
- apiGroups: [""]
  resources: [events]
  verbs: [list]
{{- end }}
