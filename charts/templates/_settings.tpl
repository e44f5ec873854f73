{{/*
Settings that the chart sets from other values: the path in the settings tree, the value to use instead, and further names
of the environment variable. An entry without a path is not a setting and has variables only. Each setting has one place:
all entries are rejected under `config`, in the user's own ConfigMap if the chart can read it, and in `extraEnv`.
*/}}
{{- define "hyperfleet.owned" -}}
- {path: server.host, use: "remove it, the chart listens on every address"}
- {path: server.port, use: "set ports.api"}
- {path: server.hostname, use: "remove it, the pod's name is used"}
- {path: server.jwt.enabled, use: "set auth.enableJwt", variables: [HYPERFLEET_AUTH_ENABLE_JWT]}
- {path: server.jwt.configs, use: "set auth.issuers"}
- {path: server.authorization.enabled, use: "set auth.enableAuthz", variables: [HYPERFLEET_SERVER_AUTHZ_ENABLED]}
- {path: health.host, use: "remove it, the chart listens on every address"}
- {path: health.port, use: "set ports.health"}
- {path: metrics.host, use: "remove it, the chart listens on every address"}
- {path: metrics.port, use: "set ports.metrics"}
- {path: database.url, use: "put the address into the Secret of database.external.secretName"}
{{- range $setting, $key := dict "host" "db.host" "port" "db.port" "name" "db.name" "username" "db.user" "password" "db.password" }}
- {path: database.{{ $setting }}, use: "set database.external.enabled and put {{ $key }} into the Secret of database.external.secretName"}
{{- end }}
- {path: database.embedded, use: "remove it, the chart never runs the embedded PostgreSQL"}
- {path: database.ssl.mode, use: "set database.ssl.mode, outside config"}
- {path: database.ssl.root_cert_file, use: "set database.ssl.caSecret, outside config"}
{{- if .Values.pgbouncer.enabled }}
- {path: database.statement_cache, use: "remove it, pgbouncer.enabled turns it off"}
{{- end }}
{{- if include "hyperfleet.schema" . }}
- {path: server.openapi_schema_path, use: "set either provider.schema or this setting", variables: [OPENAPI_SCHEMA_PATH]}
{{- end }}
{{- if .Values.monitoring.tracing.enabled }}
- {path: logging.otel.enabled, use: "set monitoring.tracing.enabled", variables: [HYPERFLEET_TRACING_ENABLED]}
- {use: "set monitoring.tracing.endpoint", variables: [OTEL_EXPORTER_OTLP_ENDPOINT, OTEL_EXPORTER_OTLP_TRACES_ENDPOINT]}
- {use: "set monitoring.tracing.share", variables: [OTEL_TRACES_SAMPLER, OTEL_TRACES_SAMPLER_ARG]}
{{- end }}
- {use: "set config, or config.existingConfigMap", variables: [HYPERFLEET_CONFIG]}
- {use: "set config.database.pool.conn_retry_attempts", variables: [HYPERFLEET_DATABASE_POOL_CONN_RETRY_ATTEMPTS]}
{{- end }}

{{/* The paths of a settings tree that have values, one per line; lists are values. */}}
{{- define "hyperfleet.paths" -}}
{{- $prefix := .prefix }}
{{- range $name, $value := .tree }}
{{- if kindIs "map" $value }}
{{- include "hyperfleet.paths" (dict "tree" $value "prefix" (printf "%s%s." $prefix $name)) }}
{{- else }}
{{- printf "%s%s\n" $prefix $name }}
{{- end }}
{{- end }}
{{- end }}

{{/* The settings tree: `config`, or the content of the user's own ConfigMap if it can be looked up in the cluster. */}}
{{- define "hyperfleet.settings" -}}
{{- $config := .Values.config }}
{{- if $config.existingConfigMap }}
{{- $found := lookup "v1" "ConfigMap" .Release.Namespace $config.existingConfigMap }}
{{- dig "data" "config.yaml" "{}" $found }}
{{- else }}
{{- omit $config "existingConfigMap" | toYaml }}
{{- end }}
{{- end }}

{{/* The setting at a path in a tree; empty if it is not set. */}}
{{- define "hyperfleet.setting" -}}
{{- $value := .tree }}
{{- range splitList "." .path }}
{{- $value = kindIs "map" $value | ternary $value dict | dig . "" }}
{{- end }}
{{- if not (or (kindIs "invalid" $value) (eq (toString $value) "")) }}
{{- kindIs "slice" $value | ternary ($value | toJson) (toString $value) }}
{{- end }}
{{- end }}

