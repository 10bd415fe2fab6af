#!/usr/bin/env bash
# Builds syft, which lists the packages of a root file system, from its Go module, Anchore's way to install it
# from source, unless the cache has it already. Prints the path of the binary as the last line on standard output.
#
# The cache is $EDGESMITH_CACHE_DIR, by default edgesmith/ in the user's cache directory. With --cached
# nothing is built: it fails where the binary is not there.
set -euo pipefail

# Apache-2.0. The digest of its source is in Go's checksum database, which `go install` asks.
version=v1.57.0

cache=${EDGESMITH_CACHE_DIR:-${XDG_CACHE_HOME:-$HOME/.cache}/edgesmith}/bin
binary=$cache/syft-$version

if [[ ! -x $binary ]]; then
  [[ ${1:-} != --cached ]] || exit 1
  if ! command -v go >/dev/null; then
    echo 'syft is built from source, and go is not on the PATH. Install Go 1.26.8 or newer from https://go.dev/dl/ and try again.' >&2
    exit 1
  fi
  mkdir -p "$cache"
  exec 9>"$cache/syft.lock"
  flock 9
  # Another caller may have built it while this one waited.
  if [[ ! -x $binary ]]; then
    echo "building syft $version, which takes a few minutes the first time" >&2
    staging=$cache/syft.building
    rm -rf "$staging"
    GOBIN=$staging CGO_ENABLED=0 \
      go install -trimpath -ldflags "-s -w -X main.version=${version#v}" "github.com/anchore/syft/cmd/syft@$version" >&2
    mv "$staging/syft" "$binary"
    rm -rf "$staging"
    echo "built $binary" >&2
  fi
fi
echo "$binary"
