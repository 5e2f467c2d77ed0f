#!/usr/bin/env bash
# The gate: what a person runs before a commit goes out, and what a server runs, nothing more and nothing less.
#
#   scripts/check.sh            runs every step, shows the output of those that fail
#   scripts/check.sh --verbose  shows everything as it comes
#   scripts/check.sh STEP...    runs the named steps only (their names stand in the summary)
#
# A step that lacks a program is SKIPPED and says why; with AIRLIFT_REQUIRE_REAL_PARTS=1 that is a failure.
# Exit: 0 all good, 1 a step failed.
set -uo pipefail
cd "$(dirname "${BASH_SOURCE[0]}")/.."

readonly skipped=77 # exit of a step that could not run
readonly required=${AIRLIFT_REQUIRE_REAL_PARTS:-0}
readonly binary_limit_mb=28 help_limit_ms=10
readonly logs=target/check
readonly binary=target/release/airlift
verbose=no
wanted=()
summary=()
failures=0 passes=0 skips=0

for argument in "$@"; do
  case "$argument" in
    -v | --verbose) verbose=yes ;;
    -h | --help)
      sed -n '2,9s/^# \{0,1\}//p' "${BASH_SOURCE[0]}"
      exit 0
      ;;
    -*)
      echo "check: unknown option $argument" >&2
      exit 2
      ;;
    *) wanted+=("$argument") ;;
  esac
done
mkdir -p "$logs"

# skip WHY: ends the step that calls it, as one that could not run.
skip() {
  echo "SKIPPED: $*"
  exit $skipped
}

is_wanted() {
  ((${#wanted[@]} == 0)) && return 0
  local name
  for name in "${wanted[@]}"; do [[ $name == "$1" ]] && return 0; done
  return 1
}

# step NAME FUNCTION: runs the function in a shell of its own and notes how it ended.
step() {
  local name=$1 log="$logs/$1.log" began=$SECONDS code=0 note=''
  is_wanted "$name" || return 0
  printf -- '--- %s\n' "$name"
  if [[ $verbose == yes ]]; then
    (set -e; "$2") 2>&1 | tee "$log"
    code=${PIPESTATUS[0]}
  else
    (set -e; "$2") >"$log" 2>&1 # no `||` behind it: that would switch `set -e` off inside
    code=$?
    ((code == 0 || code == skipped)) || tail -n 80 "$log"
  fi
  note=$(awk '/^(NOTE|SKIPPED): / { sub(/^[A-Z]+: /, ""); printf "%s%s", sep, $0; sep = "; " }
    /^test result: / { ok += $4; bad += $6; tests = 1 }
    END { if (tests) printf "%s%d tests passed, %d failed", sep, ok, bad }' "$log")
  record "$name" "$code" "$((SECONDS - began))" "$note"
}

record() {
  local state=ok
  if (($2 == skipped)) && [[ $required != 1 ]]; then
    state=SKIPPED
    skips=$((skips + 1))
  elif (($2 != 0)); then
    state=FAILED
    failures=$((failures + 1))
  else
    passes=$((passes + 1))
  fi
  summary+=("$(printf '%-8s %5d s  %-12s %s' "$state" "$3" "$1" "$4")")
}

# --- steps -----------------------------------------------------------------------------------------------------

rules() {
  git rev-parse --git-dir >/dev/null || skip 'not a git repository, so no list of its files'
  scripts/repository-rules.sh
}

format() {
  cargo fmt --all -- --check
  cargo fmt --manifest-path fuzz/Cargo.toml -- --check
}

lint() {
  cargo clippy --locked --all-targets -- -D warnings
}

tests() {
  cargo test --locked
}

docs() {
  RUSTDOCFLAGS='-D warnings' cargo doc --locked --no-deps --document-private-items
}

fuzz_targets() {
  cp Cargo.lock fuzz/Cargo.lock # the targets test the crates that the program is built from
  CARGO_TARGET_DIR=$PWD/target cargo check --manifest-path fuzz/Cargo.toml
}

budgets() {
  scripts/budgets.py
  echo "NOTE: $(grep -c '^name = ' Cargo.lock) crates locked, $(cargo tree --locked --edges normal --depth 1 --prefix none | awk 'NR > 1' | wc -l) direct"
}

licences() {
  command -v cargo-deny >/dev/null || skip 'cargo-deny is not installed: scripts/install-tools.sh'
  cargo deny check licenses bans sources
  # The advisory database is a repository of its own, which a closed network cannot reach. It is judged where it is
  # there already, and fetched only when asked for.
  if [[ ${AIRLIFT_ADVISORIES:-} == fetch ]]; then
    cargo deny check advisories
  elif compgen -G "${CARGO_HOME:-$HOME/.cargo}/advisory-db*/*" >/dev/null; then
    cargo deny check --disable-fetch advisories
  else
    echo 'NOTE: advisories not judged, their database is not on this machine (AIRLIFT_ADVISORIES=fetch gets it)'
  fi
}

binary() {
  cargo build --locked --release
  local size fastest
  size=$(stat -c %s "$binary")
  fastest=$(fastest_help)
  echo "NOTE: $(awk "BEGIN { printf \"%.1f\", $size / 1e6 }") of $binary_limit_mb MB, --help in $fastest of $help_limit_ms ms"
  ((size <= binary_limit_mb * 1000000)) || { echo "the binary has $size bytes"; return 1; }
  awk -v took="$fastest" -v limit=$help_limit_ms 'BEGIN { exit !(took <= limit) }' || { echo "--help took $fastest ms"; return 1; }
}

# The fastest of many runs: what the program costs, not what else the machine was doing.
fastest_help() {
  python3 - "$binary" <<'PY'
import subprocess, sys, time
def once():
    began = time.perf_counter()
    subprocess.run([sys.argv[1], "--help"], stdout=subprocess.DEVNULL, check=True)
    return (time.perf_counter() - began) * 1000
print(f"{min(once() for _ in range(40)):.1f}")
PY
}

demo() {
  cargo run --locked --release -- demo
}

real_parts() {
  scripts/real-parts.sh
}

step rules rules
step format format
step budgets budgets
step lint lint
step tests tests
step docs docs
step fuzz-targets fuzz_targets
step licences licences
step binary binary
step demo demo
step real-parts real_parts

printf '\n'
printf '%s\n' "${summary[@]}"
printf '\n%d passed, %d failed, %d skipped\n' "$passes" "$failures" "$skips"
((failures == 0))
