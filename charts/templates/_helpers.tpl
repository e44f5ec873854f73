{{- define "hyperfleet.name" -}}
{{- default .Chart.Name .Values.nameOverride | trunc 52 | trimSuffix "-" }}
{{- end }}

{{- define "hyperfleet.fullname" -}}
{{- if .Values.fullnameOverride }}
{{- .Values.fullnameOverride | trunc 52 | trimSuffix "-" }}
{{- else if contains (include "hyperfleet.name" .) .Release.Name }}
{{- .Release.Name | trunc 52 | trimSuffix "-" }}
{{- else }}
{{- printf "%s-%s" .Release.Name (include "hyperfleet.name" .) | trunc 52 | trimSuffix "-" }}
{{- end }}
{{- end }}

{{- define "hyperfleet.labels" -}}
{{ include "hyperfleet.selector" . }}
app.kubernetes.io/version: {{ .Chart.AppVersion | quote }}
app.kubernetes.io/managed-by: {{ .Release.Service }}
helm.sh/chart: {{ printf "%s-%s" .Chart.Name .Chart.Version }}
{{- end }}

{{/* The component distinguishes the selector of the service from that of its PostgreSQL. */}}
{{- define "hyperfleet.selector" -}}
app.kubernetes.io/name: {{ include "hyperfleet.name" . }}
app.kubernetes.io/instance: {{ .Release.Name }}
app.kubernetes.io/component: api
{{- end }}

{{- define "hyperfleet.postgresql.selector" -}}
app.kubernetes.io/name: {{ include "hyperfleet.name" . }}
app.kubernetes.io/instance: {{ .Release.Name }}
app.kubernetes.io/component: postgresql
{{- end }}

{{- define "hyperfleet.postgresql.name" -}}
{{ include "hyperfleet.fullname" . }}-postgresql
{{- end }}

{{- define "hyperfleet.serviceAccountName" -}}
{{- if .Values.serviceAccount.create }}
{{- default (include "hyperfleet.fullname" .) .Values.serviceAccount.name }}
{{- else }}
{{- default "default" .Values.serviceAccount.name }}
{{- end }}
{{- end }}

{{- define "hyperfleet.image" -}}
{{- $path := printf "%s:%s" .repository (.tag | toString) }}
{{- if .registry }}{{ printf "%s/%s" .registry $path }}{{ else }}{{ $path }}{{ end }}
{{- end }}

{{- define "hyperfleet.pullPolicy" -}}
{{- .pullPolicy | default (eq (toString .tag) "latest" | ternary "Always" "IfNotPresent") }}
{{- end }}

{{- define "hyperfleet.schema" -}}
{{- if .Values.provider.schema }}{{ .Values.provider.schema }}{{ else if .Values.validationSchema.enabled }}{{ .Values.validationSchema.content }}{{ end }}
{{- end }}

{{/* The scheme of a listener: https if its settings enable TLS, else http. */}}
{{- define "hyperfleet.scheme" -}}
{{- $settings := include "hyperfleet.settings" .root | fromYaml }}
{{- eq "true" (include "hyperfleet.setting" (dict "tree" $settings "path" (printf "%s.tls.enabled" .listener))) | ternary "https" "http" }}
{{- end }}

{{- define "hyperfleet.configMapName" -}}
{{- default (printf "%s-config" (include "hyperfleet.fullname" .)) .Values.config.existingConfigMap }}
{{- end }}

