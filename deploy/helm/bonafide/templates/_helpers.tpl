{{- define "bonafide.name" -}}
{{- if contains .Chart.Name .Release.Name }}{{ .Release.Name | trunc 50 | trimSuffix "-" }}{{ else }}{{ printf "%s-%s" .Release.Name .Chart.Name | trunc 50 | trimSuffix "-" }}{{ end }}
{{- end }}

{{/* A value as text. Helm reads the numbers of values files as floats, whose text from a million on is 1e+06; the parts of a list are joined by commas. */}}
{{- define "bonafide.text" -}}
{{- if kindIs "slice" . -}}
{{- range $index, $part := . }}{{ if $index }},{{ end }}{{ include "bonafide.text" $part }}{{ end -}}
{{- else if not (kindIs "float64" .) -}}
{{ toString . }}
{{- else if and (eq (floor .) .) (lt . 9e18) (gt . -9e18) -}}
{{ int64 . }}
{{- else -}}
{{ toString . }}
{{- end -}}
{{- end }}

{{/* Settings that only the service reads, as a pattern of their names: what they need in turn only the service is given. */}}
{{- define "bonafide.ofTheService" -}}
^(REDIS_.+|BONAFIDE_(WORKERS|JOBS(_.+)?|KEYS(_FILE)?|TLS_.+|METRICS_.+|OPERATOR_.+|REDIS_.+|CACHE_.+|GRPC_.+|WEBHOOK_.+|TWILIO_.+|GENESYS(_.+)?|AUDIOSOCKET_.+|EVIDENCE_.+|FEEDBACK_.+))$
{{- end }}

{{/* The given settings as JSON, by the names that the chart knows: the service takes them in any case, and one of them by two names. */}}
{{- define "bonafide.settings" -}}
{{- $all := dict -}}
{{- range $given, $value := .Values.settings -}}
{{- if not (kindIs "invalid" $value) -}}
{{- $name := ternary (upper $given) $given (regexMatch "(?i)^(BONAFIDE|MINIO|REDIS)_" $given) -}}
{{- if eq $name "MINIO_USE_SSL" }}{{ $name = "MINIO_SECURE" }}{{ end -}}
{{- if hasKey $all $name }}{{ fail (printf "settings.%s is given twice, in another spelling" $name) }}{{ end -}}
{{- $_ := set $all $name $value -}}
{{- end -}}
{{- end -}}
{{- toJson $all -}}
{{- end }}

{{/* Settings that runners are given as the chart has worked them out, as a pattern of their names. */}}
{{- define "bonafide.workedOut" -}}
^BONAFIDE_(VOICE|FACE)_MODEL$
{{- end }}

{{/* The variables of a container: (root, own, without). `own` are those of the chart, over which settings go; `without` is a pattern of settings that it does not get. */}}
{{- define "bonafide.variables" -}}
{{- /* Not with merge, which takes 0, false and an empty text for values that are not set. */ -}}
{{- $all := dict -}}
{{- range $name, $value := .own -}}
{{- if not (kindIs "invalid" $value) }}{{ $_ := set $all $name $value }}{{ end -}}
{{- end -}}
{{- range $name, $value := include "bonafide.settings" .root | fromJson -}}
{{- if not (and $.without (regexMatch $.without $name)) }}{{ $_ := set $all $name $value }}{{ end -}}
{{- end -}}
{{- range $name, $value := $all }}
- name: {{ $name }}
  value: {{ include "bonafide.text" $value | quote }}
{{- end }}
{{- end }}

{{/* What a component's pods are found by: (root, component). */}}
{{- define "bonafide.selector" -}}
app.kubernetes.io/name: bonafide
app.kubernetes.io/instance: {{ .root.Release.Name }}
app.kubernetes.io/component: {{ .component }}
{{- end }}

{{- define "bonafide.labels" -}}
{{ include "bonafide.selector" . }}
app.kubernetes.io/version: {{ .root.Chart.AppVersion | quote }}
app.kubernetes.io/managed-by: {{ .root.Release.Service }}
helm.sh/chart: {{ printf "%s-%s" .root.Chart.Name .root.Chart.Version }}
{{- end }}

{{/* The name of a component's objects: (root, component). */}}
{{- define "bonafide.component" -}}
{{ include "bonafide.name" .root }}{{ if ne .component "service" }}-{{ .component }}{{ end }}
{{- end }}

