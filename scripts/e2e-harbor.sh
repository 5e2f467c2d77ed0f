#!/usr/bin/env bash
# Runs the whole job against a real Harbor: pack, verify, import, again, quota, immutable tags, robots, clean-up.
#
#   HARBOR_URL=https://harbor.example HARBOR_USERNAME=admin HARBOR_PASSWORD=... scripts/e2e-harbor.sh [--keep] [PATTERN]
#
# HARBOR_CA_FILE names the authority of its certificate where that is not a public one. The account must be able to
# create projects. Only projects whose names begin with `airlift-e2e-` and the number of this run are made, changed
# and removed. Needs docker-registry, skopeo, curl, jq and python3. AIRLIFT names the program.
# Exit: 0 good, 1 a case failed, 77 nothing could run.
set -uo pipefail
cd "$(dirname "${BASH_SOURCE[0]}")/.."

readonly repository=$PWD
pattern='' keep=no
for argument in "$@"; do
  case "$argument" in
    --keep) keep=yes ;;
    -*)
      sed -n '2,9s/^# \{0,1\}//p' "${BASH_SOURCE[0]}"
      exit 2
      ;;
    *) pattern=$argument ;;
  esac
done

skip_all() {
  echo "SKIPPED: no test against Harbor: $*"
  exit 77
}

for variable in HARBOR_URL HARBOR_USERNAME HARBOR_PASSWORD; do
  [[ -n ${!variable:-} ]] || skip_all "$variable is not set"
done
for program in docker-registry skopeo curl jq python3; do
  type -P "$program" >/dev/null || skip_all "$program is not installed"
done

program_under_test=${AIRLIFT:-$repository/target/release/airlift}
[[ -n ${AIRLIFT:-} ]] || cargo build --locked --release --quiet || exit 1

# shellcheck source=scripts/cases.sh
source scripts/cases.sh
open_work_folder airlift-e2e-harbor
umask 077