{{/* Rejects combinations of values that a schema cannot express. */}}
{{- define "hyperfleet.checked" -}}
{{- include "hyperfleet.originalChecked" . }}
{{- $database := .Values.database }}
{{- if and $database.postgresql.enabled $database.external.enabled }}
{{- fail "database.postgresql.enabled and database.external.enabled: the service has one database; set one of them to false." }}
{{- end }}
{{- if not (or $database.postgresql.enabled $database.external.enabled) }}
{{- fail "database: enable postgresql or external." }}
{{- end }}
{{- if and $database.external.enabled (not $database.external.secretName) }}
{{- fail "database.external.secretName: name the Secret with db.host, db.port, db.name, db.user and db.password." }}
{{- end }}
{{- $budget := .Values.podDisruptionBudget }}
{{- if and $budget.enabled (eq (kindIs "invalid" $budget.minAvailable) (kindIs "invalid" $budget.maxUnavailable)) }}
{{- fail "podDisruptionBudget: set one of minAvailable and maxUnavailable." }}
{{- end }}
{{- with .Values.monitoring.tracing }}
{{- if and .enabled (not .endpoint) }}
{{- fail "monitoring.tracing.endpoint: set the collector's address, such as http://collector:4318." }}
{{- end }}
{{- end }}
{{- with .Values.autoscaling }}
{{- if .enabled }}
{{- if gt (int .minReplicas) (int .maxReplicas) }}
{{- fail "autoscaling.minReplicas is greater than autoscaling.maxReplicas." }}
{{- end }}
{{- include "hyperfleet.hasCpuRequest" (dict "name" "resources" "resources" $.Values.resources) }}
{{- if $.Values.pgbouncer.enabled }}
{{- include "hyperfleet.hasCpuRequest" (dict "name" "pgbouncer.resources" "resources" $.Values.pgbouncer.resources) }}
{{- end }}
{{- range $index, $sidecar := $.Values.sidecars }}
{{- include "hyperfleet.hasCpuRequest" (dict "name" (printf "sidecars[%d].resources" $index) "resources" ($sidecar.resources | default dict)) }}
{{- end }}
{{- end }}
{{- end }}
{{- if and .Values.ingress.enabled (not .Values.ingress.hosts) }}
{{- fail "ingress.hosts: name at least one host." }}
{{- end }}
{{- if and .Values.httpRoute.enabled (not .Values.httpRoute.parentRefs) }}
{{- fail "httpRoute.parentRefs: name the Gateway, such as [{name: gateway, namespace: gateways}]." }}
{{- end }}
{{- include "hyperfleet.sslChecked" . }}
{{- include "hyperfleet.settingsChecked" . }}
{{- if and .Values.provider.schema .Values.validationSchema.enabled }}
{{- fail "provider.schema and validationSchema are two names of the same value; set one." }}
{{- end }}
{{- end }}

{{/* Rejects values of the original chart, all at once, each with what to do instead. */}}
{{- define "hyperfleet.originalChecked" -}}
{{- $refused := list }}
{{- range $path, $instead := .Files.Get "files/original-values.yaml" | fromYaml }}
{{- $at := $.Values }}
{{- $is := true }}
{{- range splitList "." $path }}
{{- $is = and $is (kindIs "map" $at) }}
{{- if $is }}
{{- $is = hasKey $at . }}
{{- $at = get $at . }}
{{- end }}
{{- end }}
{{- if $is }}
{{- $refused = append $refused (printf "%s is a value of the original chart: %s." $path $instead) }}
{{- end }}
{{- end }}
{{- if $refused }}
{{- fail (join "\n" $refused) }}
{{- end }}
{{- end }}

{{/* Utilization is relative to the requests of all containers of the pod; one without a request disables the autoscaler. */}}
{{- define "hyperfleet.hasCpuRequest" -}}
{{- if not (.resources.requests | default dict).cpu }}
{{- fail (printf "%s.requests.cpu: autoscaling requires a CPU request for every container of the pod." .name) }}
{{- end }}
{{- end }}

{{- define "hyperfleet.sslMode" -}}
{{- .Values.database.sslMode | default .Values.database.ssl.mode }}
{{- end }}

{{- define "hyperfleet.sslChecked" -}}
{{- $ssl := .Values.database.ssl }}
{{- $mode := include "hyperfleet.sslMode" . }}
{{- if and .Values.database.sslMode (ne $ssl.mode "disable") (ne $ssl.mode .Values.database.sslMode) }}
{{- fail "database.ssl.mode and database.sslMode are two names of the same value; set database.ssl.mode." }}
{{- end }}
{{- $verifies := hasPrefix "verify-" $mode }}
{{- if and .Values.database.postgresql.enabled (ne $mode "disable") }}
{{- fail "database.ssl.mode: the built-in PostgreSQL does not support TLS; use disable, or an external database." }}
{{- end }}
{{- if and $ssl.caSecret (not $verifies) }}
{{- fail (printf "database.ssl.caSecret would have no effect: database.ssl.mode is %s; use verify-full." $mode) }}
{{- end }}
{{- if and $verifies (not $ssl.caSecret) (or .Values.pgbouncer.enabled (and .Values.backup.enabled (eq $mode "verify-ca"))) }}
{{- fail (printf "database.ssl.caSecret: PgBouncer, and pg_dump with verify-ca, need the certificate of the certificate authority for %s." $mode) }}
{{- end }}
{{- end }}

{{/* The certificate of the certificate authority, mounted in every container that connects to the database. */}}
{{- define "hyperfleet.caMount" -}}
{{- if .Values.database.ssl.caSecret -}}
- {name: database-ca, mountPath: /etc/hyperfleet-database, readOnly: true}
{{- end }}
{{- end }}

