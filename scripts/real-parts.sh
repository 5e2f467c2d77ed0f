#!/usr/bin/env bash
# Tests airlift against real programs: two docker-registry processes on loopback, skopeo, containerd, zstd, tar, crane,
# cosign, oras, helm and notation. No network, nothing left behind, only processes that it started are ended.
#
#   scripts/real-parts.sh             every case
#   scripts/real-parts.sh PATTERN     only cases whose name matches (what they build on must be matched too)
#   scripts/real-parts.sh --keep      leaves the work folder and prints its name
#
# AIRLIFT names the program (default: target/release/airlift, built when it is not there).
# A case that lacks a program is SKIPPED with the reason; with AIRLIFT_REQUIRE_REAL_PARTS=1 that is a failure.
# Exit: 0 good, 1 a case failed, 77 nothing could run.
set -uo pipefail
cd "$(dirname "${BASH_SOURCE[0]}")/.."

readonly repository=$PWD
export COSIGN_PASSWORD=real-parts AIRLIFT_KEY_PASSWORD=real-parts
pattern='' keep=no

for argument in "$@"; do
  case "$argument" in
    --keep) keep=yes ;;
    -*)
      sed -n '2,11s/^# \{0,1\}//p' "${BASH_SOURCE[0]}"
      exit 2
      ;;
    *) pattern=$argument ;;
  esac
done

program_under_test=${AIRLIFT:-$repository/target/release/airlift}
[[ -n ${AIRLIFT:-} ]] || cargo build --locked --release --quiet || exit 1

# shellcheck source=scripts/cases.sh
source scripts/cases.sh
open_work_folder airlift-real-parts

# --- tools of the cases ------------------------------------------------------------------------------------------

# Requests that a registry has had, as a mark for `since`.
mark() { wc -l <"$work/$1.access"; }

# since NAME MARK METHODS: how many requests of these methods it has had after the mark.
since() { tail -n "+$(($2 + 1))" "$work/$1.access" | grep -cE "\"($3) " || true; }

airlift() { "$program_under_test" "$@"; }
sk() { skopeo --insecure-policy "$@"; }
digest_at() { crane digest --insecure "$1"; }
made() { "$repository/scripts/make-images.py" names "$work/world"; }
digest_of() { made | awk -v name="$1" '$1 == name { print $2 }'; }

# The signed artifacts that the bundles carry.
signed_references() {
  printf "$upstream/%s\n" library/base:12 team/app:1.0 team/app:1.1 team/attested:1.0 team/legacy-list:2.0 charts/web:0.3.0
}

pack() { airlift pack --plain-http --no-progress --key "$work/signer.pub" --sign-key "$work/bundle.key" "$@"; }
import() { airlift import --plain-http --no-progress --bundle-key "$work/bundle.pub" "$@"; }

# --- the world upstream: no airlift needed ------------------------------------------------------------------------

images_are_reproducible() {
  "$repository/scripts/make-images.py" world "$work/world" --registry "$upstream" --size 40MB
  "$repository/scripts/make-images.py" world "$work/again" --registry "$upstream" --size 40MB
  cmp "$work/world/index.json" "$work/again/index.json"
  rm -r "$work/again"
}

upstream_holds_the_images() {
  local name digest
  while read -r name digest; do
    # skopeo's oci transport knows no Docker schema 2, so those two were put into the storage beforehand.
    [[ $name == team/legacy* ]] ||
      sk copy --quiet --all --preserve-digests --dest-tls-verify=false "oci:$work/world:$name" "docker://$upstream/$name"
    equal "$(sk inspect --raw --tls-verify=false "docker://$upstream/$name" | sha256sum | cut -d' ' -f1)" "${digest#sha256:}" "$name"
  done < <(made)
}

crane_finds_the_images_valid() {
  local name
  for name in library/base:12 team/app:1.0 team/legacy:2.0 team/legacy-list:2.0; do
    crane validate --insecure --remote "$upstream/$name"
  done
}

