#!/usr/bin/env bash
# Builds syft, which lists the packages of a root file system, from its Go module, Anchore's way to install it
# from source, unless the cache has it already. Prints the path of the binary as the last line on standard output.
# With --cached nothing is built: it fails where the binary is not there.
set -euo pipefail
source "$(dirname "${BASH_SOURCE[0]}")/../go-binary.sh"
[[ ${1:-} != --cached ]] || export ONLY_CACHED=1

# Apache-2.0. The digest of its source is in Go's checksum database, which `go install` asks.
version=v1.57.0
build_go_binary syft "$version" github.com/anchore/syft/cmd/syft 1.26.8 "-X main.version=${version#v}"
