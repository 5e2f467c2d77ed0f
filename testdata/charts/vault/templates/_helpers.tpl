{{- define "vault.name" -}}{{ default .Chart.Name .Values.nameOverride | trunc 63 | trimSuffix "-" }}{{- end -}}
{{- define "vault.mode" -}}
  {{- template "vault.flag" . -}}
  {{- if eq (.Values.dev | toString) "true" -}}{{- $_ := set . "mode" "dev" -}}
  {{- else if eq (.Values.ha.enabled | toString) "true" -}}{{- $_ := set . "mode" "ha" -}}
  {{- else -}}{{- $_ := set . "mode" "standalone" -}}{{- end -}}
{{- end -}}
{{- define "vault.flag" -}}{{ $_ := set . "flagged" true }}{{- end -}}
{{- define "vault.affinity" -}}
  {{- if and (ne .mode "dev") .Values.affinity }}
affinity:
  {{ $tp := typeOf .Values.affinity }}
  {{- if eq $tp "string" }}
    {{- tpl .Values.affinity . | nindent 2 | trim }}
  {{- else }}
    {{- toYaml .Values.affinity | nindent 2 }}
  {{- end }}
  {{ end }}
{{- end -}}
