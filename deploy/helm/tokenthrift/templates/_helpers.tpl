{{- define "tokenthrift.name" -}}
{{- default .Chart.Name .Values.nameOverride | trunc 63 | trimSuffix "-" }}
{{- end }}

{{- define "tokenthrift.fullname" -}}
{{- if .Values.fullnameOverride }}
{{- .Values.fullnameOverride | trunc 52 | trimSuffix "-" }}
{{- else if contains (include "tokenthrift.name" .) .Release.Name }}
{{- .Release.Name | trunc 52 | trimSuffix "-" }}
{{- else }}
{{- printf "%s-%s" .Release.Name (include "tokenthrift.name" .) | trunc 52 | trimSuffix "-" }}
{{- end }}
{{- end }}

{{- define "tokenthrift.selectorLabels" -}}
app.kubernetes.io/name: {{ include "tokenthrift.name" . }}
app.kubernetes.io/instance: {{ .Release.Name }}
{{- end }}

{{- define "tokenthrift.labels" -}}
helm.sh/chart: {{ printf "%s-%s" .Chart.Name .Chart.Version | replace "+" "_" }}
{{ include "tokenthrift.selectorLabels" . }}
app.kubernetes.io/version: {{ .Chart.AppVersion | quote }}
app.kubernetes.io/managed-by: {{ .Release.Service }}
{{- end }}

{{- define "tokenthrift.image" -}}
{{- if .Values.image.digest -}}
{{ .Values.image.repository }}@{{ .Values.image.digest }}
{{- else -}}
{{ .Values.image.repository }}:{{ .Values.image.tag | default .Chart.AppVersion }}
{{- end }}
{{- end }}

{{/* A value as text: 16777216 is a float to Helm, which would write 1.6777216e+07. */}}
{{- define "tokenthrift.text" -}}
{{- if and (kindIs "float64" .) (eq (floor .) .) }}{{ printf "%.0f" . }}{{ else }}{{ . | toString }}{{ end }}
{{- end }}

{{/* The setting that each entry of the Secret is for. */}}
{{- define "tokenthrift.secretVariables" -}}
databaseUrl: DATABASE_URL
redisUrl: REDIS_URL
secretKey: TOKENTHRIFT_SECRET_KEY
keyPepper: TOKENTHRIFT_KEY_PEPPER
encryptionKeys: TOKENTHRIFT_ENCRYPTION_KEYS
adminKey: TOKENTHRIFT_ADMIN_KEY
metricsToken: TOKENTHRIFT_METRICS_TOKEN
redisSemanticUrl: REDIS_SEMANTIC_URL
qdrantApiKey: TOKENTHRIFT_QDRANT_API_KEY
{{- end }}

{{- define "tokenthrift.hasConfig" -}}
{{- if or .Values.config.files .Values.config.existingConfigMap }}yes{{ end }}
{{- end }}

{{/* The environment of the gateway, but for what settings say themselves. */}}
{{- define "tokenthrift.env" -}}
{{- $env := dict }}
{{- $variables := fromYaml (include "tokenthrift.secretVariables" .) }}
{{- range $key, $entry := .Values.secrets.keys }}
{{- if $entry }}
{{- $_ := set $env (printf "%s_FILE" (get $variables $key)) (printf "/run/secrets/tokenthrift/%s" $entry) }}
{{- end }}
{{- end }}
{{- $name := include "tokenthrift.fullname" . }}
{{- $hosts := list "localhost" "127.0.0.1" $name (printf "%s.%s" $name .Release.Namespace) (printf "%s.%s.svc" $name .Release.Namespace) }}
{{- $hosts = concat $hosts .Values.allowedHosts }}
{{- if .Values.ingress.enabled }}{{ $hosts = concat $hosts .Values.ingress.hosts }}{{ end }}
{{- $_ := set $env "TOKENTHRIFT_ALLOWED_HOSTS" (join "," ($hosts | uniq)) }}
{{- $_ := set $env "TOKENTHRIFT_TRUSTED_PROXIES" (join "," (concat (list "127.0.0.1") .Values.trustedProxies | uniq)) }}
{{- $_ := set $env "TOKENTHRIFT_HOST" "0.0.0.0" }}
{{- $_ := set $env "TOKENTHRIFT_HTTPS" (ternary "yes" "no" (and .Values.ingress.enabled (gt (len .Values.ingress.tls) 0))) }}
{{- $_ := set $env "TOKENTHRIFT_INSTANCE" (printf "%s-%s" .Release.Namespace $name) }}
{{- $_ := set $env "TOKENTHRIFT_WORKERS" (include "tokenthrift.text" .Values.workers) }}
{{- $_ := set $env "TOKENTHRIFT_SHUTDOWN_SECONDS" (include "tokenthrift.text" .Values.shutdownSeconds) }}
{{- $_ := set $env "TOKENTHRIFT_SPOOL_MB" (include "tokenthrift.text" .Values.spool.megabytesPerWorker) }}
{{- $_ := set $env "TOKENTHRIFT_LOG_FORMAT" "json" }}
{{- range $setting, $value := .Values.settings }}
{{- $_ := set $env $setting (include "tokenthrift.text" $value) }}
{{- end }}
{{/* Prometheus asks by the address of the pod, which the kubelet fills in. */}}
{{- if not (hasKey .Values.settings "TOKENTHRIFT_ALLOWED_HOSTS") }}
{{- $_ := set $env "TOKENTHRIFT_ALLOWED_HOSTS" (printf "%s,$(POD_IP),[$(POD_IP)]" (get $env "TOKENTHRIFT_ALLOWED_HOSTS")) }}
{{- end }}
- name: POD_IP
  valueFrom:
    fieldRef:
      fieldPath: status.podIP
{{- range $variable, $value := $env }}
- name: {{ $variable }}
  value: {{ $value | quote }}
{{- end }}
{{- end }}

{{- define "tokenthrift.podSecurity" -}}
runAsNonRoot: true
runAsUser: 10001
runAsGroup: 10001
fsGroup: 10001
fsGroupChangePolicy: OnRootMismatch
seccompProfile:
  type: RuntimeDefault
{{- end }}

{{- define "tokenthrift.containerSecurity" -}}
allowPrivilegeEscalation: false
readOnlyRootFilesystem: true
privileged: false
capabilities:
  drop: [ALL]
{{- end }}

{{/* What the image writes to: its root is read-only. */}}
{{- define "tokenthrift.volumeMounts" -}}
- name: secrets
  mountPath: /run/secrets/tokenthrift
  readOnly: true
- name: tmp
  mountPath: /tmp
- name: run
  mountPath: /app/var/run
- name: spool
  mountPath: /var/spool/tokenthrift
{{- end }}

{{- define "tokenthrift.volumes" -}}
- name: secrets
  secret:
    secretName: {{ required "secrets.existingSecret names the Secret of the gateway: docs/deploy.md, Kubernetes" .Values.secrets.existingSecret }}
    defaultMode: 0440
- name: tmp
  emptyDir:
    sizeLimit: {{ .Values.tmp.sizeLimit }}
- name: run
  emptyDir:
    sizeLimit: 64Mi
- name: spool
  emptyDir:
    sizeLimit: {{ mul 2 .Values.workers .Values.spool.megabytesPerWorker }}Mi
{{- end }}
