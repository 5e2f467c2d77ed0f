{{- define "shared" -}}outer-b{{- end -}}
{{- define "empty" -}}filled{{- end -}}