url=${HARBOR_URL%/}
host=$(sed -E 's|^https?://||; s|/.*||' <<<"$HARBOR_URL")
prefix=airlift-e2e-$(date +%s)-$$
readonly url host prefix
plain=() skopeo_tls=()
if [[ $url == http://* ]]; then
  plain=(--plain-http)
  skopeo_tls=(--tls-verify=false)
elif [[ -n ${HARBOR_CA_FILE:-} ]]; then
  plain=(--ca-file "$HARBOR_CA_FILE")
  mkdir -p "$work/certificates"
  cp "$HARBOR_CA_FILE" "$work/certificates/ca.crt"
  skopeo_tls=(--cert-dir "$work/certificates")
fi

# write_credentials FILE NAME PASSWORD: the same account for curl (FILE.curl) and for container tools (FILE).
# They go through the environment and files, so that no list of processes shows them.
write_credentials() {
  pair=$2:$3 jq -n --arg host "$host" '{auths: {($host): {auth: (env.pair | @base64)}}}' >"$1"
  pair=$2:$3 jq -rn '"user = \(env.pair | tojson)"' >"$1.curl"
}
write_credentials "$work/account" "$HARBOR_USERNAME" "$HARBOR_PASSWORD"

# api METHOD PATH [JSON]: one call of Harbor's REST interface as the account; prints the body, fails on 4xx and 5xx.
api() {
  local body=()
  [[ -z ${3:-} ]] || body=(--header 'Content-Type: application/json' --data "$3")
  curl --silent --show-error --fail-with-body --max-time 60 ${HARBOR_CA_FILE:+--cacert "$HARBOR_CA_FILE"} \
    --config "$work/account.curl" --header 'X-Is-Resource-Name: true' --request "$1" "${body[@]}" "$url/api/v2.0$2"
}

airlift() { "$program_under_test" "$@"; }
harbor_import() { airlift import --no-progress "${plain[@]}" --authfile "${account:-$work/account}" --allow-unsigned-bundle "$@"; }
digest_in_harbor() {
  skopeo --insecure-policy inspect "${skopeo_tls[@]}" --authfile "$work/account" --raw "docker://$host/$1" | sha256sum | cut -d' ' -f1
}
digest_upstream() {
  "$repository/scripts/make-images.py" names "$work/world" | awk -v name="$1" '$1 == name { sub("sha256:", "", $2); print $2 }'
}

# new_project NAME [STORAGE_LIMIT]
new_project() {
  api POST /projects "{\"project_name\": \"$prefix-$1\", \"metadata\": {\"public\": \"false\"}, \"storage_limit\": ${2:--1}}"
}

# Removes what this run made, and nothing whose name does not begin with its prefix.
remove_projects() {
  local project repository_name rule
  for project in $(api GET "/projects?name=$prefix&page_size=100" | jq -r '.[].name'); do
    [[ $project == "$prefix"* ]] || continue
    for rule in $(api GET "/projects/$project/immutabletagrules" | jq -r '.[].id'); do
      api DELETE "/projects/$project/immutabletagrules/$rule"
    done
    for repository_name in $(api GET "/projects/$project/repositories?page_size=100" | jq -r '.[].name'); do
      # Harbor decodes the path twice, so a slash inside the name is encoded twice.
      api DELETE "/projects/$project/repositories/$(sed "s|^$project/||; s|/|%252F|g" <<<"$repository_name")"
    done
    api DELETE "/projects/$project"
  done
}

finish_with_harbor() {
  if [[ $keep == yes ]]; then echo "kept in Harbor: $prefix*"; else remove_projects >"$work/logs/remove" 2>&1 || cat "$work/logs/remove"; fi
  finish
}
trap finish_with_harbor EXIT

# --- cases -------------------------------------------------------------------------------------------------------

harbor_answers() {
  [[ $(api GET /ping) == Pong ]]
  api GET /systeminfo | jq -e '.harbor_version' || { echo 'the account cannot log in'; return 1; }
}

a_bundle_is_packed_and_verified() {
  airlift pack --plain-http --no-progress --allow-unsigned "$upstream/**" -o "$work/site" --volume-size 16MiB \
    "$upstream/library/base:12" "$upstream/team/app:1.0" "$upstream/team/app:1.1" "$upstream/team/attested:1.0" "$upstream/team/legacy-list:2.0"
  airlift verify "$work"/site.*.airlift --allow-unsigned-bundle
}

import_refuses_an_absent_project() {
  expect 50 harbor_import "$work"/site.*.airlift --to "$host/$prefix-absent"
  expect 22 api GET "/projects/$prefix-absent"
}

import_makes_a_project_and_fills_it() {
  harbor_import "$work"/site.*.airlift --to "$host/$prefix-new" --create-projects --receipt "$work/receipt.json"
  local name
  for name in library/base:12 team/app:1.0 team/app:1.1 team/attested:1.0 team/legacy-list:2.0; do
    equal "$(digest_in_harbor "$prefix-new/$name")" "$(digest_upstream "$name")" "$name"
  done
  jq -e '.kind == "Receipt"' "$work/receipt.json"
  api GET "/projects/$prefix-new/repositories" | jq -e 'length == 4'
}

a_second_import_finds_all_of_it() {
  local before after
  before=$(api GET "/projects/$prefix-new/repositories/team%252Fapp/artifacts?page_size=100" | jq -S '[.[] | {digest, push_time}]')
  harbor_import "$work"/site.*.airlift --to "$host/$prefix-new" --receipt "$work/again.json"
  after=$(api GET "/projects/$prefix-new/repositories/team%252Fapp/artifacts?page_size=100" | jq -S '[.[] | {digest, push_time}]')
  equal "$after" "$before" 'artifacts in Harbor'
}

a_quota_that_is_too_small_is_told_before_anything_is_written() {
  new_project small 1000000
  expect 50 harbor_import "$work"/site.*.airlift --to "$host/$prefix-small"
  api GET "/projects/$prefix-small/repositories" | jq -e 'length == 0'
}

immutable_tags_that_hold_the_same_are_no_obstacle() {
  local scope='"scope_selectors": {"repository": [{"kind": "doublestar", "decoration": "repoMatches", "pattern": "**"}]}'
  local tags='"tag_selectors": [{"kind": "doublestar", "decoration": "matches", "pattern": "**"}]'
  api POST "/projects/$prefix-new/immutabletagrules" \
    "{\"disabled\": false, \"action\": \"immutable\", \"template\": \"immutable_template\", \"priority\": 0, $tags, $scope}"
  harbor_import "$work"/site.*.airlift --to "$host/$prefix-new"
}

# new_robot PROJECT ACTION...: makes a robot of the project and writes its credentials to $work/robot.
new_robot() {
  local project=$1 access
  shift
  access=$(printf '%s\n' "$@" | jq -Rn '[inputs | split(":") | {resource: .[0], action: .[1]}]')
  api POST /robots "$(jq -n --arg project "$project" --argjson access "$access" \
    '{name: "airlift", level: "project", duration: 1, permissions: [{kind: "project", namespace: $project, access: $access}]}')" >"$work/robot.json"
  write_credentials "$work/robot" "$(jq -r .name "$work/robot.json")" "$(jq -r .secret "$work/robot.json")"
}

a_robot_without_push_is_refused() {
  new_project reader
  new_robot "$prefix-reader" repository:pull repository:list artifact:read
  account=$work/robot expect 50 harbor_import "$work"/site.*.airlift --to "$host/$prefix-reader"
  api GET "/projects/$prefix-reader/repositories" | jq -e 'length == 0'
}

the_smallest_robot_is_enough() {
  new_project robot
  new_robot "$prefix-robot" repository:list repository:read repository:pull repository:push artifact:read artifact:list \
    accessory:list tag:list tag:create project:read quota:read
  account=$work/robot harbor_import "$work"/site.*.airlift --to "$host/$prefix-robot"
  equal "$(digest_in_harbor "$prefix-robot/team/app:1.0")" "$(digest_upstream team/app:1.0)"
}

a_wrong_password_is_refused() {
  write_credentials "$work/wrong" "$HARBOR_USERNAME" 'not-the-password'
  account=$work/wrong expect 50 harbor_import "$work"/site.*.airlift --to "$host/$prefix-new" 2>&1 | tee "$work/wrong.out"
  ! grep -q 'not-the-password' "$work/wrong.out"
}

nothing_is_left_in_harbor() {
  remove_projects
  api GET "/projects?name=$prefix&page_size=100" | jq -e 'length == 0'
}

read -r port _ < <(free_ports)
readonly upstream=127.0.0.1:$port
"$repository/scripts/make-images.py" world "$work/world" --registry "$upstream" --size 20MB >/dev/null || exit 1
"$repository/scripts/make-images.py" seed "$work/world" "$work/upstream" || exit 1
start_registry upstream "$port" || exit 1

run_case 'Harbor answers and knows the account' harbor_answers
((failures == 0)) || exit 1
run_case 'a bundle is packed and verified' a_bundle_is_packed_and_verified
run_case 'import refuses an absent project' import_refuses_an_absent_project
run_case 'import makes a project and fills it' import_makes_a_project_and_fills_it
run_case 'a second import finds all of it' a_second_import_finds_all_of_it
run_case 'a quota that is too small is told before anything is written' a_quota_that_is_too_small_is_told_before_anything_is_written
run_case 'immutable tags that hold the same are no obstacle' immutable_tags_that_hold_the_same_are_no_obstacle
run_case 'a robot without push is refused' a_robot_without_push_is_refused
run_case 'the smallest robot is enough' the_smallest_robot_is_enough
run_case 'a wrong password is refused' a_wrong_password_is_refused
[[ $keep == yes ]] || run_case 'nothing is left in Harbor' nothing_is_left_in_harbor
closing_line
