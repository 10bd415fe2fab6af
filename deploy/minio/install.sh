#!/usr/bin/env bash
# Builds the MinIO server from its Go module, MinIO's way to install it from source, unless the
# cache has it already. Prints the path of the binary as the last line on standard output.
#
# The cache is $EDGESMITH_CACHE_DIR, by default edgesmith/ in the user's cache directory.
set -euo pipefail

# The newest revision in the module index. MinIO tags releases by date, which is no module version.
version=v0.0.0-20260212201848-7aac2a2c5b7c

cache=${EDGESMITH_CACHE_DIR:-${XDG_CACHE_HOME:-$HOME/.cache}/edgesmith}/bin
binary=$cache/minio-$version

if [[ ! -x $binary ]]; then
  if ! command -v go >/dev/null; then
    echo 'MinIO is built from source, and go is not on the PATH. Install Go 1.24 or newer from https://go.dev/dl/ and try again.' >&2
    exit 1
  fi
  mkdir -p "$cache"
  exec 9>"$cache/minio.lock"
  flock 9
  # Another caller may have built it while this one waited.
  if [[ ! -x $binary ]]; then
    echo "building MinIO $version, which takes a few minutes the first time" >&2
    staging=$cache/minio.building
    rm -rf "$staging"
    GOBIN=$staging CGO_ENABLED=0 \
      go install -trimpath -ldflags '-s -w' "github.com/minio/minio@$version" >&2
    mv "$staging/minio" "$binary"
    rm -rf "$staging"
    echo "built $binary" >&2
  fi
fi
echo "$binary"
