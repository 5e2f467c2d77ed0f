#!/usr/bin/env bash
# The benchmark: airlift beside skopeo, crane and oras on the same work, in the same run, turn by turn.
# Builds the release binary and hands over to bench.py; `scripts/bench.sh --help` lists the options.
set -euo pipefail
cd "$(dirname "${BASH_SOURCE[0]}")/.."

[[ -n ${AIRLIFT:-} ]] || cargo build --locked --release --quiet
exec python3 scripts/bench.py --airlift "${AIRLIFT:-target/release/airlift}" "$@"