helm_pushes_a_chart() {
  helm push "$work/world/charts/web-0.3.0.tgz" "oci://$upstream/charts" --plain-http
}

cosign_signs() {
  local reference
  local offline=(--key "$work/signer.key" --tlog-upload=false --use-signing-config=false --allow-http-registry -y)
  cosign generate-key-pair --output-key-prefix "$work/signer"
  # Both forms that are in use: signature manifests under a tag, and Sigstore bundles as referrers.
  for reference in library/base:12 team/legacy-list:2.0 charts/web:0.3.0; do
    cosign sign "${offline[@]}" --new-bundle-format=false "$upstream/$reference"
  done
  for reference in team/app:1.0 team/app:1.1 team/attested:1.0; do
    cosign sign "${offline[@]}" --new-bundle-format=true "$upstream/$reference"
  done
  echo '{"builder": "real-parts"}' >"$work/predicate.json"
  cosign attest "${offline[@]}" --type https://example.com/built --predicate "$work/predicate.json" "$upstream/team/app:1.0"
  cosign_accepts "$upstream"
}

# cosign_accepts PLACE: everything that was signed verifies there.
cosign_accepts() {
  local reference
  for reference in library/base:12 team/legacy-list:2.0 charts/web:0.3.0 team/app:1.0 team/app:1.1 team/attested:1.0; do
    cosign verify --key "$work/signer.pub" --insecure-ignore-tlog --allow-http-registry "$1/$reference" >/dev/null
  done
  cosign verify-attestation --key "$work/signer.pub" --insecure-ignore-tlog --allow-http-registry \
    --type https://example.com/built "$1/team/app:1.0" >/dev/null
}

# --- keys and packing --------------------------------------------------------------------------------------------

keygen_makes_two_pairs() {
  airlift keygen --output-key-prefix "$work/bundle"
  airlift keygen --output-key-prefix "$work/stranger"
  [[ $(stat -c %a "$work/bundle.key") == 600 ]]
  ! cmp -s "$work/bundle.pub" "$work/stranger.pub"
}

