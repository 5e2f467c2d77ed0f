#!/usr/bin/env bash
# What the scripts share that test airlift with real programs; it is sourced. A case is a function that runs in a
# shell of its own and fails at its first wrong command; one line on the terminal says how it ended.
#
# The caller may set: pattern (only cases whose name matches), keep (yes leaves the work folder).
# It gets: work (the folder of the run), and passes, failures, skips as counts.

: "${pattern:=}" "${keep:=no}"
pids=() passes=0 failures=0 skips=0

# open_work_folder NAME: makes $work and gives it up when the script ends, with every process that was started.
open_work_folder() {
  work=$(mktemp -d "${TMPDIR:-/tmp}/$1.XXXXXX")
  readonly work
  mkdir -p "$work/logs" "$work"/home/{config,run,cache,docker}
  # Cargo keeps its own folders, which it looks for below the home of the person.
  export CARGO_HOME=${CARGO_HOME:-$HOME/.cargo} RUSTUP_HOME=${RUSTUP_HOME:-$HOME/.rustup}
  # Programs under test must not meet the settings of the person who runs them.
  export HOME=$work/home XDG_CONFIG_HOME=$work/home/config XDG_RUNTIME_DIR=$work/home/run
  export XDG_CACHE_HOME=$work/home/cache DOCKER_CONFIG=$work/home/docker
  trap finish EXIT
  trap 'exit 130' INT TERM
}

finish() {
  local pid
  for pid in "${pids[@]}"; do kill "$pid" 2>/dev/null; done
  for pid in "${pids[@]}"; do wait "$pid" 2>/dev/null; done
  if [[ $keep == yes ]]; then echo "kept: $work"; else rm -rf "$work"; fi
}

# run_case NAME FUNCTION PROGRAM...: runs a case in a shell of its own and prints one line about it.
run_case() {
  local name=$1 function=$2 began=$SECONDS log="$work/logs/$2" missing=() program code
  shift 2
  [[ -z $pattern || $name =~ $pattern || $function =~ $pattern ]] || return 0
  for program in "$@"; do [[ -n $(type -P "$program") ]] || missing+=("$program"); done
  if ((${#missing[@]})); then
    line SKIPPED "$began" "$name (not installed: ${missing[*]})"
    skips=$((skips + 1))
    return 0
  fi
  (cd "$work" && set -e && "$function") >"$log" 2>&1 # no `||` behind it: that would switch `set -e` off inside
  code=$?
  if ((code == 0)); then
    line ok "$began" "$name"
    passes=$((passes + 1))
  else
    line FAILED "$began" "$name"
    tail -n 25 "$log" | sed 's/^/    | /'
    failures=$((failures + 1))
  fi
}

line() {
  printf '%-8s %4d s  %s\n' "$1" "$((SECONDS - $2))" "$3"
}

# expect CODE COMMAND...: the command must end with exactly that exit code.
expect() {
  local want=$1 code=0
  shift
  "$@" || code=$?
  ((code == want)) || { echo "exit $code, expected $want, of: $*"; return 1; }
}

equal() {
  [[ $1 == "$2" ]] || { printf '%s:\n  found    %s\n  expected %s\n' "${3:-not equal}" "$1" "$2"; return 1; }
}

free_ports() {
  python3 -c '
import socket
held = [socket.create_server(("127.0.0.1", 0)) for _ in range(6)]
print(*(s.getsockname()[1] for s in held))'
}

# start_registry NAME PORT: a docker-registry over $work/NAME whose access log is $work/NAME.access.
start_registry() {
  local name=$1 port=$2 tries
  mkdir -p "$work/$name"
  cat >"$work/$name.yaml" <<YAML
version: 0.1
log: {level: warn, formatter: text, accesslog: {disabled: false}}
storage: {filesystem: {rootdirectory: $work/$name}, delete: {enabled: true}}
http: {addr: "127.0.0.1:$port"}
YAML
  docker-registry serve "$work/$name.yaml" >"$work/$name.access" 2>"$work/$name.log" &
  pids+=($!)
  for tries in {1..100}; do
    (: <"/dev/tcp/127.0.0.1/$port") 2>/dev/null && return 0
    kill -0 "${pids[-1]}" 2>/dev/null || break
    sleep 0.1
  done
  echo "docker-registry did not answer on port $port after $tries tries:"
  cat "$work/$name.log"
  return 1
}

# closing_line: prints the counts, and is true when nothing failed (and nothing was skipped where that is a failure).
closing_line() {
  echo "NOTE: $passes cases passed, $failures failed, $skips skipped"
  ((failures == 0)) && { ((skips == 0)) || [[ ${AIRLIFT_REQUIRE_REAL_PARTS:-0} != 1 ]]; }
}
