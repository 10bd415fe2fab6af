#!/usr/bin/env bash
# Makes the engine image, edgesmith/engine:<tag>, from Debian packages and Go
# modules: no container registry is asked. Prints the reference as the last line
# of standard output; progress goes to standard error.
set -euo pipefail
cd "$(dirname "$0")"

earthly_version=v0.8.16
suite=${EDGESMITH_ENGINE_SUITE:-bookworm}
command -v dpkg >/dev/null || { echo 'engine: needs a Debian or Ubuntu host' >&2; exit 1; }
arch=$(dpkg --print-architecture)
packages=ca-certificates,containernetworking-plugins,dnsmasq-base,git,iptables,mount,openssh-client,pigz,runc,tini,xz-utils

say() { printf 'engine: %s\n' "$*" >&2; }
die() { say "$*"; exit 1; }

tag=$({ cat build.sh entrypoint.sh go.mod go.sum; echo "$suite $arch"; } | sha256sum | cut -c1-12)
image=edgesmith/engine:$tag
if docker image inspect "$image" >/dev/null 2>&1; then
	say "$image is here already"
	echo "$image"
	exit 0
fi
docker version >/dev/null 2>&1 || die 'no Docker daemon answers'

need() {
	local missing=()
	command -v mmdebstrap >/dev/null || missing+=(mmdebstrap)
	[ -e /usr/share/keyrings/debian-archive-keyring.gpg ] || missing+=(debian-archive-keyring)
	command -v go >/dev/null || missing+=(golang-go)
	[ ${#missing[@]} -gt 0 ] || return 0
	[ "$(id -u)" = 0 ] || die "needs ${missing[*]}: run as root once: apt-get install ${missing[*]}"
	say "installing ${missing[*]}"
	{ apt-get update && apt-get install -y --no-install-recommends "${missing[@]}"; } >&2
}
need
[ "$(id -u)" = 0 ] || say 'not root: mmdebstrap will use a user namespace'
go_version=$(GOTOOLCHAIN=local go env GOVERSION)
printf '%s\n' go1.24 "$go_version" | sort -VC ||
	die "needs Go 1.24 or newer, found $go_version: apt-get install golang-go on Debian 13, or the release from go.dev"

work=$(mktemp -d)
debstrap=
cleanup() {
	[ -z "$debstrap" ] || kill "$debstrap" 2>/dev/null || true
	rm -rf "$work"
}
trap cleanup EXIT
started=$SECONDS

say "root file system of Debian $suite, and Earthly $earthly_version from Go modules, at once"
mmdebstrap --quiet --variant=essential --include="$packages" \
	--aptopt='APT::Install-Recommends "false"' \
	--dpkgopt=force-unsafe-io \
	--dpkgopt='path-exclude=/usr/share/doc/*' \
	--dpkgopt='path-include=/usr/share/doc/*/copyright' \
	--dpkgopt='path-exclude=/usr/share/man/*' \
	--dpkgopt='path-exclude=/usr/share/info/*' \
	--dpkgopt='path-exclude=/usr/share/locale/*' \
	--dpkgopt='path-exclude=/usr/lib/*/gconv/*' \
	--dpkgopt='path-exclude=/usr/lib/cni/*' \
	--dpkgopt='path-include=/usr/lib/cni/bridge' \
	--dpkgopt='path-include=/usr/lib/cni/host-local' \
	--dpkgopt='path-include=/usr/lib/cni/loopback' \
	"$suite" "$work/rootfs.tar" ${EDGESMITH_DEBIAN_MIRROR:+"$EDGESMITH_DEBIAN_MIRROR"} >"$work/debstrap.log" 2>&1 &
debstrap=$!

bin=$work/overlay/usr/bin
lib=$work/overlay/var/earthly
mkdir -p "$bin" "$lib"
buildkit=github.com/moby/buildkit/version
revision=$(go list -m -f '{{.Replace.Version}}' github.com/moby/buildkit | sed 's/.*-//')
CGO_ENABLED=0 GOFLAGS=-buildvcs=false go build -trimpath -o "$bin/" \
	-tags 'dfrunmount dfrunsecurity dfsecrets dfssh dfrunnetwork dfheredoc forceposix netgo osusergo seccomp' \
	-ldflags "-s -w -X main.Version=$earthly_version -X main.DefaultInstallationName=earthly \
		-X $buildkit.Version=$earthly_version -X $buildkit.Revision=$revision -X $buildkit.Package=github.com/earthly/buildkit" \
	github.com/earthly/earthly/cmd/earthly github.com/earthly/earthly/cmd/debugger github.com/moby/buildkit/cmd/buildkitd >&2
say "binaries built in $((SECONDS - started)) s"

# Every step runs under the debugger, and WITH DOCKER under the two scripts: the
# client asks the daemon for them at these paths.
mv "$bin/debugger" "$bin/earth_debugger"
module=$(go list -m -f '{{.Dir}}' github.com/earthly/earthly)
install -m 755 "$module/buildkitd/dockerd-wrapper.sh" "$module/buildkitd/docker-auto-install.sh" "$lib/"
install -m 755 entrypoint.sh "$bin/entrypoint.sh"
install -d "$work/overlay/usr/share/doc/earthly"
install -m 644 "$module/LICENSE" "$work/overlay/usr/share/doc/earthly/copyright"
# A workspace belongs to whoever made it, not to the client's user.
printf '[safe]\n\tdirectory = *\n' | install -Dm 644 /dev/stdin "$work/overlay/etc/gitconfig"

wait "$debstrap" || { debstrap=; cat "$work/debstrap.log" >&2; die 'mmdebstrap failed'; }
debstrap=
say "root file system done at $((SECONDS - started)) s"

find "$work/overlay" -mindepth 1 ! -type d -printf '%P\0' |
	tar -rf "$work/rootfs.tar" --owner=0 --group=0 --numeric-owner -C "$work/overlay" --null -T -
docker import \
	-c 'ENV PATH=/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin EARTHLY_TMP_DIR=/tmp/earthly EARTHLY_DISABLE_REMOTE_REGISTRY_PROXY=true' \
	-c 'ENTRYPOINT ["/usr/bin/tini", "--", "/usr/bin/entrypoint.sh"]' \
	-c 'CMD ["buildkitd", "--config=/etc/buildkitd.toml"]' \
	-c "LABEL io.edgesmith.engine=earthly-${earthly_version#v}" \
	"$work/rootfs.tar" "$image" >/dev/null
say "$image made in $((SECONDS - started)) s"
echo "$image"