pack_writes_volumes() {
  # shellcheck disable=SC2046 # references hold no blanks
  pack $(signed_references) -o "$work/vols/site" --volume-size 8MiB
  (($(find "$work/vols" -name 'site.*.airlift' | wc -l) > 1))
  local volume
  for volume in "$work"/vols/*.airlift; do (($(stat -c %s "$volume") <= 8388608)); done
}

pack_writes_the_same_payload_again() {
  # shellcheck disable=SC2046
  pack $(signed_references) -o "$work/again/site" --volume-size 8MiB
  equal "$(zstd -dc "$work"/again/*.airlift | tar x -O blobs | sha256sum)" "$(zstd -dc "$work"/vols/*.airlift | tar x -O blobs | sha256sum)" content
  rm -r "$work/again"
}

pack_writes_one_file() {
  pack "$upstream/library/base:12" "$upstream/team/app:1.0" -o "$work/single"
  [[ -f $work/single.airlift ]]
}

pack_writes_to_a_pipe() {
  pack "$upstream/team/app:1.0" -o - | zstd -dc | tar t >/dev/null
}

a_killed_pack_goes_on() {
  local after arguments
  mapfile -t arguments < <(signed_references)
  arguments=(pack --plain-http --no-progress --key "$work/signer.pub" --sign-key "$work/bundle.key" "${arguments[@]}"
    -o "$work/killed/site" --volume-size 8MiB)
  for after in 0.05 0.1 0.2 0.4; do timeout -s KILL "$after" "$program_under_test" "${arguments[@]}" || true; done
  airlift "${arguments[@]}"
  equal "$(zstd -dc "$work"/killed/*.airlift | tar x -O blobs | sha256sum)" "$(zstd -dc "$work"/vols/*.airlift | tar x -O blobs | sha256sum)" content
  equal "$(find "$work/killed" -type f ! -name '*.airlift')" '' 'left behind'
}

pack_refuses_what_is_not_signed() {
  expect 30 pack "$upstream/team/unsigned:1.0" -o "$work/refused/x"
  expect 30 pack "$upstream/team/app:1.0" "$upstream/team/unsigned:1.0" -o "$work/refused/x"
  [[ -z $(find "$work/refused" -name '*.airlift' 2>/dev/null) ]]
}

pack_takes_the_unsigned_when_told() {
  pack "$upstream/team/unsigned:1.0" --allow-unsigned "$upstream/team/unsigned*" -o "$work/allowed"
}

pack_refuses_a_strangers_signature() {
  expect 30 airlift pack --plain-http --no-progress --key "$work/stranger.pub" --sign-key "$work/bundle.key" \
    "$upstream/team/app:1.0" -o "$work/refused/y"
}

pack_says_when_the_source_is_down() {
  expect 20 pack --retries 0 "127.0.0.1:$dead_port/team/app:1.0" -o "$work/refused/z"
  expect 20 pack "$upstream/team/absent:1.0" -o "$work/refused/z"
}

wrong_flags_are_a_usage_error() {
  expect 2 airlift pack --no-such-flag
  expect 2 airlift import
  expect 2 airlift no-such-verb
  expect 2 pack "not a reference" -o "$work/refused/u"
}

# --- the bundle in the hands of other programs -------------------------------------------------------------------

debian_unpacks_the_volumes() {
  zstd -q -t "$work"/vols/*.airlift
  cat "$work"/vols/*.airlift | zstd -dc | tar t >"$work/listing"
  grep -qx oci-layout "$work/listing"
  grep -qx index.json "$work/listing"
  mkdir -p "$work/unpacked"
  cat "$work"/vols/*.airlift | zstd -dc | tar x -C "$work/unpacked"
  (cd "$work/unpacked/blobs/sha256" && sha256sum ./* | awk '{ sub("./", "", $2); if ($1 != $2) { print "wrong:", $2; bad = 1 } } END { exit bad }')
}

skopeo_reads_the_unpacked_layout() {
  local name
  jq -r '.manifests[].annotations["org.opencontainers.image.ref.name"] // empty' "$work/unpacked/index.json" >"$work/names"
  [[ -s $work/names ]]
  name=$(grep -E 'team/app:1.0$' "$work/names")
  sk inspect --raw "oci:$work/unpacked:$name" | sha256sum | grep -q "$(digest_of team/app:1.0 | cut -d: -f2)"
  sk copy --quiet --preserve-digests "oci:$work/unpacked:$name" "dir:$work/from-layout"
}

skopeo_reads_the_bundle_as_it_is() {
  local name
  name=$(zstd -dc "$work/single.airlift" | tar x -O index.json |
    jq -r '.manifests[].annotations["org.opencontainers.image.ref.name"] // empty' | grep -E 'team/app:1.0$')
  sk copy --quiet --preserve-digests "oci-archive:$work/single.airlift:$name" "dir:$work/from-archive"
  equal "$(sha256sum <"$work/from-archive/manifest.json" | cut -d' ' -f1)" "$(digest_of team/app:1.0 | cut -d: -f2)"
}

inspect_tells_what_is_inside() {
  airlift inspect "$work/vols" -o json >"$work/inspected.json"
  jq -e . "$work/inspected.json" >/dev/null
  local reference
  for reference in library/base team/app team/legacy-list charts/web; do grep -q "$reference" "$work/inspected.json"; done
  grep -q "$(digest_of team/app:1.0)" "$work/inspected.json"
}

# --- verification ------------------------------------------------------------------------------------------------

verify_accepts_the_bundle() {
  airlift verify "$work/vols" --bundle-key "$work/bundle.pub"
  airlift verify "$work/single.airlift" --bundle-key "$work/bundle.pub" -o json | jq -e . >/dev/null
}

verify_refuses_a_strangers_key() {
  expect 30 airlift verify "$work/vols" --bundle-key "$work/stranger.pub"
  expect 30 airlift verify "$work/vols"
}

# write_policy FILE KEY: a policy of the far side that wants that key's signature on everything.
write_policy() {
  cat >"$1" <<YAML
apiVersion: airlift/v1alpha1
kind: Policy
keys: { release: { file: $2 } }
rules:
  - match: [ "$upstream/**" ]
    signatures: [ { key: release } ]
YAML
}

the_far_sides_policy_decides() {
  write_policy "$work/policy.yaml" "$work/signer.pub"
  write_policy "$work/other-policy.yaml" "$work/stranger.pub"
  airlift verify "$work/vols" --bundle-key "$work/bundle.pub" --policy "$work/policy.yaml"
  expect 30 airlift verify "$work/vols" --bundle-key "$work/bundle.pub" --policy "$work/other-policy.yaml"
}

verify_names_a_flipped_byte() {
  local volume
  cp -r "$work/vols" "$work/damaged"
  volume=$(find "$work/damaged" -name '*.airlift' | sort | sed -n 2p)
  python3 - "$volume" <<'PY'
import os, sys
with open(sys.argv[1], "r+b") as file:
    middle = os.fstat(file.fileno()).st_size // 2
    file.seek(middle)
    byte = file.read(1)
    file.seek(middle)
    file.write(bytes([byte[0] ^ 1]))
PY
  expect 40 airlift verify "$work/damaged" --bundle-key "$work/bundle.pub"
}

import_refuses_a_flipped_byte() {
  expect 40 import "$work/damaged" --to "$destination/damaged"
  # What stands behind the damage is not there, and nothing that is there is incomplete.
  local name
  for name in library/base:12 team/app:1.0 team/legacy-list:2.0; do
    crane manifest --insecure "$destination/damaged/$name" >/dev/null 2>&1 || continue
    crane validate --insecure --remote "$destination/damaged/$name"
  done
}

a_missing_volume_is_named() {
  cp -r "$work/vols" "$work/partial"
  rm "$(find "$work/partial" -name '*.airlift' | sort | sed -n 2p)"
  expect 40 airlift verify "$work/partial" --bundle-key "$work/bundle.pub" 2>&1 | tee "$work/partial.out"
  grep -qE '(volume|Volume).* 2' "$work/partial.out"
  rm -r "$work/partial"
}

# --- import ------------------------------------------------------------------------------------------------------

import_refuses_a_strangers_key() {
  local before
  before=$(mark destination)
  expect 30 airlift import --plain-http "$work/vols" --to "$destination/mirror" --bundle-key "$work/stranger.pub"
  expect 30 airlift import --plain-http "$work/vols" --to "$destination/mirror"
  equal "$(since destination "$before" 'PUT|POST|PATCH|DELETE')" 0 'writes for a refused bundle'
}

import_says_when_the_destination_is_down() {
  expect 50 import --retries 0 "$work/vols" --to "127.0.0.1:$dead_port/mirror"
}

a_dry_run_writes_nothing() {
  local before
  before=$(mark destination)
  import "$work/vols" --to "$destination/mirror" --dry-run
  equal "$(since destination "$before" 'PUT|POST|PATCH|DELETE')" 0 'writes of a dry run'
}

import_fills_the_destination() {
  import "$work/vols" --to "$destination/mirror" --receipt "$work/first.receipt.json"
  local name
  for name in library/base:12 team/app:1.0 team/app:1.1 team/attested:1.0 team/legacy-list:2.0 charts/web:0.3.0; do
    equal "$(digest_at "$destination/mirror/$name")" "$(digest_at "$upstream/$name")" "$name"
  done
  jq -e '.kind == "Receipt"' "$work/first.receipt.json"
}

crane_finds_the_mirror_valid() {
  local name
  for name in library/base:12 team/app:1.0 team/legacy-list:2.0; do crane validate --insecure --remote "$destination/mirror/$name"; done
}

skopeo_copies_from_the_mirror() {
  sk inspect --tls-verify=false "docker://$destination/mirror/team/app:1.1" >/dev/null
  sk copy --quiet --all --preserve-digests --src-tls-verify=false "docker://$destination/mirror/library/base:12" "oci:$work/pulled:base"
  equal "$(jq -r '.manifests[0].digest' "$work/pulled/index.json")" "$(digest_of library/base:12)"
}

oras_finds_the_referrers() {
  local here there
  here=$(oras discover --plain-http --format json "$upstream/team/app:1.0" | jq -S '[.referrers[].digest] | sort')
  there=$(oras discover --plain-http --format json "$destination/mirror/team/app:1.0" | jq -S '[.referrers[].digest] | sort')
  equal "$(jq length <<<"$here")" 2 'referrers upstream'
  equal "$there" "$here" referrers
}

cosign_accepts_the_mirror() {
  cosign_accepts "$destination/mirror"
}

helm_pulls_from_the_mirror() {
  mkdir -p "$work/chart"
  helm pull "oci://$destination/mirror/charts/web" --version 0.3.0 --plain-http --destination "$work/chart"
  cmp "$work/chart/web-0.3.0.tgz" "$work/world/charts/web-0.3.0.tgz"
}

a_second_import_sends_nothing() {
  local before
  before=$(mark destination)
  import "$work/vols" --to "$destination/mirror" --receipt "$work/second.receipt.json"
  equal "$(since destination "$before" 'PUT|POST|PATCH|DELETE')" 0 'writes of a second import'
  echo "$(since destination "$before" 'GET|HEAD') requests for $(signed_references | wc -l) tags"
}

a_killed_import_goes_on() {
  local after name arguments
  arguments=(import --plain-http --no-progress --bundle-key "$work/bundle.pub" "$work/vols" --to "$destination/killed")
  for after in 0.05 0.1 0.2 0.4; do
    timeout -s KILL "$after" "$program_under_test" "${arguments[@]}" || true
    # What can be seen is complete, wherever the run ended.
    for name in library/base:12 team/app:1.0 team/legacy-list:2.0; do
      crane manifest --insecure "$destination/killed/$name" >/dev/null 2>&1 || continue
      crane validate --insecure --remote "$destination/killed/$name"
    done
    # This one has a zstd layer, which crane does not unpack; skopeo checks the digests of all that it copies.
    if crane manifest --insecure "$destination/killed/team/app:1.1" >/dev/null 2>&1; then
      sk copy --quiet --all --preserve-digests --src-tls-verify=false "docker://$destination/killed/team/app:1.1" "dir:$work/killed-$after"
    fi
  done
  airlift "${arguments[@]}"
  cosign_accepts "$destination/killed"
}

import_reads_a_pipe() {
  cat "$work"/vols/*.airlift | import - --to "$destination/piped"
  equal "$(digest_at "$destination/piped/team/app:1.1")" "$(digest_of team/app:1.1)"
  cosign_accepts "$destination/piped"
}

import_fills_a_layout() {
  import "$work/vols" --to "oci:$work/landed"
  [[ -f $work/landed/oci-layout ]]
  find "$work/landed/blobs/sha256" -type f -printf '%f\n' | sort >"$work/landed.blobs"
  local digest
  for digest in $(digest_of team/app:1.0) $(digest_of library/base:12); do grep -qx "${digest#sha256:}" "$work/landed.blobs"; done
  (cd "$work/landed/blobs/sha256" && sha256sum ./* | awk '{ sub("./", "", $2); if ($1 != $2) exit 1 }')
}

an_unsigned_bundle_needs_a_word() {
  airlift pack --plain-http --no-progress --key "$work/signer.pub" "$upstream/team/app:1.0" -o "$work/bare"
  expect 30 import "$work/bare.airlift" --to "$destination/bare"
  airlift import --plain-http --no-progress "$work/bare.airlift" --to "$destination/bare" --allow-unsigned-bundle
  equal "$(digest_at "$destination/bare/team/app:1.0")" "$(digest_of team/app:1.0)"
}

sync_copies_and_then_writes_nothing() {
  local arguments before
  mapfile -t arguments < <(signed_references)
  airlift sync --plain-http --no-progress --key "$work/signer.pub" "${arguments[@]}" --to "$destination/synced"
  equal "$(digest_at "$destination/synced/team/app:1.0")" "$(digest_of team/app:1.0)"
  cosign_accepts "$destination/synced"
  before=$(mark destination)
  airlift sync --plain-http --no-progress --key "$work/signer.pub" "${arguments[@]}" --to "$destination/synced"
  equal "$(since destination "$before" 'PUT|POST|PATCH|DELETE')" 0 'writes of a second sync'
}

a_rendered_chart_brings_its_images() {
  mkdir -p "$work/deploy"
  helm template web "$work/world/charts/web-0.3.0.tgz" >"$work/deploy/web.yaml"
  cat >"$work/mirror.yaml" <<YAML
apiVersion: airlift/v1alpha1
kind: Mirror
charts: [ "$upstream/charts/web:0.3.0" ]
kubernetes: [ ./deploy ]
YAML
  resolve
  equal "$(jq -r '.artifacts[].source' "$work/airlift.lock" | sed 's|.*/||' | sort | paste -sd ' ')" 'app:1.0 base:12 web:0.3.0'
  airlift why "$upstream/team/app:1.0" --lock "$work/airlift.lock" | grep -q 'deploy/web.yaml'
  cp "$work/airlift.lock" "$work/first.lock"
  resolve
  cmp "$work/airlift.lock" "$work/first.lock"
  pack --lock "$work/airlift.lock" -o "$work/from-lock"
  airlift verify "$work/from-lock.airlift" --bundle-key "$work/bundle.pub"
}

