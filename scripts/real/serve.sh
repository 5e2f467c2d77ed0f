# Cases with `airlift serve`; sourced by real-parts.sh, after the bundles are packed.
# shellcheck shell=bash disable=SC2154

# serving ARGUMENT...: starts the registry and sets $served to its address once it answers.
serving() {
  local said="$work/served.$RANDOM"
  airlift serve "$@" >"$said" 2>>"$work/logs/served" &
  pids+=($!)
  local _
  for _ in $(seq 100); do
    served=$(sed -n 's|^serving .* at https\{0,1\}://||p' "$said")
    [[ -z $served ]] || return 0
    sleep 0.1
  done
  return 1
}

the_volumes_are_a_registry() {
  serving "$work/vols" --bundle-key "$work/bundle.pub"
  trap 'kill "${pids[-1]}"' EXIT
  local name
  for name in library/base:12 team/app:1.0 team/legacy-list:2.0; do # crane checks no zstd layers, so not app:1.1
    crane validate --insecure --remote "$served/$name"
    equal "$(digest_at "$served/$name")" "$(digest_at "$upstream/$name")" "$name"
  done
  cosign_accepts "$served"
  equal "$(oras discover --plain-http --format json "$served/team/app:1.0" | jq '.referrers | length')" 2 referrers
  sk copy --quiet --all --preserve-digests --src-tls-verify=false "docker://$served/library/base:12" "oci:$work/from-served:base"
  mkdir -p "$work/served-chart"
  helm pull "oci://$served/charts/web" --version 0.3.0 --plain-http --destination "$work/served-chart"
  cmp "$work/served-chart/web-0.3.0.tgz" "$work/world/charts/web-0.3.0.tgz"
  # As containerd asks a mirror of the upstream.
  equal "$(curl -so /dev/null -w '%{http_code}' "http://$served/v2/team/app/manifests/1.0?ns=$upstream")" 200
  expect 1 crane copy --insecure "$served/team/app:1.0" "$served/team/other:1"
}

an_unpacked_bundle_is_a_registry() {
  mkdir -p "$work/rescued"
  cat "$work"/vols/*.airlift | zstd -dq | tar x -C "$work/rescued"
  serving "$work/rescued"
  trap 'kill "${pids[-1]}"' EXIT
  crane validate --insecure --remote "$served/team/app:1.0"
  equal "$(digest_at "$served/team/legacy-list:2.0")" "$(digest_at "$upstream/team/legacy-list:2.0")"
  cosign_accepts "$served"
}
