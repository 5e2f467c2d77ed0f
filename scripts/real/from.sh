# Cases with `--from`: what real tools packed is packed again from their files; sourced by real-parts.sh, after the upstream
# is filled and signed.
# shellcheck shell=bash disable=SC2154

# from OUT ARGUMENT...: packs with no registry in reach.
from() {
  local out=$1
  shift
  airlift pack --no-progress --sign-key "$work/bundle.key" -o "$work/from/$out" "$@"
}

# packed OUT: name and digest of each artifact in it.
packed() { airlift inspect "$work/from/$1.airlift" -o json | jq -r '.artifacts[] | "\(.source) \(.digest)"'; }

layouts_of_skopeo_and_oras_are_sources() {
  mkdir -p "$work/from"
  local base=library/base:12 app=team/app:1.0 wanted
  wanted="$upstream/$base $(digest_at "$upstream/$base")"
  sk copy --quiet --all --preserve-digests --src-tls-verify=false "docker://$upstream/$base" "oci-archive:$work/from/base.tar:12"
  gzip -k "$work/from/base.tar"
  zstd -q "$work/from/base.tar"
  for file in base.tar base.tar.gz base.tar.zst; do
    # skopeo writes a tag and no name, and leaves the signature behind.
    from "$file" --from "$work/from/$file" --name "$upstream/library/base" --allow-unsigned "$upstream/**"
    equal "$(packed "$file")" "$wanted" "$file"
  done
  expect 30 from refused --from "$work/from/base.tar" --name "$upstream/library/base" --key "$work/signer.pub"
  expect 2 from refused --from "$work/from/base.tar" --allow-unsigned '**'
  # oras takes the referrers along, and with them the signature.
  oras copy -r --from-plain-http "$upstream/$app" --to-oci-layout "$work/from/app:1.0" >/dev/null
  from app --from "oci:$work/from/app" --name "$upstream/team/app" --key "$work/signer.pub"
  equal "$(packed app)" "$upstream/$app $(digest_at "$upstream/$app")"
  airlift verify "$work/from/app.airlift" --bundle-key "$work/bundle.pub" --key "$work/signer.pub"
}

archives_of_docker_are_sources() {
  local base=library/base:12 image format
  image=$(sk inspect --tls-verify=false --raw "docker://$upstream/$base" |
    jq -r '.manifests[] | select(.platform.architecture == "amd64") | .digest' | head -1)
  [[ -n $image ]] || image=$(digest_at "$upstream/$base")
  local id
  id=$(crane manifest --insecure "$upstream/library/base@$image" | jq -r .config.digest)
  for format in legacy tarball; do
    crane pull --insecure --platform linux/amd64 --format "$format" "$upstream/$base" "$work/from/$format.tar"
    from "$format" --from "$work/from/$format.tar" --allow-unsigned "$upstream/**"
    zstd -dc "$work/from/$format.airlift" | tar x -O 'blobs' | grep -ac "$id" >/dev/null
    from again --from "docker-archive:$work/from/$format.tar" --allow-unsigned "$upstream/**"
    equal "$(packed again)" "$(packed "$format")" 'the same file gives the same manifest'
    rm "$work/from/again.airlift"
  done
  crane pull --insecure --format oci "$upstream/$base" "$work/from/crane"
  from crane --from "$work/from/crane" --name "$upstream/library/base" --allow-unsigned "$upstream/**"
  equal "$(packed crane)" "$upstream/library/base@$(digest_at "$upstream/$base") $(digest_at "$upstream/$base")"
  sk copy --quiet --override-arch amd64 --src-tls-verify=false "docker://$upstream/$base" "docker-archive:$work/from/skopeo.tar:example.com/base:12"
  gzip "$work/from/skopeo.tar"
  from skopeo --from "$work/from/skopeo.tar.gz" --allow-unsigned 'example.com/**'
  equal "$(packed skopeo | cut -d' ' -f1)" example.com/base:12
}

the_storage_of_a_registry_is_a_source() {
  local reference
  from storage --from "distribution:$work/upstream" --name "$upstream" --key "$work/signer.pub" \
    "$upstream/library/base:12" "$upstream/team/app:1.0" "$upstream/team/legacy-list:2.0" "$upstream/charts/web:0.3.0"
  packed storage | while read -r reference digest; do equal "$digest" "$(digest_at "$reference")" "$reference"; done
  airlift verify "$work/from/storage.airlift" --bundle-key "$work/bundle.pub" --key "$work/signer.pub"
  # As oc-mirror carries it.
  tar cf "$work/from/mirror_000001.tar" -C "$work/upstream" docker/registry/v2
  from mirror --from "$work/from/mirror_000001.tar" --name "$upstream" --key "$work/signer.pub" "$upstream/team/app:1.0"
  equal "$(packed mirror)" "$upstream/team/app:1.0 $(digest_at "$upstream/team/app:1.0")"
}

a_tar_of_imgpkg_is_a_source() {
  imgpkg copy -i "$upstream/library/base:12" --to-tar "$work/from/imgpkg.tar" --registry-insecure --cosign-signatures >/dev/null
  from imgpkg --from "$work/from/imgpkg.tar" --key "$work/signer.pub"
  equal "$(packed imgpkg)" "$upstream/library/base:12 $(digest_at "$upstream/library/base:12")"
}

a_bundle_comes_back_from_a_layout() {
  airlift import "$work/vols" --bundle-key "$work/bundle.pub" --no-progress --to "oci:$work/from/layout"
  from back --from "oci:$work/from/layout" --name "$upstream" --key "$work/signer.pub"
  equal "$(packed back | sort)" "$(airlift inspect "$work/vols" -o json | jq -r '.artifacts[] | "\(.source) \(.digest)"' | sort)"
}

from_cases() {
  run_case 'layouts of skopeo and oras are sources' layouts_of_skopeo_and_oras_are_sources cosign crane oras
  run_case 'archives of docker are sources' archives_of_docker_are_sources crane
  run_case 'the storage of a registry is a source' the_storage_of_a_registry_is_a_source cosign crane
  run_case 'a tar of imgpkg is a source' a_tar_of_imgpkg_is_a_source cosign crane imgpkg
  run_case 'a bundle comes back from a layout' a_bundle_comes_back_from_a_layout cosign helm
}
