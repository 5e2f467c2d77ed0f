#!/usr/bin/env bash
# Cases about the bundle's own signatures, with real programs: the transfer zone without any network, cosign's view of
# airlift's seals and keys, a password on a terminal, and cosign at the destination behind a countersigned bundle.
# Sourced by scripts/real-parts.sh, whose tools and folders it uses; $work/vols holds a signed bundle in volumes.
# shellcheck disable=SC2154 # the variables are those of real-parts.sh

volumes() { find "$work/vols" -name 'site.*.airlift' ! -name '*.countersigned-*' | sort; }
content_of_volumes() { volumes | xargs cat; }

keys_for_a_transfer_zone() {
  airlift keygen -o "$work/dmz" | grep -q '(encrypted)' # AIRLIFT_KEY_PASSWORD is set
  grep -q 'ENCRYPTED SIGSTORE PRIVATE KEY' "$work/dmz.key"
  cat >"$work/zone-policy.yaml" <<YAML
apiVersion: airlift/v1alpha1
kind: Policy
keys: { release: { file: $work/signer.pub } }
bundle:
  keys: [ { name: author, file: $work/bundle.pub } ]
  countersigners: [ { name: dmz, file: $work/dmz.pub, report: required } ]
rules:
  - match: [ "$upstream/**" ]
    signatures: [ { key: release } ]
YAML
}

# Nothing but a folder, keys and a policy: a namespace without any interface.
a_transfer_zone_needs_no_network() {
  local sum
  unshare --user --map-root-user --net true 2>/dev/null || { echo 'no namespaces here, so the run is only traced'; return 0; }
  sum=$(content_of_volumes | sha256sum)
  echo '{"vulnerabilities": []}' >"$work/scan.json"
  write_policy "$work/policy.yaml" "$work/signer.pub"
  unshare --user --map-root-user --net "$program_under_test" verify "$work/vols" --bundle-key "$work/bundle.pub" --policy "$work/policy.yaml"
  unshare --user --map-root-user --net "$program_under_test" countersign "$work/vols" --bundle-key "$work/bundle.pub" \
    --policy "$work/policy.yaml" --sign-key "$work/dmz.key" --report "$work/scan.json" --carry-report --statement 'scanned'
  equal "$(content_of_volumes | sha256sum)" "$sum" 'the volumes'
  airlift verify "$work/vols" --policy "$work/zone-policy.yaml" -o json >"$work/verified.json"
  jq -e '.result == "good" and ([.signatures[] | select(.verdict == "good")] | length == 2)' "$work/verified.json"
  jq -e --arg sum "sha256:$(sha256sum <"$work/scan.json" | cut -d' ' -f1)" '.signatures[1].says.report.digest == $sum' "$work/verified.json"
}

no_call_of_a_verification_is_about_a_socket() {
  strace -f -qq -e trace=%network -o "$work/calls" "$program_under_test" verify "$work/vols" --bundle-key "$work/bundle.pub"
  equal "$(grep -cE 'socket\(AF_INET|connect\(' "$work/calls" || true)" 0 'sockets of a verification'
}

