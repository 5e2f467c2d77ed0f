# Cases with `airlift seed` and `airlift unpack` against containerd and skopeo; sourced by real-parts.sh, after the bundles
# are packed.
# shellcheck shell=bash disable=SC2154

# start_containerd: a containerd of our own, in the work folder, without its interface for the kubelet.
start_containerd() {
  local tries
  mkdir -p "$work/containerd"
  cat >"$work/containerd.toml" <<TOML
version = 2
root = "$work/containerd/root"
state = "$work/containerd/state"
disabled_plugins = ["io.containerd.grpc.v1.cri"]
[grpc]
  address = "$work/containerd/socket"
[plugins."io.containerd.gc.v1.scheduler"]
  startup_delay = "1h"
TOML
  containerd --config "$work/containerd.toml" >"$work/containerd.log" 2>&1 &
  pids+=($!)
  for tries in {1..100}; do
    node version >/dev/null 2>&1 && return 0
    kill -0 "${pids[-1]}" 2>/dev/null || break
    sleep 0.1
  done
  echo "containerd did not answer after $tries tries:"
  tail -n 5 "$work/containerd.log"
  return 1
}

node() { ctr --address "$work/containerd/socket" --namespace k8s.io "$@"; }

seed() {
  airlift seed --no-progress --bundle-key "$work/bundle.pub" --platform linux/amd64 --skip-other-platforms "$@"
}

into_node() { seed --containerd --address "$work/containerd/socket" "$@"; }

unpack() { airlift unpack --no-progress --bundle-key "$work/bundle.pub" "$@"; }

# sent: bytes that a run of `seed -o json` on standard input says it sent.
sent() { jq -r .bytesSent; }

# whole: every name on the node stands for what it stands for upstream, and containerd finds all of it.
whole() {
  local name digest
  for name in library/base:12 team/app:1.0 team/app:1.1 team/legacy-list:2.0; do
    digest=$(digest_of "$name")
    node images ls "name==$upstream/$name" | awk 'NR > 1 { print $3 }' | grep -qx "$digest"
    node images ls "name==$upstream/${name%:*}@$digest" | awk 'NR > 1 { print $3 }' | grep -qx "$digest"
    node images ls "name==$upstream/$name" | grep -q 'io.cri-containerd.pinned=pinned'
  done
  # The last column but one says complete with as many parts as there are.
  node images check | awk 'NR > 1 && $4 !~ /^complete/ { print; bad = 1 } END { exit bad }'
}

a_node_is_seeded() {
  local digest
  into_node "$work/vols" -o json | tee "$work/seeded.json" | jq -e '.bytesSent > 0 and (.images | length) >= 4' >/dev/null
  jq -e '.leftOut[] | select(.source | endswith("charts/web:0.3.0")) | .reason == "noImage"' "$work/seeded.json" >/dev/null
  whole
  # Content on the node is what the registry has, and of other platforms there is none.
  node content ls -q >"$work/node.content"
  for digest in $(crane manifest --insecure --platform linux/amd64 "$upstream/library/base:12" | jq -r '.config.digest, .layers[].digest'); do
    node content get "$digest" | sha256sum | grep -q "^${digest#sha256:}"
  done
  digest=$(crane manifest --insecure "$upstream/library/base:12" |
    jq -r '[.manifests[] | select(.platform.architecture == "arm64")][0].digest')
  ! grep -qx "$digest" "$work/node.content"
}

a_second_seed_sends_nothing() {
  equal "$(into_node "$work/vols" -o json | sent)" 0 'bytes of a second run'
  node images rm "$upstream/team/app:1.0" >/dev/null
  into_node "$work/vols" -o json >"$work/third.json"
  equal "$(jq -r '[.images[] | select(.outcome == "seeded") | .source] | join(" ")' "$work/third.json" | sed 's/@.*//')" "$upstream/team/app:1.0"
  whole
}

collection_leaves_what_was_seeded() {
  # Removing an image makes containerd collect; what has a name stays.
  node images tag "$upstream/library/base:12" example.invalid/throwaway:1 >/dev/null
  node images rm --sync example.invalid/throwaway:1 >/dev/null
  whole
  equal "$(into_node "$work/vols" -o json | sent)" 0
}

a_node_is_seeded_from_a_pipe() {
  node images ls -q | xargs -r ctr --address "$work/containerd/socket" --namespace k8s.io images rm --sync >/dev/null
  equal "$(node images ls -q | wc -l)" 0
  cat "$work"/vols/*.airlift | into_node - >/dev/null
  whole
}

a_killed_seed_leaves_nothing_that_is_not_whole() {
  local after seeded=0
  for after in 0.03 0.06 0.1 0.15 0.2 0.3 0.5; do
    node images ls -q | xargs -r ctr --address "$work/containerd/socket" --namespace k8s.io images rm --sync >/dev/null
    timeout -s KILL "$after" "$program_under_test" seed --no-progress --bundle-key "$work/bundle.pub" --platform linux/amd64 \
      --skip-other-platforms --containerd --address "$work/containerd/socket" "$work/vols" >/dev/null 2>&1 || true
    sleep 0.2 # ctr ends by itself when its input ends
    node images check | awk 'NR > 1 && $4 !~ /^complete/ { print; bad = 1 } END { exit bad }'
    [[ $(node images ls -q | wc -l) == 0 ]] || seeded=$((seeded + 1))
  done
  echo "$seeded of 7 killed runs had come to their names"
  into_node "$work/vols" >/dev/null
  whole
}

a_damaged_bundle_names_nothing_on_a_node() {
  node images ls -q | xargs -r ctr --address "$work/containerd/socket" --namespace k8s.io images rm --sync >/dev/null
  expect 40 into_node "$work/damaged" --exclude '**/none'
  node images check | awk 'NR > 1 && $4 !~ /^complete/ { print; bad = 1 } END { exit bad }'
  expect 30 airlift seed "$work/vols" --bundle-key "$work/stranger.pub" --containerd --address "$work/containerd/socket"
  expect 50 seed "$work/vols" --containerd --address "$work/no-such-socket"
}

