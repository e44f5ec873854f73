{{/*
Workers, pools and connections. The service starts one worker per core, as far as the container's memory allows. So the
memory limit bounds the database connections of a pod on any node. A test compares these numbers with the service's.
*/}}

{{/* A quantity such as 1Gi in bytes, or one such as 500m in cores. */}}
{{- define "hyperfleet.quantity" -}}
{{- $text := kindIs "float64" . | ternary (. | toJson) (toString .) }}
{{- $number := regexFind "^[0-9]+([.][0-9]*)?(e[0-9]+)?" $text }}
{{- $unit := trimPrefix $number $text }}
{{- $factors := dict "" 1.0 "m" 0.001 "k" 1e3 "M" 1e6 "G" 1e9 "T" 1e12 "Ki" 1024.0 "Mi" 1048576.0 "Gi" 1073741824.0 "Ti" 1099511627776.0 }}
{{- if not (and $number (hasKey $factors $unit)) }}
{{- fail (printf "resources.limits: %s is not a quantity; write it as 1Gi, 1500M or 500m." $text) }}
{{- end }}
{{- mulf (float64 $number) (get $factors $unit) }}
{{- end }}

{{/* The largest number of workers in a pod. */}}
{{- define "hyperfleet.workers" -}}
{{- $configured := include "hyperfleet.setting" (dict "tree" (include "hyperfleet.settings" . | fromYaml) "path" "server.workers") | int }}
{{- $limits := .Values.resources.limits | default dict }}
{{- if $configured }}
{{- $configured }}
{{- else if $limits.memory }}
{{- $fitting := divf (subf (include "hyperfleet.quantity" $limits.memory | float64) 209715200.0) 419430400.0 | floor | int }}
{{- if $limits.cpu }}
{{- $fitting = min $fitting (include "hyperfleet.quantity" $limits.cpu | float64 | ceil | int) }}
{{- end }}
{{- max 1 $fitting }}
{{- else -}}
2
{{- end }}
{{- end }}

{{/* The most connections that a pod opens: its workers' pools, and 4 for probes, gauges and migration. */}}
{{- define "hyperfleet.clients" -}}
{{- $pool := include "hyperfleet.setting" (dict "tree" (include "hyperfleet.settings" . | fromYaml) "path" "database.pool.max_connections") | default "16" | int }}
{{- add 4 (mul $pool (include "hyperfleet.workers" . | int)) }}
{{- end }}

{{/* The most connections of a pod to the database: with PgBouncer, only as many as PgBouncer's pool has. */}}
{{- define "hyperfleet.podConnections" -}}
{{- .Values.pgbouncer.enabled | ternary (add 4 (int .Values.pgbouncer.poolSize)) (include "hyperfleet.clients" . | int) }}
{{- end }}

{{/* The most connections of the whole release. During a rolling update every pod may exist twice: the old one drains beside
its replacement. 10 more are for a backup, a shell, and what PostgreSQL reserves. */}}
{{- define "hyperfleet.connections" -}}
{{- $replicas := .Values.autoscaling.enabled | ternary (int .Values.autoscaling.maxReplicas) (int .Values.replicaCount) }}
{{- $pods := eq (toString .Values.strategy.type) "Recreate" | ternary $replicas (mul 2 $replicas) }}
{{- add 10 (mul $pods (include "hyperfleet.podConnections" . | int)) }}
{{- end }}