{{/* The components that judge, apart by blanks. */}}
{{- define "bonafide.runners" -}}
voice face{{ if .Values.jobs.enabled }} jobs{{ end }}{{ if .Values.photojobs.enabled }} photojobs{{ end }}
{{- end }}

{{/* What a runner judges: those of jobs judge as the others. */}}
{{- define "bonafide.task" -}}
{{ get (dict "jobs" "voice" "photojobs" "face") .component | default .component }}
{{- end }}

{{/* Whether jobs are kept in SQLite: yes, or empty. */}}
{{- define "bonafide.jobsOnDisk" -}}
{{- $settings := include "bonafide.settings" . | fromJson -}}
{{- if and .Values.jobs.enabled (not (or .Values.redis.host $settings.REDIS_HOST $settings.REDIS_URL)) }}yes{{ end -}}
{{- end }}

{{- define "bonafide.image" -}}
{{ .root.Values.image.repository }}:{{ include "bonafide.text" (.values.imageTag | default .root.Values.image.tag | default (printf "%s-cpu" .root.Chart.AppVersion)) }}
{{- end }}

{{/* The image that converts models: it has torch. */}}
{{- define "bonafide.converterImage" -}}
{{ .Values.image.repository }}:{{ include "bonafide.text" (.Values.models.converter.imageTag | default (printf "%s-cuda" .Chart.AppVersion)) }}
{{- end }}

{{/* The model that a runner was to have: (root, component). Empty: that of its image. */}}
{{- define "bonafide.reference" -}}
{{- $task := include "bonafide.task" . -}}
{{- $settings := include "bonafide.settings" .root | fromJson -}}
{{- $name := printf "BONAFIDE_%s_MODEL" (upper $task) -}}
{{ ternary (get $settings $name) (get .root.Values.models $task) (hasKey $settings $name) }}
{{- end }}

{{/* What is done before a runner starts: (root, component, values). Empty: nothing; else fetch or convert. */}}
{{- define "bonafide.preparation" -}}
{{- if and .root.Values.models.download (ne .component "service") -}}
{{- $reference := include "bonafide.reference" . -}}
{{- $isHubId := and (contains "/" $reference) (not (hasPrefix "/" $reference)) (not (hasPrefix "bento:" $reference)) -}}
{{- if $isHubId }}{{ ternary "fetch" "convert" .values.gpu.enabled }}{{ end -}}
{{- end -}}
{{- end }}

{{/* The model that a runner serves: (root, component, values). A converted one lies on the volume, by the release and by what it was made of. */}}
{{- define "bonafide.model" -}}
{{- $task := include "bonafide.task" . -}}
{{- $reference := include "bonafide.reference" . -}}
{{- $spoof := get (include "bonafide.settings" .root | fromJson) (printf "BONAFIDE_%s_SPOOF_LABEL" (upper $task)) -}}
{{- if eq (include "bonafide.preparation" .) "convert" -}}
/var/lib/bonafide/converted/{{ .root.Chart.AppVersion }}/{{ $task }}/{{ regexReplaceAll "[^A-Za-z0-9._-]+" $reference "--" }}-{{ sha256sum (printf "%s %v" $reference $spoof) | trunc 8 }}
{{- else -}}
{{ $reference }}
{{- end -}}
{{- end }}

{{/* Nothing is run as root, gains rights or writes outside its volumes. */}}
{{- define "bonafide.containerSecurity" -}}
allowPrivilegeEscalation: false
readOnlyRootFilesystem: true
capabilities: {drop: [ALL]}
{{- end }}

{{/* Seconds from the deletion of a pod to its end: the door, the drain, and leaving. */}}
{{- define "bonafide.gracePeriod" -}}
{{- $settings := include "bonafide.settings" . | fromJson -}}
{{- $drain := ternary $settings.BONAFIDE_DRAIN_S .Values.drainSeconds (hasKey $settings "BONAFIDE_DRAIN_S") -}}
{{- /* Neither given, or an empty variable, is not set for the service, whose own default is 20. */ -}}
{{- if or (kindIs "invalid" $drain) (eq (toString $drain) "") }}{{ $drain = 20 }}{{ end -}}
{{ add .Values.preStopSeconds (ceil (float64 $drain)) 15 }}
{{- end }}