resolve() { airlift resolve -f "$work/mirror.yaml" --lock "$work/airlift.lock" --plain-http --no-progress; }

# shellcheck source=scripts/real/serve.sh
source scripts/real/serve.sh
# shellcheck source=scripts/real/seals.sh
source scripts/real/seals.sh
# shellcheck source=scripts/real/lock.sh
source scripts/real/lock.sh
# shellcheck source=scripts/real/seed.sh
source scripts/real/seed.sh
# shellcheck source=scripts/real/from.sh
source scripts/real/from.sh
# shellcheck source=scripts/real/crash.sh
source scripts/real/crash.sh

# --- all together ------------------------------------------------------------------------------------------------

for program in docker-registry skopeo zstd tar jq python3; do
  type -P "$program" >/dev/null || { echo "SKIPPED: nothing can run without $program: scripts/install-tools.sh"; exit 77; }
done

read -r port_a port_b dead_port clock_port files_port _ < <(free_ports)
readonly upstream=127.0.0.1:$port_a destination=127.0.0.1:$port_b dead_port clock_port files_port program_under_test

run_case 'made images are the same on every run' images_are_reproducible
"$repository/scripts/make-images.py" seed "$work/world" "$work/upstream" team/legacy
start_registry upstream "$port_a" || exit 1
start_registry destination "$port_b" || exit 1
serve_files || exit 1