{{- define "hyperfleet.caVolume" -}}
{{- if .Values.database.ssl.caSecret -}}
- name: database-ca
  secret:
    secretName: {{ .Values.database.ssl.caSecret | quote }}
    items: [{key: {{ .Values.database.ssl.caKey | quote }}, path: ca.crt}]
{{- end }}
{{- end }}

{{/* How to reach the database: directly, or with `bounced` through the PgBouncer in the same pod. */}}
{{- define "hyperfleet.databaseEnv" -}}
{{- $root := .root }}
{{- $external := $root.Values.database.external }}
{{- $own := include "hyperfleet.postgresql.name" $root }}
{{- if .bounced -}}
- {name: HYPERFLEET_DATABASE_HOST, value: 127.0.0.1}
- {name: HYPERFLEET_DATABASE_PORT, value: {{ $root.Values.pgbouncer.port | quote }}}
- {name: HYPERFLEET_DATABASE_STATEMENT_CACHE, value: "false"}
{{- else if $external.enabled -}}
- name: HYPERFLEET_DATABASE_HOST
  valueFrom: {secretKeyRef: {name: {{ $external.secretName | quote }}, key: db.host}}
- name: HYPERFLEET_DATABASE_PORT
  valueFrom: {secretKeyRef: {name: {{ $external.secretName | quote }}, key: db.port}}
- {name: HYPERFLEET_DATABASE_SSL_MODE, value: {{ include "hyperfleet.sslMode" $root | quote }}}
{{- if $root.Values.database.ssl.caSecret }}
- {name: HYPERFLEET_DATABASE_SSL_ROOT_CERT_FILE, value: /etc/hyperfleet-database/ca.crt}
{{- end }}
{{- else -}}
- {name: HYPERFLEET_DATABASE_HOST, value: {{ $own | quote }}}
- {name: HYPERFLEET_DATABASE_PORT, value: "5432"}
- {name: HYPERFLEET_DATABASE_SSL_MODE, value: disable}
{{- end }}
{{- if $external.enabled }}
{{- range $variable, $key := dict "NAME" "db.name" "USERNAME" "db.user" "PASSWORD" "db.password" }}
- name: HYPERFLEET_DATABASE_{{ $variable }}
  valueFrom: {secretKeyRef: {name: {{ $external.secretName | quote }}, key: {{ $key }}}}
{{- end }}
{{- else }}
- {name: HYPERFLEET_DATABASE_NAME, value: hyperfleet}
- {name: HYPERFLEET_DATABASE_USERNAME, value: hyperfleet}
- name: HYPERFLEET_DATABASE_PASSWORD
  valueFrom: {secretKeyRef: {name: {{ $own | quote }}, key: password}}
{{- end }}
{{- end }}

{{/* The PgBouncer sidecar. It writes its configuration, made from the same Secret, to its only writable directory. */}}
{{- define "hyperfleet.pgbouncer" -}}
- name: pgbouncer
  image: {{ include "hyperfleet.image" .Values.pgbouncer.image | quote }}
  {{- if .Values.nativeSidecars }}
  restartPolicy: Always
  {{- end }}
  command: [sh, -c]
  args:
    - |
      umask 077
      printf '"%s" "%s"\n' "$HYPERFLEET_DATABASE_USERNAME" "$HYPERFLEET_DATABASE_PASSWORD" > /run/pgbouncer/users
      cat > /run/pgbouncer/pgbouncer.ini <<END
      [databases]
      * = host=$HYPERFLEET_DATABASE_HOST port=$HYPERFLEET_DATABASE_PORT
      [pgbouncer]
      listen_addr = 127.0.0.1
      listen_port = {{ .Values.pgbouncer.port }}
      unix_socket_dir =
      pool_mode = transaction
      default_pool_size = {{ .Values.pgbouncer.poolSize }}
      max_client_conn = {{ max 1000 (include "hyperfleet.clients" . | int) }}
      auth_type = plain
      auth_file = /run/pgbouncer/users
      server_tls_sslmode = {{ include "hyperfleet.sslMode" . }}
      {{- if .Values.database.ssl.caSecret }}
      server_tls_ca_file = /etc/hyperfleet-database/ca.crt
      {{- end }}
      END
      exec pgbouncer /run/pgbouncer/pgbouncer.ini
  env:
    {{- include "hyperfleet.databaseEnv" (dict "root" . "bounced" false) | nindent 4 }}
  securityContext:
    {{- toYaml .Values.securityContext | nindent 4 }}
  {{- with .Values.pgbouncer.resources }}
  resources:
    {{- toYaml . | nindent 4 }}
  {{- end }}
  volumeMounts:
    - {name: pgbouncer, mountPath: /run/pgbouncer}
    {{- include "hyperfleet.caMount" . | nindent 4 }}
{{- end }}
