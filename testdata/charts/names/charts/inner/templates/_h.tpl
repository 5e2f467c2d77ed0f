{{- define "shared" -}}inner{{- end -}}
{{- define "inner.shared" -}}via-{{ include "shared" . }}{{- end -}}
