#!/usr/bin/env bash
# Installs Schemathesis into a virtual environment of its own, as requirements.txt pins it, unless it is there.
# Prints the path of its program as the last line on standard output.
set -euo pipefail
here=$(cd "$(dirname "${BASH_SOURCE[0]}")" && pwd)
digest=$(sha256sum "$here/requirements.txt" | cut -c 1-12)
environment=$(cd "$here/../.." && pwd)/.edgesmith/schemathesis-$digest
# Written last: what an interrupted installation left is made anew.
complete=$environment/.complete

if [[ ! -e $complete ]]; then
  mkdir -p "$environment"
  exec 9<"$environment"
  flock 9
  if [[ ! -e $complete ]]; then
    python3 -m venv --clear "$environment" >&2
    "$environment/bin/pip" install --quiet --disable-pip-version-check --no-input --require-hashes \
      --only-binary :all: --requirement "$here/requirements.txt" >&2
    touch "$complete"
  fi
  exec 9<&-
fi
echo "$environment/bin/schemathesis"
