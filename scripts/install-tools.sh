#!/usr/bin/env bash
# Installs what the gate and the tests with real programs need on a Debian machine, and only what is missing.
# Needs root for Debian's packages, and Rust, Go and python3 on the machine.
#
#   scripts/install-tools.sh          installs
#   scripts/install-tools.sh --path   prints the folder of the Go programs, to put on PATH
set -euo pipefail

# Pinned: these versions were tried together. A module that replaces others cannot be installed by name, so check
# a new version with `go install` before it goes here.
readonly go_programs=(
  github.com/google/go-containerregistry/cmd/crane@v0.22.1
  github.com/sigstore/cosign/v3/cmd/cosign@v3.1.3
  oras.land/oras/cmd/oras@v1.3.6
  helm.sh/helm/v3/cmd/helm@v3.22.0
)
# Built as a dependency of a module that is thrown away: `go install` asks for the list of all its versions, which not
# every module proxy keeps.
readonly notation=github.com/notaryproject/notation notation_version=v1.3.2
readonly imgpkg=carvel.dev/imgpkg imgpkg_version=v0.46.1
readonly debian_packages=(docker-registry containerd skopeo zstd tar jq curl openssl shellcheck strace git par2 e2fsprogs mount)

say() { printf 'install-tools: %s\n' "$*"; }

go_folder() {
  local folder
  folder=$(go env GOBIN)
  printf '%s\n' "${folder:-$(go env GOPATH)/bin}"
}

install_debian_packages() {
  local missing=() package
  for package in "${debian_packages[@]}"; do
    dpkg-query -W -f '${Status}' "$package" 2>/dev/null | grep -q 'ok installed' || missing+=("$package")
  done
  ((${#missing[@]})) || return 0
  say "Debian packages: ${missing[*]}"
  apt-get update -q
  # The packaged registry is started by the tests themselves; its service must not come up.
  RUNLEVEL=1 DEBIAN_FRONTEND=noninteractive apt-get install -q -y --no-install-recommends "${missing[@]}"
}

install_rust_components() {
  cargo fmt --version >/dev/null 2>&1 || rustup component add rustfmt
  cargo clippy --version >/dev/null 2>&1 || rustup component add clippy
  cargo deny --version >/dev/null 2>&1 || {
    say 'cargo-deny'
    cargo install cargo-deny --locked --quiet
  }
}

# Prints the version of the module that a Go program was built from.
built_from() {
  go version -m "$1" 2>/dev/null | awk '$1 == "mod" { print $3 }'
}

install_go_programs() {
  local folder wanted package version name
  folder=$(go_folder)
  for wanted in "${go_programs[@]}"; do
    package=${wanted%@*} version=${wanted#*@} name=${package##*/}
    [[ $(built_from "$folder/$name") == "$version" ]] && continue
    say "$name $version"
    CGO_ENABLED=0 GOBIN=$folder GOFLAGS="${GOFLAGS:-} -trimpath" go install -ldflags='-s -w' "$wanted"
  done
}

# install_as_dependency MODULE VERSION NAME
install_as_dependency() {
  local module=$1 version=$2 name=$3 folder scratch
  folder=$(go_folder)
  [[ $(built_from "$folder/$name") == "$version" ]] && return 0
  say "$name $version"
  scratch=$(mktemp -d)
  printf 'module scratch\n\ngo 1.25\n\nrequire %s %s\n' "$module" "$version" >"$scratch/go.mod"
  (cd "$scratch" && CGO_ENABLED=0 GOFLAGS="${GOFLAGS:-} -trimpath -mod=mod" \
    go build -ldflags='-s -w' -o "$folder/$name" "$module/cmd/$name")
  rm -r "$scratch"
}

case "${1:-}" in
  --path) go_folder ;;
  '')
    started=$SECONDS
    install_debian_packages
    install_rust_components
    install_go_programs
    install_as_dependency "$notation" "$notation_version" notation
    install_as_dependency "$imgpkg" "$imgpkg_version" imgpkg
    say "ready after $((SECONDS - started)) s"
    ;;
  *)
    echo "usage: scripts/install-tools.sh [--path]" >&2
    exit 2
    ;;
esac