{{/* What is refused: callers that nobody decided on, and what would not work. */}}
{{- define "bonafide.checked" -}}
{{- if and .Values.audiosocket.enabled (not .Values.audiosocket.networks) }}
{{- fail "audiosocket.enabled needs audiosocket.networks: its protocol has no keys" }}
{{- end }}
{{- include "bonafide.jobsChecked" . }}
{{- include "bonafide.portsChecked" . }}
{{- include "bonafide.settingsChecked" . }}
{{- $settings := include "bonafide.settings" . | fromJson }}
{{- if and .Values.evidence.keySecret (not (or .Values.evidence.existingClaim $settings.BONAFIDE_EVIDENCE_LOG)) }}
{{- fail "evidence.keySecret needs evidence.existingClaim: a log in the pod would end with it" }}
{{- end }}
{{- if and .Values.evidence.existingClaim (not (or .Values.evidence.keySecret $settings.BONAFIDE_EVIDENCE_KEY)) }}
{{- fail "evidence.existingClaim needs evidence.keySecret: records are signed" }}
{{- end }}
{{- $feedback := $settings.BONAFIDE_FEEDBACK_DB | default "" }}
{{- if and $feedback (not (regexMatch "^(postgres(ql)?://|/var/lib/bonafide-(evidence|jobs)/.)" $feedback)) }}
{{- fail "settings.BONAFIDE_FEEDBACK_DB must be a postgresql:// URL, or lie on a claim, below /var/lib/bonafide-evidence or /var/lib/bonafide-jobs: a file in the pod would end with it" }}
{{- end }}
{{- if and .Values.redis.enabled .Values.redis.host }}
{{- fail "redis.enabled starts a Redis of ours, redis.host names another one: one of both" }}
{{- end }}
{{- if and $settings.BONAFIDE_AUDIOSOCKET_PORT (not .Values.audiosocket.enabled) }}
{{- fail "audiosocket.enabled, not settings.BONAFIDE_AUDIOSOCKET_PORT, opens its port: Service and policy have it then too" }}
{{- end }}
{{- with .Values.security }}
{{- if not (or .keysSecret .clientCaSecret .allowPublic) }}
{{- fail "set security.keysSecret, security.clientCaSecret or security.allowPublic=true: who may call has to be decided" }}
{{- end }}
{{- if not (or $.Values.networkPolicy.enabled $.Values.networkPolicy.elsewhere) }}
{{- fail "runners run what they are sent: networkPolicy.enabled, or networkPolicy.elsewhere=true if something else keeps others out" }}
{{- end }}
{{- if and .clientCaSecret (not .tlsSecret) }}
{{- fail "security.clientCaSecret needs security.tlsSecret" }}
{{- end }}
{{- end }}
{{- end }}

{{/* Probes, Services and policies have the ports of the image. */}}
{{- define "bonafide.portsChecked" -}}
{{- range $name, $value := include "bonafide.settings" . | fromJson -}}
{{- $ports := get (dict "BONAFIDE_METRICS_PORT" "9090" "BONAFIDE_GRPC_PORTS" "50051 50052" "BONAFIDE_AUDIOSOCKET_PORT" "9092") $name -}}
{{- if and $ports (ne (join " " (regexFindAll "[0-9]+" (include "bonafide.text" $value) -1)) $ports) -}}
{{- fail (printf "settings.%s can be nothing but %s: probes, Services and policies have these ports" $name $ports) -}}
{{- end -}}
{{- end -}}
{{- end }}

{{/* Settings with which the service would not start, or never be ready. */}}
{{- define "bonafide.settingsChecked" -}}
{{- range $name, $value := include "bonafide.settings" . | fromJson -}}
{{- if and $value (has $name (list "BONAFIDE_VOICE_SHADOW" "BONAFIDE_FACE_SHADOW")) -}}
{{- fail (printf "settings.%s needs the runner of a second model, of which this chart has no Deployment" $name) -}}
{{- end -}}
{{- if and (has $name (list "BONAFIDE_METRICS_HOST" "BONAFIDE_GRPC_HOST" "BONAFIDE_AUDIOSOCKET_HOST")) (regexMatch "^(127\\.|::1$|\\[::1\\]$|localhost$)" (toString $value)) -}}
{{- fail (printf "settings.%s is loopback, where neither probes nor callers reach a pod" $name) -}}
{{- end -}}
{{- end -}}
{{- end }}

