#!/usr/bin/env bash
# The benchmark: airlift beside skopeo, crane and oras on the same work, in the same run, turn by turn.
# Builds the release binary and hands over to bench.py; `scripts/bench.sh --help` lists the options.
#
#   scripts/bench.sh judge    prints instead what judging a thousand artifacts under a policy costs
#   scripts/bench.sh limits   pack and verify beside what network, processor and medium can do
#   scripts/bench.sh scale    what bundles of 10,000 and 100,000 blobs cost, step by step
#   scripts/bench.sh stream   a bundle of 1 GB that passes through a pipe: memory and files of both ends
#   scripts/bench.sh parity   encoding of parity in memory, then of a file beside par2
set -euo pipefail
cd "$(dirname "${BASH_SOURCE[0]}")/.."

if [[ ${1:-} == judge ]]; then
  cargo test --locked --release --test it policy::a_thousand_artifacts -- --nocapture 2>&1 | grep -E '^judged|^test result'
  exit
fi
if [[ ${1:-} == scale ]]; then
  AIRLIFT_SCALE=1 cargo test --locked --release --test it bundle_scale:: -- --nocapture 2>&1 | grep -E '^scale|panicked|for [0-9]+ blobs|opens in|^test result'
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
if [[ ${1:-} == parity ]]; then
  cargo test --locked --release --lib parity::code::tests::stripes_are_encoded -- --nocapture 2>&1 | grep -E '^encoded|^test result'
  exec python3 scripts/bench_parity.py --airlift "${AIRLIFT:-target/release/airlift}" "${@:2}"
fi
exec python3 scripts/bench.py --airlift "${AIRLIFT:-target/release/airlift}" "$@"
