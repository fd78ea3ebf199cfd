{{/* What cannot be run, or would not be safe. */}}
{{- define "scan.checked" -}}
{{- if not (and .Values.scan.source .Values.scan.out) }}
{{- fail "set scan.source and scan.out, such as s3://calls/2024/ and s3://results/2024/" }}
{{- end }}
{{- range list .Values.scan.source .Values.scan.out }}
{{- if not (hasPrefix "s3://" .) }}
{{- fail (printf "scan.source and scan.out must be s3://BUCKET/PREFIX, which every pod reaches, not %q" .) }}
{{- end }}
{{- end }}
{{- if not (has .Values.scan.task (list "voice" "face")) }}
{{- fail "scan.task is voice or face" }}
{{- end }}
{{- if not .Values.minio.endpoint }}
{{- fail "set minio.endpoint and minio.existingSecret" }}
{{- end }}
{{- if not (or .Values.networkPolicy.enabled .Values.networkPolicy.elsewhere) }}
{{- fail "Ray runs what it is sent: networkPolicy.enabled, or networkPolicy.elsewhere=true if something else keeps others out" }}
{{- end }}
{{- $model := include "bonafide.reference" (dict "root" . "component" .Values.scan.task) }}
{{- $inImage := or (has $model (list "" "bundled")) (hasPrefix "bento:" $model) }}
{{- if not (or $inImage (include "scan.claim" .)) }}
{{- fail (printf "the model %q has to lie on a volume that all pods share: models.volume, see docs/deploy.md" $model) }}
{{- end }}
{{- end }}

{{/* KubeRay makes other names of it, hence 47 characters at most. */}}
{{- define "scan.name" -}}
{{ include "bonafide.name" . | trunc 47 | trimSuffix "-" }}
{{- end }}

{{/* What a part's pods are found by: (root, component). `app.kubernetes.io/name` is KubeRay's own. */}}
{{- define "scan.selector" -}}
app.kubernetes.io/instance: {{ .root.Release.Name }}
app.kubernetes.io/component: scan-{{ .component }}
{{- end }}

{{- define "scan.labels" -}}
{{ include "scan.selector" . }}
app.kubernetes.io/version: {{ .root.Chart.AppVersion | quote }}
app.kubernetes.io/part-of: bonafide
{{- end }}

{{/* The image with Ray; that of the service has none. */}}
{{- define "scan.image" -}}
{{- $gpu := (get .Values .Values.scan.task).gpu.enabled -}}
{{ .Values.image.repository }}:{{ include "bonafide.text" (.Values.scan.imageTag | default (printf "%s-%s" .Chart.AppVersion (ternary "scan-cuda" "scan" $gpu))) }}
{{- end }}

{{/* The claim with the models; empty: there is none. */}}
{{- define "scan.claim" -}}
{{- with .Values.models.volume -}}
{{- if .existingClaim -}}
{{ .existingClaim }}
{{- else if .size -}}
{{- $release := required "scan.serviceRelease says whose volume the models lie on" $.Values.scan.serviceRelease -}}
{{ include "bonafide.name" (dict "Chart" (dict "Name" "bonafide") "Release" (dict "Name" $release)) }}-models
{{- end -}}
{{- end -}}
{{- end }}

{{/* The command that the driver runs, each argument quoted for the shell. */}}
{{- define "scan.entrypoint" -}}
{{- $arguments := concat (list "python" "-m" "scan" .Values.scan.source "--out" .Values.scan.out "--task" .Values.scan.task "--address" "auto") .Values.scan.options -}}
{{- range $index, $argument := $arguments }}{{ if $index }} {{ end }}'{{ include "bonafide.text" $argument | replace "'" "'\\''" }}'{{ end -}}
{{- end }}

{{- define "scan.env" -}}
{{- $task := .Values.scan.task -}}
{{- $scope := dict "root" . "component" $task "values" (get .Values $task) -}}
{{- $own := dict
  "MINIO_ENDPOINT" .Values.minio.endpoint
  "MINIO_SECURE" .Values.minio.secure
  "HOME" "/tmp"
  "PYTHONPATH" "/home/bentoml/bento/src"
  "RAY_USAGE_STATS_ENABLED" "0"
-}}
{{- with include "bonafide.model" $scope }}{{ $_ := set $own (printf "BONAFIDE_%s_MODEL" (upper $task)) . }}{{ end -}}
{{- if .Values.models.download }}{{ $_ := set $own "BONAFIDE_OFFLINE" "true" }}{{ end -}}
{{- with .Values.minio.allowedBuckets }}{{ $_ := set $own "BONAFIDE_ALLOWED_BUCKETS" (join "," .) }}{{ end -}}
{{- include "bonafide.variables" (dict "root" . "own" $own "without" (printf "%s|%s" (include "bonafide.ofTheService" .) (include "bonafide.workedOut" .))) }}
{{- include "bonafide.bucketKeys" . }}
{{- end }}