plain_tools_pass_over_a_countersignature() {
  local with without
  with=$(cat "$work"/vols/*.airlift | zstd -dc | sha256sum)
  without=$(content_of_volumes | zstd -dc | sha256sum)
  equal "$with" "$without" 'the tar stream'
}

import_demands_the_transfer_zone() {
  # shellcheck disable=SC2046 # names without blanks
  expect 30 airlift import --plain-http $(volumes) --to "$destination/zone" --policy "$work/zone-policy.yaml"
  cat "$work"/vols/*.airlift | airlift import - --plain-http --no-progress --to "$destination/zone" \
    --policy "$work/zone-policy.yaml" --receipt "$work/zone.json" --sign-key "$work/dmz.key"
  airlift receipt verify "$work/zone.json" --key "$work/dmz.pub" --destination "$destination/zone"
  expect 30 airlift receipt verify "$work/zone.json" --key "$work/bundle.pub"
}

cosign_accepts_what_came_through_the_zone() {
  cosign_accepts "$destination/zone"
}

# pae TYPE DOCUMENT: what a seal of that type over the document signs (docs/adr/0004).
pae() {
  local statement
  statement=$(printf '{"sha256":"%s","size":%d}' "$(sha256sum <"$2" | cut -d' ' -f1)" "$(stat -c %s "$2")")
  printf 'DSSEv1 %d %s %d %s' ${#1} "$1" ${#statement} "$statement"
}

# cosign_verifies_seal TYPE DOCUMENT ENVELOPE KEY
cosign_verifies_seal() {
  pae "$1" "$2" >"$work/pae"
  jq -r '.signatures[0].sig' "$3" >"$work/sig.b64"
  cosign verify-blob --key "$4" --signature "$work/sig.b64" --insecure-ignore-tlog=true "$work/pae"
}

cosign_verifies_airlifts_seals() {
  local type=application/vnd.airlift
  zstd -dc "$work"/vols/site.*.airlift | tar x -C "$work" airlift/head.json airlift/head.sig
  cosign_verifies_seal $type.bundle.v1+json "$work/airlift/head.json" "$work/airlift/head.sig" "$work/bundle.pub"
  cosign_verifies_seal $type.receipt.v1+json "$work/zone.json" "$work/zone.json.sig" "$work/dmz.pub"
  # A countersignature file is plain enough to be taken apart by hand (FORMAT.md, section 16).
  python3 - "$work"/vols/*.countersigned-*.airlift "$work/says.json" "$work/says.sig" <<'PY'
import hashlib, struct, sys
data = open(sys.argv[1], "rb").read()
statement, envelope, report = struct.unpack_from("<IIQ", data, 65)
assert data[17:25] == b"AIRLCSIG" and hashlib.sha256(data[:-32]).digest() == data[-32:]
assert len(data) == 81 + statement + envelope + report + 32
open(sys.argv[2], "wb").write(data[81:81 + statement])
open(sys.argv[3], "wb").write(data[81 + statement:81 + statement + envelope])
PY
  cosign_verifies_seal $type.countersignature.v1+json "$work/says.json" "$work/says.sig" "$work/dmz.pub"
  expect 1 cosign_verifies_seal $type.receipt.v1+json "$work/says.json" "$work/says.sig" "$work/dmz.pub"
}

keys_serve_both_programs() {
  # cosign's key signs a bundle; airlift's key signs a blob in cosign's hands.
  pack "$upstream/team/app:1.0" -o "$work/both" --sign-key "$work/signer.key"
  airlift verify "$work/both.airlift" --bundle-key "$work/bundle.pub" --bundle-key "$work/signer.pub" --bundle-threshold 2
  cosign sign-blob --key "$work/dmz.key" --tlog-upload=false --use-signing-config=false --new-bundle-format=false -y \
    --output-signature "$work/blob.sig" "$work/predicate.json"
  cosign verify-blob --key "$work/dmz.pub" --signature "$work/blob.sig" --insecure-ignore-tlog=true "$work/predicate.json"
}

# A terminal that python makes asks and answers; what was typed must not come back.
a_password_is_asked_for_on_a_terminal() {
  AIRLIFT_KEY_PASSWORD=typed-in-secret airlift keygen -o "$work/typist"
  env -u AIRLIFT_KEY_PASSWORD -u COSIGN_PASSWORD python3 - "$program_under_test" countersign "$work/both.airlift" \
    --allow-unsigned-bundle --sign-key "$work/typist.key" --output-file "$work/typed.airlift" >"$work/typed.out" <<'PY'
import os, pty, sys
pid, terminal = pty.fork()
if pid == 0:
    os.execv(sys.argv[1], sys.argv[1:])
said = b""
while b"password of" not in said or b": " not in said.split(b"password of")[-1]:
    said += os.read(terminal, 1024)
os.write(terminal, b"typed-in-secret\n")
try:
    while chunk := os.read(terminal, 1024):
        said += chunk
except OSError:
    pass
sys.stdout.buffer.write(said)
sys.exit(os.waitstatus_to_exitcode(os.waitpid(pid, 0)[1]))
PY
  grep -q 'countersigned in' "$work/typed.out"
  equal "$(grep -c typed-in-secret "$work/typed.out" || true)" 0 'the password, shown'
}

the_bill_of_lading_is_one_page() {
  airlift inspect "$work/vols" --html "$work/lading.html" --bundle-key "$work/bundle.pub" --countersigner "$work/dmz.pub" >/dev/null
  equal "$(grep -cE '<(script|link|img|iframe)|href=|url\(' "$work/lading.html" || true)" 0 'what a browser would load'
  local words
  for words in "$upstream/team/app:1.0" scan.json '(claimed)' "$(digest_of team/app:1.0)"; do grep -qF "$words" "$work/lading.html"; done
}

seals_cases() {
  run_case 'keys for a transfer zone are encrypted' keys_for_a_transfer_zone cosign helm
  run_case 'a transfer zone needs no network' a_transfer_zone_needs_no_network cosign helm unshare
  run_case 'no call of a verification is about a socket' no_call_of_a_verification_is_about_a_socket cosign helm strace
  run_case 'plain tools pass over a countersignature' plain_tools_pass_over_a_countersignature cosign helm
  run_case 'import demands the transfer zone' import_demands_the_transfer_zone cosign helm
  run_case 'cosign accepts what came through the zone' cosign_accepts_what_came_through_the_zone cosign helm
  run_case 'cosign verifies the seals of airlift' cosign_verifies_airlifts_seals cosign helm
  run_case 'keys serve both programs' keys_serve_both_programs cosign
  run_case 'a password is asked for on a terminal' a_password_is_asked_for_on_a_terminal cosign
  run_case 'the bill of lading is one page' the_bill_of_lading_is_one_page cosign helm
}