ctr_imports_the_archive_for_k3s() {
  local file
  seed "$work/vols" --k3s --images-folder "$work/k3s/agent/images" >/dev/null
  file=$(echo "$work"/k3s/agent/images/airlift-*.tar)
  [[ -f $file ]]
  equal "$(seed "$work/vols" --k3s --images-folder "$work/k3s/agent/images" -o json | sent)" 0
  # As k3s imports it, but for the platforms that it skips.
  ctr --address "$work/containerd/socket" --namespace k3s images import --no-unpack --platform linux/amd64 "$file" >/dev/null
  equal "$(ctr --address "$work/containerd/socket" --namespace k3s images ls "name==$upstream/team/app:1.0" | awk 'NR > 1 { print $3 }')" \
    "$(digest_of team/app:1.0)"
  ctr --address "$work/containerd/socket" --namespace k3s images check | awk 'NR > 1 && $4 !~ /^complete/ { print; bad = 1 } END { exit bad }'
}

other_tools_read_the_oci_archive() {
  local name
  unpack "$work/vols" --to "oci-archive:$work/all.tar" >/dev/null
  cat "$work"/vols/*.airlift | unpack - --to "oci-archive:$work/piped.tar" >/dev/null
  cmp "$work/all.tar" "$work/piped.tar"
  tar tf "$work/all.tar" | tail -n 1 | grep -qx index.json
  # skopeo takes Docker's own manifest lists out of no OCI layout, so legacy-list is not among them.
  for name in library/base:12 team/app:1.0 team/app:1.1; do
    sk copy --quiet --all --preserve-digests "oci-archive:$work/all.tar:$upstream/$name" "oci:$work/from-all:copy"
    equal "$(jq -r '.manifests[-1].digest' "$work/from-all/index.json")" "$(digest_of "$name")" "$name"
    rm -r "$work/from-all"
  done
  mkdir "$work/all"
  tar xf "$work/all.tar" -C "$work/all"
  (cd "$work/all/blobs/sha256" && sha256sum ./* | awk '{ sub("./", "", $2); if ($1 != $2) exit 1 }')
  serving "$work/all"
  trap 'kill "${pids[-1]}"' EXIT
  cosign_accepts "$served"
}

other_tools_read_the_docker_archive() {
  local name config
  expect 2 unpack "$work/vols" --to "docker-archive:$work/docker.tar" --platform linux/amd64
  unpack "$work/vols" --to "docker-archive:$work/docker.tar" --platform linux/amd64 --images-only --skip-other-platforms >/dev/null
  for name in library/base:12 team/app:1.0 team/legacy-list:2.0; do
    config=$(crane manifest --insecure --platform linux/amd64 "$upstream/$name" | jq -r .config.digest)
    # skopeo unpacks the layers and compares them with what the configuration says of them.
    sk copy --quiet "docker-archive:$work/docker.tar:$upstream/$name" "dir:$work/from-docker"
    equal "$(jq -r .config.digest "$work/from-docker/manifest.json")" "$config" "$name"
    rm -r "$work/from-docker"
  done
}

seed_cases() {
  run_case 'skopeo and cosign read an unpacked OCI archive' other_tools_read_the_oci_archive cosign helm crane
  run_case 'skopeo reads an unpacked Docker archive' other_tools_read_the_docker_archive cosign helm crane
  if [[ -n $(type -P containerd) ]]; then start_containerd || return; fi
  run_case 'a node gets the images of its platform' a_node_is_seeded cosign helm crane containerd ctr
  run_case 'a second seed sends nothing' a_second_seed_sends_nothing cosign helm containerd ctr
  run_case 'collection leaves what was seeded' collection_leaves_what_was_seeded cosign helm containerd ctr
  run_case 'a node is seeded from a pipe' a_node_is_seeded_from_a_pipe cosign helm containerd ctr
  run_case 'a killed seed leaves nothing that is not whole' a_killed_seed_leaves_nothing_that_is_not_whole cosign helm containerd ctr
  run_case 'a damaged bundle names nothing on a node' a_damaged_bundle_names_nothing_on_a_node cosign helm containerd ctr
  run_case 'ctr imports the archive for k3s' ctr_imports_the_archive_for_k3s cosign helm containerd ctr
}
