#!/usr/bin/env bash
# Builds the MinIO server from its Go module, MinIO's way to install it from source, unless the
# cache has it already. Prints the path of the binary as the last line on standard output.
set -euo pipefail
source "$(dirname "${BASH_SOURCE[0]}")/../go-binary.sh"

# The newest revision in the module index. MinIO tags releases by date, which is no module version.
build_go_binary minio v0.0.0-20260212201848-7aac2a2c5b7c github.com/minio/minio 1.24 ''