{{- define "bonafide.jobsChecked" -}}
{{- $settings := include "bonafide.settings" . | fromJson }}
{{- if and (hasKey $settings "BONAFIDE_JOBS") (ne (lower (toString $settings.BONAFIDE_JOBS)) (toString .Values.jobs.enabled)) }}
{{- fail "jobs.enabled, not settings.BONAFIDE_JOBS, decides on jobs: it starts their runner too" }}
{{- end }}
{{- if and (hasKey $settings "BONAFIDE_JOBS_PHOTOS") (ne (lower (toString $settings.BONAFIDE_JOBS_PHOTOS)) (toString .Values.photojobs.enabled)) }}
{{- fail "photojobs.enabled, not settings.BONAFIDE_JOBS_PHOTOS, decides on jobs of photos: it starts their runner too" }}
{{- end }}
{{- if and .Values.photojobs.enabled (not .Values.jobs.enabled) }}
{{- fail "photojobs.enabled needs jobs.enabled" }}
{{- end }}
{{- if .Values.jobs.enabled }}
{{- if not .Values.minio.endpoint }}
{{- fail "jobs.enabled needs minio.endpoint: jobs are of stored recordings" }}
{{- end }}
{{- if .Values.redis.enabled }}
{{- fail "jobs.enabled cannot go with redis.enabled: that Redis is a cache, which forgets jobs; redis.host names one that keeps them" }}
{{- end }}
{{- if include "bonafide.jobsOnDisk" . }}
{{- if not (or .Values.jobs.volume.existingClaim .Values.jobs.volume.size) }}
{{- fail "jobs.enabled needs redis.host, or jobs.volume.size or jobs.volume.existingClaim to keep jobs in SQLite" }}
{{- end }}
{{- if or (ne (int .Values.service.replicas) 1) .Values.service.autoscaling.enabled }}
{{- fail "jobs.enabled without redis.host needs service.replicas=1 and service.autoscaling.enabled=false: SQLite is for one pod" }}
{{- end }}
{{- end }}
{{- end }}
{{- end }}

