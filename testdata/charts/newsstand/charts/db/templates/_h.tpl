{{- define "db.address" -}}{{ .Chart.Name }}.{{ .Release.Namespace }}:{{ .Values.port }}{{- end -}}