run_case 'skopeo fills the upstream' upstream_holds_the_images
run_case 'crane finds the images valid' crane_finds_the_images_valid crane
run_case 'helm pushes a chart' helm_pushes_a_chart helm
run_case 'cosign signs in both forms and attests' cosign_signs cosign
run_case 'keygen makes two pairs' keygen_makes_two_pairs cosign
run_case 'wrong flags are a usage error' wrong_flags_are_a_usage_error
run_case 'pack writes volumes' pack_writes_volumes cosign helm
run_case 'pack writes the same payload again' pack_writes_the_same_payload_again cosign helm
run_case 'a killed pack goes on' a_killed_pack_goes_on cosign helm
run_case 'pack writes one file' pack_writes_one_file cosign
run_case 'pack writes to a pipe' pack_writes_to_a_pipe cosign
run_case 'pack refuses what is not signed' pack_refuses_what_is_not_signed cosign
run_case 'pack takes the unsigned when told' pack_takes_the_unsigned_when_told cosign
run_case 'pack refuses the signature of a stranger' pack_refuses_a_strangers_signature cosign
run_case 'pack says when the source is down' pack_says_when_the_source_is_down cosign
run_case 'zstd and tar unpack the volumes' debian_unpacks_the_volumes cosign helm
run_case 'skopeo reads the unpacked layout' skopeo_reads_the_unpacked_layout cosign helm
run_case 'skopeo reads an unsplit bundle as it is' skopeo_reads_the_bundle_as_it_is cosign
run_case 'inspect tells what is inside' inspect_tells_what_is_inside cosign helm
run_case 'verify accepts the bundle' verify_accepts_the_bundle cosign helm
run_case 'verify refuses the key of a stranger' verify_refuses_a_strangers_key cosign helm
run_case 'the policy of the far side decides' the_far_sides_policy_decides cosign helm
run_case 'verify names a flipped byte' verify_names_a_flipped_byte cosign helm
run_case 'a missing volume is named' a_missing_volume_is_named cosign helm
run_case 'import refuses a flipped byte' import_refuses_a_flipped_byte cosign helm crane
run_case 'import refuses the key of a stranger' import_refuses_a_strangers_key cosign helm
run_case 'import says when the destination is down' import_says_when_the_destination_is_down cosign helm
run_case 'a dry run writes nothing' a_dry_run_writes_nothing cosign helm
run_case 'import fills the destination' import_fills_the_destination cosign helm crane
run_case 'crane finds the mirror valid' crane_finds_the_mirror_valid cosign crane
run_case 'skopeo copies from the mirror' skopeo_copies_from_the_mirror cosign
run_case 'oras finds the same referrers' oras_finds_the_referrers cosign oras
run_case 'cosign accepts the mirror' cosign_accepts_the_mirror cosign
run_case 'helm pulls from the mirror' helm_pulls_from_the_mirror cosign helm
run_case 'a second import sends nothing' a_second_import_sends_nothing cosign
run_case 'a killed import goes on' a_killed_import_goes_on cosign helm crane
run_case 'import reads a pipe' import_reads_a_pipe cosign helm crane
run_case 'import fills an OCI layout' import_fills_a_layout cosign helm
run_case 'the volumes are a registry' the_volumes_are_a_registry cosign helm crane oras curl
run_case 'an unpacked bundle is a registry' an_unpacked_bundle_is_a_registry cosign helm crane
run_case 'an unsigned bundle needs a word' an_unsigned_bundle_needs_a_word cosign crane
run_case 'sync copies and then writes nothing' sync_copies_and_then_writes_nothing cosign helm crane
run_case 'a rendered chart brings its images' a_rendered_chart_brings_its_images cosign helm
run_case 'files are made into artifacts' files_are_made_into_artifacts cosign helm
run_case 'helm pulls a chart that was made' helm_pulls_a_chart_that_was_made cosign helm crane
run_case 'oras pulls a file that was made' oras_pulls_a_file_that_was_made cosign oras
run_case 'a lock is checked against the world' a_lock_is_checked_against_the_world crane oras

from_cases
seals_cases
seed_cases
crash_cases
# shellcheck source=scripts/real/notation.sh
source "$repository/scripts/real/notation.sh"
# shellcheck source=scripts/real/policy.sh
source "$repository/scripts/real/policy.sh"

# shellcheck source=scripts/real/delta.sh
source "$repository/scripts/real/delta.sh"

# shellcheck source=scripts/real/charts.sh
source scripts/real/charts.sh

closing_line
