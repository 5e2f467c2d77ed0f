#!/usr/bin/env bash
# Cases of real-parts.sh about files that become artifacts and about locks; sourced there.
# shellcheck disable=SC2154 # what the caller has set

# A server of files that helm and airlift both read from. It has no ranges, so every download comes whole.
serve_files() {
  files_host=127.0.0.1:$files_port
  mkdir -p "$work/www"
  python3 -m http.server "$files_port" --bind 127.0.0.1 --directory "$work/www" >"$work/www.log" 2>&1 &
  pids+=($!)
  local tries
  for tries in {1..100}; do
    (: <"/dev/tcp/127.0.0.1/$files_port") 2>/dev/null && return 0
    sleep 0.1
  done
  echo "no server of files after $tries tries"
  return 1
}

sum_of() { sha256sum "$1" | cut -d' ' -f1; }

files_are_made_into_artifacts() {
  cp "$work/world/charts/web-0.3.0.tgz" "$work/www/"
  head -c 3000000 /dev/urandom >"$work/www/tool.bin"
  cat >"$work/files.yaml" <<YAML
apiVersion: airlift/v1alpha1
kind: Mirror
artifacts: [ { file: "http://$files_host/tool.bin", sha256: $(sum_of "$work/www/tool.bin"), name: "$files_host/tool:1.2.3" } ]
charts: [ { file: "http://$files_host/web-0.3.0.tgz", sha256: $(sum_of "$work/www/web-0.3.0.tgz") } ]
YAML
  airlift resolve -f "$work/files.yaml" --lock "$work/files.lock" --plain-http --no-progress
  expect 30 pack --lock "$work/files.lock" -o "$work/files"
  pack --lock "$work/files.lock" -o "$work/files" --allow-unsigned "$files_host/**"
  import "$work/files.airlift" --to "$destination/files"
}

helm_pulls_a_chart_that_was_made() {
  rm -rf "$work/made" && mkdir "$work/made"
  helm pull "oci://$destination/files/web" --version 0.3.0 --plain-http --destination "$work/made"
  cmp "$work/made/web-0.3.0.tgz" "$work/www/web-0.3.0.tgz"
  local config='.config, .layers, (.annotations | del(.["org.opencontainers.image.created"]))'
  helm push "$work/www/web-0.3.0.tgz" "oci://$destination/pushed" --plain-http
  equal "$(crane manifest --insecure "$destination/files/web:0.3.0" | jq -cS "$config")" \
    "$(crane manifest --insecure "$destination/pushed/web:0.3.0" | jq -cS "$config")" 'what helm pushes'
}

oras_pulls_a_file_that_was_made() {
  rm -rf "$work/pulled" && mkdir "$work/pulled"
  (cd "$work/pulled" && oras pull --plain-http "$destination/files/tool:1.2.3")
  cmp "$work/pulled/tool.bin" "$work/www/tool.bin"
}

a_lock_is_checked_against_the_world() {
  crane copy --insecure "$upstream/team/app:1.0" "$upstream/team/watched:1"
  cat >"$work/watched.yaml" <<YAML
apiVersion: airlift/v1alpha1
kind: Mirror
images: [ "$upstream/team/watched:1" ]
YAML
  airlift resolve -f "$work/watched.yaml" --lock "$work/watched.lock" --evidence --plain-http --no-progress
  local check=(airlift lock check --lock "$work/watched.lock" --plain-http --no-progress)
  "${check[@]}" -f "$work/watched.yaml"
  oras attach --plain-http --artifact-type text/note "$upstream/team/watched:1" --annotation note=new
  expect 10 "${check[@]}"
  expect 10 "${check[@]}" -o json >"$work/drift.json"
  jq -e '.drift[0].kind == "evidence-new"' "$work/drift.json"
  crane copy --insecure "$upstream/library/base:12" "$upstream/team/watched:1"
  expect 10 "${check[@]}" -o json >"$work/drift.json"
  jq -e '[.drift[].kind] | index("tag-moved") != null' "$work/drift.json"
}