{{/* Rejects settings that the chart's own values would silently override. */}}
{{- define "hyperfleet.settingsChecked" -}}
{{- $config := .Values.config }}
{{- $existing := $config.existingConfigMap }}
{{- $others := keys (omit $config "existingConfigMap") | sortAlpha }}
{{- if and $existing $others }}
{{- fail (printf "config.%s: config.existingConfigMap names a file that replaces config; put this setting into that ConfigMap." (first $others)) }}
{{- end }}
{{- $where := ternary (printf "ConfigMap %s, config.yaml: " $existing) "config." (not (empty $existing)) }}
{{- $tree := include "hyperfleet.settings" . | fromYaml }}
{{- $paths := include "hyperfleet.paths" (dict "tree" $tree "prefix" "") | splitList "\n" }}
{{- range $row := include "hyperfleet.owned" . | fromYamlArray }}
{{- $variables := $row.variables | default list }}
{{- if $row.path }}
{{- $variables = append $variables (printf "HYPERFLEET_%s" ($row.path | replace "." "_" | upper)) }}
{{- range $paths }}
{{- if or (eq . $row.path) (eq . (printf "%s_file" $row.path)) (hasPrefix (printf "%s." $row.path) .) }}
{{- fail (printf "%s%s would be overridden by the chart: %s." $where . $row.use) }}
{{- end }}
{{- end }}
{{- end }}
{{- range $.Values.extraEnv }}
{{- $name := .name }}
{{- range $variables }}
{{- if or (eq $name .) (eq $name (printf "%s_FILE" .)) }}
{{- fail (printf "extraEnv: %s is set by the chart: %s." $name $row.use) }}
{{- end }}
{{- end }}
{{- end }}
{{- end }}
{{- $auth := .Values.auth }}
{{- if and $auth.issuers (not $auth.enableJwt) }}
{{- fail "auth.issuers would have no effect: auth.enableJwt is false. Set it to true, or remove the issuers." }}
{{- end }}
{{- if and $auth.issuers $existing }}
{{- fail "auth.issuers: config.existingConfigMap is used as it is; put the issuers into its server.jwt.configs and remove auth.issuers." }}
{{- end }}
{{- if include "hyperfleet.setting" (dict "tree" $tree "path" "server.authorization.rules") }}
{{- if not $auth.enableAuthz }}
{{- fail "config.server.authorization.rules would have no effect: auth.enableAuthz is false. Set it to true, or remove the rules." }}
{{- end }}
{{- if not (or $auth.enableJwt (eq "true" (include "hyperfleet.setting" (dict "tree" $tree "path" "server.trusted_gateway.enabled")))) }}
{{- fail "config.server.authorization.rules would have no effect: auth.enableJwt is false, so callers have no identity. Set it to true, or remove the rules." }}
{{- end }}
{{- end }}
{{- end }}

{{/* The file config.yaml. It sets the workers if there is no memory limit: only the node's cores would limit them. */}}
{{- define "hyperfleet.configFile" -}}
{{- $jwt := dict "enabled" .Values.auth.enableJwt }}
{{- with .Values.auth.issuers }}
{{- $_ := set $jwt "configs" . }}
{{- end }}
{{- $server := dict "host" "0.0.0.0" "port" .Values.ports.api "jwt" $jwt "authorization" (dict "enabled" .Values.auth.enableAuthz) }}
{{- if not (.Values.resources.limits | default dict).memory }}
{{- $_ := set $server "workers" (include "hyperfleet.workers" . | int) }}
{{- end }}
{{- $own := dict
  "server" $server
  "health" (dict "host" "0.0.0.0" "port" .Values.ports.health)
  "metrics" (dict "host" "0.0.0.0" "port" .Values.ports.metrics) }}
{{- mergeOverwrite (deepCopy (omit .Values.config "existingConfigMap")) $own | toYaml }}
{{- end }}

{{/* The same settings as variables, for use with the user's own ConfigMap. */}}
{{- define "hyperfleet.ownVariables" -}}
{{- range $group, $port := dict "SERVER" .Values.ports.api "HEALTH" .Values.ports.health "METRICS" .Values.ports.metrics }}
- {name: HYPERFLEET_{{ $group }}_HOST, value: 0.0.0.0}
- {name: HYPERFLEET_{{ $group }}_PORT, value: {{ $port | quote }}}
{{- end }}
- {name: HYPERFLEET_SERVER_JWT_ENABLED, value: {{ .Values.auth.enableJwt | quote }}}
- {name: HYPERFLEET_SERVER_AUTHORIZATION_ENABLED, value: {{ .Values.auth.enableAuthz | quote }}}
{{- end }}
