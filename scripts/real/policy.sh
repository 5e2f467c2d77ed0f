# Cases of the policy language with cosign's own signatures and attestations; sourced by scripts/real-parts.sh, whose
# functions and names it uses. cosign signs and attests, and `airlift policy check` decides as it should.
# shellcheck shell=bash disable=SC2154

readonly attested_image=policy/app:1.0
scan_policy=$work/scan-policy.yaml

# check_policy POLICY [MORE]: explains the decision over the attested image.
check_policy() { airlift policy check --plain-http --no-progress --policy "$1" "${@:2}" "$upstream/$attested_image"; }

cosign_attests_builds_bills_and_scans() {
  local form offline=(--key "$work/signer.key" --tlog-upload=false --use-signing-config=false --allow-http-registry -y)
  crane copy --insecure "$upstream/team/app:1.0" "$upstream/$attested_image"
  crane mutate --insecure --annotation org.example.name=policy --tag "$upstream/$attested_image" "$upstream/$attested_image"
  cosign sign "${offline[@]}" --new-bundle-format=true "$upstream/$attested_image"
  cat >"$work/slsa.json" <<'JSON'
{"buildDefinition": {"buildType": "https://build.example/v1", "externalParameters": {"workflow": {"repository": "https://code.example/team/app"}},
 "internalParameters": {}, "resolvedDependencies": []}, "runDetails": {"builder": {"id": "https://builder.example/v2"}}}
JSON
  echo '{"spdxVersion": "SPDX-2.3", "SPDXID": "SPDXRef-DOCUMENT", "name": "app", "dataLicense": "CC0-1.0", "documentNamespace": "https://x.example", "creationInfo": {"created": "2026-01-01T00:00:00Z", "creators": ["Tool: x"]}}' >"$work/spdx.json"
  cat >"$work/vuln.json" <<JSON
{"invocation": {}, "scanner": {"uri": "pkg:x", "version": "1", "db": {"uri": "", "version": ""},
 "result": {"SchemaVersion": 2, "Results": [{"Target": "x", "Vulnerabilities": [{"VulnerabilityID": "CVE-2026-1", "Severity": "HIGH"}]}]}},
 "metadata": {"scanStartedOn": "$(date -u +%FT%TZ)", "scanFinishedOn": "$(date -u +%FT%TZ)"}}
JSON
  # Both forms that are in use.
  for form in true false; do
    cosign attest "${offline[@]}" --new-bundle-format=$form --type slsaprovenance1 --predicate "$work/slsa.json" "$upstream/$attested_image"
    cosign attest "${offline[@]}" --new-bundle-format=$form --type spdxjson --predicate "$work/spdx.json" "$upstream/$attested_image"
    cosign attest "${offline[@]}" --new-bundle-format=$form --type vuln --predicate "$work/vuln.json" "$upstream/$attested_image"
  done
  cat >"$scan_policy" <<YAML
apiVersion: airlift/v1alpha1
kind: Policy
keys: { release: { file: signer.pub }, stranger: { file: stranger.pub } }
rules:
  - match: [ "$upstream/policy/**" ]
    signatures: [ { key: release } ]
    attestations:
      - { type: slsa, provenance: { builder: "https://builder.example/v2", source: "https://code.example/team/app" } }
      - { type: spdx, where: [ { field: spdxVersion, pattern: "^SPDX-2\\\\..*$" } ] }
      - { type: vulnerabilities, vulnerabilities: { maxSeverity: high, maxReportAge: 1d } }
YAML
}

check_accepts_what_cosign_attested() {
  check_policy "$scan_policy" >"$work/checked"
  grep -q 'attestation of type slsa' "$work/checked"
  equal "$(check_policy "$scan_policy" -o json | jq -c '.artifacts[0] | [.accepted, (.demands | map(.met))]')" '[true,[true,true,true,true]]'
  airlift policy lint "$scan_policy" || true # the stranger's key is used by no rule, which is a warning
}

check_refuses_what_the_policy_does_not_take() {
  sed 's/maxSeverity: high/maxSeverity: medium/' "$scan_policy" >"$work/strict.yaml"
  expect 30 check_policy "$work/strict.yaml"
  sed 's#code.example/team/app#code.example/fork/app#' "$scan_policy" >"$work/fork.yaml"
  expect 30 check_policy "$work/fork.yaml"
  sed 's#^    signatures:.*#    signatures: { threshold: 2, of: [ { key: release }, { key: stranger } ] }#' "$scan_policy" >"$work/two.yaml"
  expect 30 check_policy "$work/two.yaml"
  sed 's#^    signatures:#    maxAge: 1d\n    signatures:#' "$scan_policy" >"$work/aged.yaml"
  expect 30 check_policy "$work/aged.yaml" # nothing was logged, so nobody knows when it was signed
}

a_bundle_is_checked_like_its_source() {
  airlift pack --plain-http --no-progress --policy "$scan_policy" --sign-key "$work/bundle.key" "$upstream/$attested_image" -o "$work/scanned"
  airlift policy check --policy "$scan_policy" --bundle "$work/scanned.airlift" -o json | jq -e '.artifacts[0].accepted'
  expect 30 airlift policy check --policy "$work/strict.yaml" --bundle "$work/scanned.airlift"
}

run_case 'cosign attests builds, bills and scans' cosign_attests_builds_bills_and_scans cosign crane
run_case 'check accepts what cosign attested' check_accepts_what_cosign_attested cosign
run_case 'check refuses what the policy does not take' check_refuses_what_the_policy_does_not_take cosign
run_case 'a bundle is checked like its source' a_bundle_is_checked_like_its_source cosign
