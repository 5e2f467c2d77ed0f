#!/usr/bin/env bash
# Rules that no compiler knows: what the files of the repository may say, and that its scripts can be read by their
# shells. Prints each offence with file and line. Exit: 0 none, 1 some.
set -uo pipefail
cd "$(dirname "${BASH_SOURCE[0]}")/.." || exit 1

offences=0

# refuse WHY PATTERN FILES...: every line of those tracked files that matches is an offence.
refuse() {
  local why=$1 pattern=$2 found
  shift 2
  found=$(git grep -nIE -e "$pattern" -- "$@" ':!Cargo.lock' ':!LICENSE') || return 0
  printf '%s:\n%s\n' "$why" "$found"
  offences=$((offences + 1))
}

refuse 'a path of one machine' '(^|[^A-Za-z0-9_./-])/(work|root|home/[a-z]+)/[A-Za-z.]' .
refuse 'a host of a package registry' '(static\.|index\.)?crates\.(io)|pypi\.(org)|registry\.npmjs\.(org)|proxy\.golang\.(org)|deb\.debian\.(org)' .
refuse 'a lint switched off; write #[expect(.., reason = "..")]' '#!?\[allow\(' 'src/*.rs'
refuse 'a mark of a merge' '^(<<<<<<<|>>>>>>>) ' .
refuse 'a blank at the end of a line' '[[:blank:]]+$' '*.rs' '*.sh' '*.py' '*.toml' '.ci/run'
refuse 'a test that is switched off' '#\[ignore' 'src/*.rs' 'tests/*.rs'

while IFS= read -r script; do
  bash -n "$script" || offences=$((offences + 1))
  [[ -x $script ]] || { echo "$script: cannot be executed"; offences=$((offences + 1)); }
done < <(git ls-files '*.sh' .ci/run)

if [[ -n $(type -P shellcheck) ]]; then
  git ls-files -z '*.sh' .ci/run | xargs -0 shellcheck -x || offences=$((offences + 1))
else
  echo 'NOTE: shellcheck is not installed, the shell scripts were only parsed'
fi

while IFS= read -r script; do
  python3 -c 'import ast, sys; ast.parse(open(sys.argv[1]).read(), sys.argv[1])' "$script" || offences=$((offences + 1))
done < <(git ls-files '*.py')

# Bytes that nobody can review stay out; images are made by scripts, not kept.
while IFS= read -r file; do
  [[ -f $file ]] || continue
  size=$(stat -c %s "$file")
  ((size <= 1000000)) || { echo "$file: $size bytes, the limit is 1000000"; offences=$((offences + 1)); }
done < <(git ls-files)

((offences == 0)) && echo "no offence in $(git ls-files | wc -l) files"
((offences == 0))
