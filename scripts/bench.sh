#!/usr/bin/env bash
# The benchmark: airlift beside skopeo, crane and oras on the same work, in the same run, turn by turn.
# Builds the release binary and hands over to bench.py; `scripts/bench.sh --help` lists the options.
#
#   scripts/bench.sh judge    prints instead what judging a thousand artifacts under a policy costs
#   scripts/bench.sh limits   pack and verify beside what network, processor and medium can do
#   scripts/bench.sh stream   a bundle of 1 GB that passes through a pipe: memory and files of both ends
set -euo pipefail
cd "$(dirname "${BASH_SOURCE[0]}")/.."

if [[ ${1:-} == judge ]]; then
  cargo test --locked --release --test it policy::a_thousand_artifacts -- --nocapture 2>&1 | grep -E '^judged|^test result'
  exit
fi
[[ -n ${AIRLIFT:-} ]] || cargo build --locked --release --quiet
if [[ ${1:-} == stream ]]; then
  shift
  exec scripts/crash/stream.py --airlift "${AIRLIFT:-target/release/airlift}" "$@"
fi
if [[ ${1:-} == limits ]]; then
  exec python3 scripts/bench_limits.py --airlift "${AIRLIFT:-target/release/airlift}" "${@:2}"
fi
exec python3 scripts/bench.py --airlift "${AIRLIFT:-target/release/airlift}" "$@"
