{{/*
Workers, pools and connections. The service makes one worker a core, as far as the container's memory goes; so the memory
limit bounds what a pod asks of the database, on whatever node it runs. A test compares these numbers with the service's.
*/}}

{{/* A quantity such as 1Gi as bytes, one such as 500m as cores. */}}
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

{{/* The workers of a pod, at most. */}}
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

{{/* The connections that a pod opens, at most: its workers' pools, and 4 for probes, gauges and migration. */}}
{{- define "hyperfleet.clients" -}}
{{- $pool := include "hyperfleet.setting" (dict "tree" (include "hyperfleet.settings" . | fromYaml) "path" "database.pool.max_connections") | default "16" | int }}
{{- add 4 (mul $pool (include "hyperfleet.workers" . | int)) }}
{{- end }}

{{/* The same as the database sees it: through PgBouncer only as many as PgBouncer's pool has. */}}
{{- define "hyperfleet.podConnections" -}}
{{- .Values.pgbouncer.enabled | ternary (add 4 (int .Values.pgbouncer.poolSize)) (include "hyperfleet.clients" . | int) }}
{{- end }}

{{/* The connections of the whole release, at most. While a new version is rolled out, every pod may be there twice: one
that drains beside the one that takes its place. 10 more are for a back-up, a shell, and what PostgreSQL reserves. */}}
{{- define "hyperfleet.connections" -}}
{{- $replicas := .Values.autoscaling.enabled | ternary (int .Values.autoscaling.maxReplicas) (int .Values.replicaCount) }}
{{- $pods := eq (toString .Values.strategy.type) "Recreate" | ternary $replicas (mul 2 $replicas) }}
{{- add 10 (mul $pods (include "hyperfleet.podConnections" . | int)) }}
{{- end }}