{{/* A pod of the cluster: (root, component, resources, sharedMemory, gpu, nodeSelector, tolerations, affinity). */}}
{{- define "scan.pod" -}}
{{- $root := .root -}}
metadata:
  labels: {{- include "scan.labels" (dict "root" $root "component" .component) | nindent 4 }}
  {{- with $root.Values.scan.podAnnotations }}
  annotations: {{- toYaml . | nindent 4 }}
  {{- end }}
spec:
  automountServiceAccountToken: false
  # A Service called redis would otherwise set REDIS_PORT to a URL.
  enableServiceLinks: false
  {{- with $root.Values.image.pullSecrets }}
  imagePullSecrets: {{- toYaml . | nindent 4 }}
  {{- end }}
  securityContext:
    runAsNonRoot: true
    runAsUser: 1034
    runAsGroup: 1034
    fsGroup: 1034
    fsGroupChangePolicy: OnRootMismatch
    seccompProfile: {type: RuntimeDefault}
  {{- if and .gpu.enabled .gpu.runtimeClassName }}
  runtimeClassName: {{ .gpu.runtimeClassName }}
  {{- end }}
  containers:
    # KubeRay starts Ray in the first container of a pod, in place of the image's own command.
    - name: {{ .component }}
      image: {{ include "scan.image" $root }}
      imagePullPolicy: {{ $root.Values.image.pullPolicy }}
      workingDir: /home/bentoml/bento/src
      env: {{- include "scan.env" $root | trim | nindent 8 }}
      ports:
        {{- if eq .component "head" }}
        - {name: gcs-server, containerPort: 6379}
        - {name: dashboard, containerPort: 8265}
        - {name: client, containerPort: 10001}
        {{- end }}
        - {name: metrics, containerPort: 8080}
      # Of Ray's agent: KubeRay's own probes want a wget in the image where its release does not know this path.
      livenessProbe:
        httpGet: {path: /api/healthz, port: 52365}
        initialDelaySeconds: 30
        periodSeconds: 10
        timeoutSeconds: 5
        failureThreshold: 30
      readinessProbe:
        httpGet: {path: /api/healthz, port: 52365}
        initialDelaySeconds: 5
        periodSeconds: 5
        timeoutSeconds: 5
        failureThreshold: 30
      resources:
        {{- $resources := deepCopy .resources }}
        {{- if .gpu.enabled }}
        {{- $_ := set $resources "limits" (merge (dict .gpu.resource .gpu.count) ($resources.limits | default dict)) }}
        {{- end }}
        {{- toYaml $resources | nindent 8 }}
      securityContext: {{- include "bonafide.containerSecurity" $root | nindent 8 }}
      volumeMounts:
        - {name: models, mountPath: /var/lib/bonafide}
        - {name: tmp, mountPath: /tmp}
        - {name: shared-mem, mountPath: /dev/shm}
  volumes:
    - name: tmp
      emptyDir: {sizeLimit: {{ $root.Values.scan.tmpLimit }}}
    - name: shared-mem
      emptyDir: {medium: Memory, sizeLimit: {{ .sharedMemory }}}
    - name: models
      {{- with include "scan.claim" $root }}
      persistentVolumeClaim: {claimName: {{ . }}}
      {{- else }}
      emptyDir: {sizeLimit: {{ $root.Values.models.volume.emptyDirLimit }}}
      {{- end }}
  topologySpreadConstraints:
    {{- range $root.Values.topologyKeys }}
    - maxSkew: 1
      topologyKey: {{ . }}
      whenUnsatisfiable: ScheduleAnyway
      labelSelector:
        matchLabels: {{- include "scan.selector" (dict "root" $root "component" $.component) | nindent 10 }}
    {{- end }}
  {{- with .nodeSelector }}
  nodeSelector: {{- toYaml . | nindent 4 }}
  {{- end }}
  {{- with .affinity }}
  affinity: {{- toYaml . | nindent 4 }}
  {{- end }}
  {{- with .tolerations }}
  tolerations: {{- toYaml . | nindent 4 }}
  {{- end }}
{{- end }}
