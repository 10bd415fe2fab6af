#!/usr/bin/env bash
# Makes the images of the four services, edgesmith/{gateway,validation,builder,artifact}:<tag>, and prints
# their names. With BASE, they are built on that image; without, on one made here from Debian packages and
# npm, so that no container registry is asked. Progress goes to standard error.
set -euo pipefail
cd "$(dirname "${BASH_SOURCE[0]}")/../.."

node_package=node-linux-$([ "$(uname -m)" = aarch64 ] && echo arm64 || echo x64)
suite=${EDGESMITH_IMAGE_SUITE:-bookworm}
packages=ca-certificates,git,openssh-client,libstdc++6,util-linux,xorriso

say() { printf 'images: %s\n' "$*" >&2; }

make_base() {
  local node_version image work
  node_version=$(node_modules/.bin/node --version)
  image=edgesmith/node:${node_version#v}-$(sha256sum "${BASH_SOURCE[0]}" | cut -c1-12)
  if ! docker image inspect "$image" >/dev/null 2>&1; then
    say "making $image from Debian $suite and Node.js $node_version"
    work=$(mktemp -d)
    # shellcheck disable=SC2064
    trap "rm -rf '$work'" RETURN
    mmdebstrap --quiet --variant=minbase --include="$packages" \
      --aptopt='APT::Install-Recommends "false"' --dpkgopt=force-unsafe-io \
      --dpkgopt='path-exclude=/usr/share/doc/*' --dpkgopt='path-include=/usr/share/doc/*/copyright' \
      --dpkgopt='path-exclude=/usr/share/man/*' --dpkgopt='path-exclude=/usr/share/locale/*' \
      "$suite" "$work/rootfs.tar" >&2
    install -D -m 755 "node_modules/$node_package/bin/node" "$work/overlay/usr/local/bin/node"
    npm install --silent --global --prefix "$work/overlay/usr/local" npm@11 </dev/null >&2
    # The services trust whom this host trusts, a proxy with a certificate of its own, say.
    install -D -m 644 /etc/ssl/certs/ca-certificates.crt "$work/overlay/usr/local/share/host-ca.crt"
    # Docker takes no path twice: the directories are there already.
    (cd "$work/overlay" && find . -mindepth 1 ! -type d -printf '%P\0') |
      tar -rf "$work/rootfs.tar" --owner=0 --group=0 --numeric-owner -C "$work/overlay" --null -T -
    docker import -c 'ENV PATH=/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin' \
      -c 'ENV NODE_EXTRA_CA_CERTS=/usr/local/share/host-ca.crt' \
      "$work/rootfs.tar" "$image" >/dev/null
  fi
  echo "$image"
}

base=${BASE:-}
[[ -n $base ]] || base=$(make_base)
tag=${TAG:-$(sed -n 's/^  "version": "\(.*\)",$/\1/p' package.json)}
for service in gateway validation builder artifact; do
  say "building edgesmith/$service:$tag"
  docker build --quiet --build-arg BASE="$base" -f "services/$service/Dockerfile" -t "edgesmith/$service:$tag" . >/dev/null
  echo "edgesmith/$service:$tag"
done
