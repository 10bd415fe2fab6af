#!/usr/bin/env bash
# Makes the images of the four services, edgesmith/{gateway,validation,builder,artifact}:<tag>, and those of
# what they work on, edgesmith/{redis,minio}:<tag>, and prints their names. All are made from Debian packages,
# npm packages by the lock file and Go modules: no container registry is asked. With BASE, the services are built
# on that image, which has to be named by its digest. Progress goes to standard error.
set -euo pipefail
cd "$(dirname "${BASH_SOURCE[0]}")/../.."

node_package=node-linux-$([ "$(uname -m)" = aarch64 ] && echo arm64 || echo x64)
suite=${EDGESMITH_IMAGE_SUITE:-bookworm}
packages=ca-certificates,git,openssh-client,libstdc++6,util-linux,xorriso,xz-utils

say() { printf 'images: %s\n' "$*" >&2; }

# A root file system of Debian packages as a tar file; apt checks the signatures of the suite.
make_root_file_system() {
  mmdebstrap --quiet --variant=minbase --include="$1" \
    --aptopt='APT::Install-Recommends "false"' --dpkgopt=force-unsafe-io \
    --dpkgopt='path-exclude=/usr/share/doc/*' --dpkgopt='path-include=/usr/share/doc/*/copyright' \
    --dpkgopt='path-exclude=/usr/share/man/*' --dpkgopt='path-exclude=/usr/share/locale/*' \
    "$suite" "$2" >&2
}

# Makes an image of packages and, where one is named, a program: IMAGE PACKAGES PROGRAM CONFIGURATION...
make_from_packages() {
  local name=$1 packages=$2 program=$3 image work
  shift 3
  image=${name%:*}:$(cat "${BASH_SOURCE[0]}" - <<<"$suite $program" | sha256sum | cut -c1-12)
  if docker image inspect "$image" >/dev/null 2>&1; then
    docker tag "$image" "$name"
    return
  fi
  say "making $image from Debian $suite"
  work=$(mktemp -d)
  # shellcheck disable=SC2064
  trap "rm -rf '$work'" RETURN
  make_root_file_system "$packages" "$work/rootfs.tar"
  install -d "$work/overlay/usr/local/bin"
  [[ -z $program ]] || install -m 755 "$program" "$work/overlay/usr/local/bin/$(basename "${name%:*}")"
  # A volume that is mounted here takes its owner over.
  install -d -m 700 -o 65532 -g 65532 "$work/overlay/data"
  tar -rf "$work/rootfs.tar" --numeric-owner -C "$work/overlay" data
  (cd "$work/overlay" && find . -mindepth 1 ! -type d -printf '%P\0') |
    tar -rf "$work/rootfs.tar" --owner=0 --group=0 --numeric-owner -C "$work/overlay" --null -T -
  docker import -c 'USER 65532:65532' -c 'WORKDIR /data' \
    -c 'ENV PATH=/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin' \
    "$@" "$work/rootfs.tar" "$image" >/dev/null
  docker tag "$image" "$name"
}

make_base() {
  local node_version image work
  node_version=$(node_modules/.bin/node --version)
  image=edgesmith/node:${node_version#v}-$(sha256sum "${BASH_SOURCE[0]}" | cut -c1-12)
  if ! docker image inspect "$image" >/dev/null 2>&1; then
    say "making $image from Debian $suite and Node.js $node_version"
    work=$(mktemp -d)
    # shellcheck disable=SC2064
    trap "rm -rf '$work'" RETURN
    make_root_file_system "$packages" "$work/rootfs.tar"
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
if [[ -z $base ]]; then
  base=$(make_base)
elif [[ $base != *@sha256:* && $base != sha256:* ]]; then
  say "BASE has to name an image by its digest, name@sha256:…, and is $base"
  exit 1
fi
tag=${TAG:-$(sed -n 's/^  "version": "\(.*\)",$/\1/p' package.json)}
staging=$(mktemp -d)
trap 'rm -rf "$staging"' EXIT

# The artifact service lists the packages of root file systems with syft.
install -m 755 "$(deploy/syft/install.sh)" "$staging/syft"
artifact_base=$(printf 'FROM %s\nCOPY syft /usr/local/bin/syft\n' "$base" | docker build --quiet -f - "$staging")

for service in gateway validation builder artifact; do
  say "building edgesmith/$service:$tag"
  service_base=$base
  [[ $service != artifact ]] || service_base=$artifact_base
  docker build --quiet --build-arg BASE="$service_base" -f "services/$service/Dockerfile" \
    -t "edgesmith/$service:$tag" . >/dev/null
  echo "edgesmith/$service:$tag"
done

make_from_packages "edgesmith/redis:$tag" redis-server '' -c 'EXPOSE 6379' -c 'CMD ["redis-server"]'
echo "edgesmith/redis:$tag"

make_from_packages "edgesmith/minio:$tag" ca-certificates "$(deploy/minio/install.sh)" -c 'EXPOSE 9000' \
  -c 'ENTRYPOINT ["minio"]' -c 'CMD ["server", "/data"]'
echo "edgesmith/minio:$tag"
