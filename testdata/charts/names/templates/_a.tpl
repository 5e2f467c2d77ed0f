{{- define "shared" -}}outer-a{{- end -}}
{{- define "tree" -}}
{{- range $k, $v := .node }}{{ $k }}({{ if kindIs "map" $v }}{{ include "tree" (dict "node" $v) }}{{ else }}{{ $v }}{{ end }}){{ end -}}
{{- end -}}
{{- define "empty" -}}
{{- end -}}
