{{/* The name of the release, which all names begin with. */}}
{{- define "ledgerport.fullname" -}}
{{- if .Values.fullnameOverride -}}
{{- .Values.fullnameOverride | trunc 40 | trimSuffix "-" -}}
{{- else -}}
{{- $name := default .Chart.Name .Values.nameOverride -}}
{{- if contains $name .Release.Name -}}
{{- .Release.Name | trunc 40 | trimSuffix "-" -}}
{{- else -}}
{{- printf "%s-%s" .Release.Name $name | trunc 40 | trimSuffix "-" -}}
{{- end -}}
{{- end -}}
{{- end -}}

{{/* The operator's account. */}}
{{- define "ledgerport.account" -}}
{{- if .Values.serviceAccount.create -}}
{{- default (printf "%s-manager" (include "ledgerport.fullname" .)) .Values.serviceAccount.name -}}
{{- else -}}
{{- default "default" .Values.serviceAccount.name -}}
{{- end -}}
{{- end -}}

{{/* What the pods of this release are selected by. It can never be changed. */}}
{{- define "ledgerport.selector" -}}
app.kubernetes.io/name: {{ default .Chart.Name .Values.nameOverride }}
app.kubernetes.io/instance: {{ .Release.Name }}
{{- end -}}

{{/* Labels of every object. */}}
{{- define "ledgerport.labels" -}}
{{ include "ledgerport.selector" . }}
app.kubernetes.io/version: {{ .Chart.AppVersion | trunc 63 | trimSuffix "-" | quote }}
app.kubernetes.io/managed-by: {{ .Release.Service }}
helm.sh/chart: {{ printf "%s-%s" .Chart.Name .Chart.Version | replace "+" "_" | trunc 63 | trimSuffix "-" }}
{{- with .Values.commonLabels }}
{{ toYaml . }}
{{- end }}
{{- end -}}

{{/* What the pods of the console are selected by: no Service of the operator selects them. */}}
{{- define "ledgerport.consoleSelector" -}}
app.kubernetes.io/name: {{ printf "%s-console" (default .Chart.Name .Values.nameOverride) }}
app.kubernetes.io/instance: {{ .Release.Name }}
{{- end -}}

{{/* Labels of the console's objects. */}}
{{- define "ledgerport.consoleLabels" -}}
{{ include "ledgerport.consoleSelector" . }}
app.kubernetes.io/version: {{ .Chart.AppVersion | trunc 63 | trimSuffix "-" | quote }}
app.kubernetes.io/managed-by: {{ .Release.Service }}
helm.sh/chart: {{ printf "%s-%s" .Chart.Name .Chart.Version | replace "+" "_" | trunc 63 | trimSuffix "-" }}
{{- with .Values.commonLabels }}
{{ toYaml . }}
{{- end }}
{{- end -}}

{{/* The number of a port in an address such as :8443; nothing if the address is 0 or not given. */}}
{{- define "ledgerport.port" -}}
{{- if and . (ne (toString .) "0") -}}
{{- regexFind "[0-9]+$" . -}}
{{- end -}}
{{- end -}}

{{/* The address that books are served at; nothing if they are not. */}}
{{- define "ledgerport.books" -}}
{{- if .Values.books.enabled -}}
{{- $address := default ":8444" .Values.flags.booksBindAddress -}}
{{- if eq $address "0" -}}
{{- fail "books.enabled is true, and flags.booksBindAddress is 0, which serves none" -}}
{{- end -}}
{{- $address -}}
{{- end -}}
{{- end -}}

{{/* The flags of the manager that are not null. */}}
{{- define "ledgerport.flags" -}}
{{- $flags := .Values.flags }}
{{- with include "ledgerport.books" . }}
{{- $flags = merge (dict "booksBindAddress" .) $flags }}
{{- end }}
{{- range $name, $value := $flags }}
{{- $flag := printf "--%s" (kebabcase $name) }}
{{- if kindIs "slice" $value }}
- {{ printf "%s=%s" $flag (join "," $value) | quote }}
{{- else if and (kindIs "bool" $value) $value }}
- {{ $flag }}
{{- else if and (kindIs "float64" $value) (eq $value (float64 (int64 $value))) }}
- {{ printf "%s=%d" $flag (int64 $value) | quote }}
{{- else if not (kindIs "invalid" $value) }}
- {{ printf "%s=%v" $flag $value | quote }}
{{- end }}
{{- end }}
{{- end -}}

{{/* The image. */}}
{{- define "ledgerport.image" -}}
{{- if .Values.image.digest -}}
{{- printf "%s@%s" .Values.image.repository .Values.image.digest -}}
{{- else -}}
{{- printf "%s:%s" .Values.image.repository (default .Chart.AppVersion .Values.image.tag) -}}
{{- end -}}
{{- end -}}

{{/* Requests and limits. An empty limit of memory is what as many runs as there are by default need, and books if they are served. */}}
{{- define "ledgerport.resources" -}}
{{- with .Values.resources -}}
{{- $resources := deepCopy . -}}
{{- if and $resources.limits (hasKey (default dict $resources.limits) "memory") (not (default dict $resources.limits).memory) -}}
{{- $_ := set $resources.limits "memory" (ternary "1Gi" "640Mi" $.Values.books.enabled) -}}
{{- end -}}
{{- toYaml $resources -}}
{{- end -}}
{{- end -}}