{{- define "bonafide.env" -}}
{{- $settings := include "bonafide.settings" .root | fromJson -}}
{{- $own := dict "BONAFIDE_DRAIN_S" .root.Values.drainSeconds "HOME" "/tmp" -}}
{{- if and .root.Values.jobs.enabled (has .component (list "service" "jobs" "photojobs")) }}{{ $_ := set $own "BONAFIDE_JOBS" "true" }}{{ end -}}
{{- if and .root.Values.photojobs.enabled (has .component (list "service" "photojobs")) }}{{ $_ := set $own "BONAFIDE_JOBS_PHOTOS" "true" }}{{ end -}}
{{- if eq .component "service" -}}
  {{- if include "bonafide.jobsOnDisk" .root }}{{ $_ := set $own "BONAFIDE_JOBS_DB" "/var/lib/bonafide-jobs/jobs.db" }}{{ end -}}
  {{- $_ := set $own "BONAFIDE_GRPC_MAX_CONNECTION_AGE_S" .values.grpcMaxConnectionAgeSeconds -}}
  {{- $_ := set $own "BONAFIDE_METRICS_HOST" "0.0.0.0" -}}
  {{- $_ := set $own "BONAFIDE_DECODE_THREADS" .values.decodeThreads -}}
  {{- with .root.Values.audiosocket -}}
    {{- if .enabled -}}
      {{- $_ := set $own "BONAFIDE_AUDIOSOCKET_PORT" "9092" -}}
      {{- $_ := set $own "BONAFIDE_AUDIOSOCKET_HOST" "0.0.0.0" -}}
      {{- $_ := set $own "BONAFIDE_AUDIOSOCKET_NETWORKS" (join "," .networks) -}}
    {{- end -}}
  {{- end -}}
  {{- with .root.Values.security -}}
    {{- if .keysSecret }}{{ $_ := set $own "BONAFIDE_KEYS_FILE" "/etc/bonafide/keys/keys" }}{{ end -}}
    {{- if .tlsSecret -}}
      {{- $_ := set $own "BONAFIDE_TLS_CERT" "/etc/bonafide/tls/tls.crt" -}}
      {{- $_ := set $own "BONAFIDE_TLS_KEY" "/etc/bonafide/tls/tls.key" -}}
    {{- end -}}
    {{- if .clientCaSecret }}{{ $_ := set $own "BONAFIDE_TLS_CLIENT_CA" "/etc/bonafide/client-ca/ca.crt" }}{{ end -}}
    {{- if .allowPublic }}{{ $_ := set $own "BONAFIDE_ALLOW_PUBLIC" "true" }}{{ end -}}
  {{- end -}}
  {{- with .root.Values.evidence -}}
    {{- if .keySecret }}{{ $_ := set $own "BONAFIDE_EVIDENCE_KEY" "/etc/bonafide/evidence/key.pem" }}{{ end -}}
    {{- if .existingClaim }}{{ $_ := set $own "BONAFIDE_EVIDENCE_LOG" "/var/lib/bonafide-evidence" }}{{ end -}}
  {{- end -}}
  {{- with .root.Values.minio -}}
    {{- if .endpoint -}}
      {{- $_ := set $own "MINIO_ENDPOINT" .endpoint -}}
      {{- $_ := set $own "MINIO_SECURE" .secure -}}
    {{- end -}}
    {{- with .allowedBuckets }}{{ $_ := set $own "BONAFIDE_ALLOWED_BUCKETS" (join "," .) }}{{ end -}}
  {{- end -}}
  {{- if or $settings.REDIS_HOST $settings.REDIS_URL -}}
    {{- /* Nothing of ours beside it: a second address, or another port, would contradict it. */ -}}
  {{- else if .root.Values.redis.enabled -}}
    {{- $_ := set $own "REDIS_HOST" (printf "%s-redis" (include "bonafide.name" .root)) -}}
    {{- $_ := set $own "REDIS_PORT" 6379 -}}
  {{- else if .root.Values.redis.host -}}
    {{- $_ := set $own "REDIS_HOST" .root.Values.redis.host -}}
    {{- if not (regexMatch "^([^/]+://([^/@]*@)?)?(\\[[^]]*\\]|[^:/@]+):[0-9]+(/.*)?$" .root.Values.redis.host) -}}
      {{- $_ := set $own "REDIS_PORT" .root.Values.redis.port -}}
    {{- end -}}
  {{- end -}}
{{- else -}}
  {{- with include "bonafide.model" . }}{{ $_ := set $own (printf "BONAFIDE_%s_MODEL" (upper (include "bonafide.task" $))) . }}{{ end -}}
  {{- $_ := set $own "BONAFIDE_ALLOW_PUBLIC" "true" -}}
  {{- if .root.Values.models.download }}{{ $_ := set $own "BONAFIDE_OFFLINE" "true" }}{{ end -}}
{{- end -}}
{{- $without := "" -}}
{{- if ne .component "service" }}{{ $without = printf "%s|%s|^(MINIO_.+|BONAFIDE_ALLOW_PUBLIC)$" (include "bonafide.ofTheService" .) (include "bonafide.workedOut" .) }}{{ end -}}
{{- include "bonafide.variables" (dict "root" .root "own" $own "without" $without) }}
{{- $secret := .root.Values.security.runnerTokenSecret }}
{{- include "bonafide.secret" (dict "name" "BONAFIDE_RUNNER_TOKEN" "secret" $secret "key" "token" "settings" $settings) }}
{{- if eq .component "service" }}
{{- if or .root.Values.minio.endpoint (and $settings.MINIO_ENDPOINT .root.Values.minio.existingSecret) }}
{{- include "bonafide.bucketKeys" .root }}
{{- end }}
{{- $secret = .root.Values.redis.existingSecret }}
{{- include "bonafide.secret" (dict "name" "REDIS_PASSWORD" "secret" $secret "key" "password" "settings" $settings) }}
{{- end }}
{{- end }}

{{/* A variable from a Secret, unless there is none or the settings have it, which would be a second one of its name: (name, secret, key, settings). */}}
{{- define "bonafide.secret" -}}
{{- if and .secret (not (hasKey .settings .name)) }}
- name: {{ .name }}
  valueFrom: {secretKeyRef: {name: {{ .secret }}, key: {{ .key }}}}
{{- end }}
{{- end }}

{{- define "bonafide.bucketKeys" -}}
{{- $settings := include "bonafide.settings" . | fromJson -}}
{{- if not (and $settings.MINIO_ACCESS_KEY $settings.MINIO_SECRET_KEY) }}
{{- $secret := required "minio.existingSecret holds the keys" .Values.minio.existingSecret }}
{{- include "bonafide.secret" (dict "name" "MINIO_ACCESS_KEY" "secret" $secret "key" "access-key" "settings" $settings) }}
{{- include "bonafide.secret" (dict "name" "MINIO_SECRET_KEY" "secret" $secret "key" "secret-key" "settings" $settings) }}
{{- end }}
{{- end }}
