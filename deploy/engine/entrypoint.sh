#!/bin/sh
# Starts the BuildKit daemon. The settings are those Earthly's own daemon image
# reads, under the same names, so a worker starts either image the same way.
set -eu

: "${EARTHLY_TMP_DIR:=/tmp/earthly}"
: "${BUILDKIT_DEBUG:=false}"
: "${BUILDKIT_MAX_PARALLELISM:=4}"
: "${BUILDKIT_TCP_TRANSPORT_ENABLED:=false}"
: "${BUILDKIT_TLS_ENABLED:=false}"
: "${CACHE_SIZE_MB:=0}"
: "${NETWORK_MODE:=cni}"
: "${CNI_MTU:=}"
: "${IP_TABLES:=}"
: "${EARTHLY_ADDITIONAL_BUILDKIT_CONFIG:=}"
# Not known to Earthly's image.
: "${CNI_SUBNET_PREFIX:=10.222}"
: "${ALLOW_PRIVILEGED_STEPS:=false}"

root=$EARTHLY_TMP_DIR/buildkit
mkdir -p "$root" /run/buildkit /etc/cni
# shellcheck disable=SC3045 # dash has it
ulimit -n 1048576 2>/dev/null || true

# runc makes a cgroup for each step, and Docker mounts the tree read-only for
# every container but a privileged one.
awk '$5 ~ "^/sys/fs/cgroup" && $6 ~ /(^|,)ro(,|$)/ {print $5}' /proc/self/mountinfo |
	while read -r mount; do
		mount -o remount,bind,rw "$mount" || echo "entrypoint: $mount stays read-only" >&2
	done

nameservers=
if [ "$NETWORK_MODE" = cni ]; then
	if [ -z "$IP_TABLES" ]; then
		IP_TABLES=iptables-nft
		iptables-nft -w -t nat -S >/dev/null 2>&1 || IP_TABLES=iptables-legacy
	fi
	ln -sf "/usr/sbin/$IP_TABLES" /usr/local/sbin/iptables

	if [ -z "$CNI_MTU" ]; then
		device=$(awk '$2 == "00000000" {print $1; exit}' /proc/net/route)
		CNI_MTU=$(cat "/sys/class/net/${device:-lo}/mtu")
	fi
	[ "$CNI_MTU" -le 9000 ] || CNI_MTU=1500
	cat >/etc/cni/cni-conf.json <<-EOF
		{
		  "cniVersion": "0.3.1",
		  "name": "steps",
		  "type": "bridge",
		  "bridge": "cni0",
		  "isGateway": true,
		  "ipMasq": true,
		  "mtu": $CNI_MTU,
		  "ipam": {
		    "type": "host-local",
		    "subnet": "$CNI_SUBNET_PREFIX.0.0/16",
		    "routes": [{ "dst": "0.0.0.0/0" }]
		  }
		}
	EOF
	# Network namespaces do not outlive the container; their traces in the volume do.
	rm -rf "$root/net/cni"

	# On a network of its own Docker gives the container a resolver on loopback,
	# which a step, in a network namespace of its own, cannot reach.
	if ! grep -E '^nameserver' /etc/resolv.conf | grep -qvE '[[:space:]](127\.|::1)' &&
		! printf '%s\n' "$EARTHLY_ADDITIONAL_BUILDKIT_CONFIG" | grep -q '^[[:space:]]*\[dns\]'; then
		dnsmasq --user=nobody --group=nogroup --no-hosts --bind-dynamic \
			--interface=cni0 --except-interface=lo --log-facility=/dev/null
		nameservers=$CNI_SUBNET_PREFIX.0.1
	fi
fi

{
	echo "debug = $BUILDKIT_DEBUG"
	echo "root = \"$root\""
	[ "$ALLOW_PRIVILEGED_STEPS" != true ] || echo 'insecure-entitlements = [ "security.insecure" ]'
	echo '[grpc]'
	if [ "$BUILDKIT_TCP_TRANSPORT_ENABLED" = true ]; then
		echo '  address = [ "tcp://0.0.0.0:8372" ]'
	else
		echo '  address = [ "unix:///run/buildkit/buildkitd.sock" ]'
	fi
	if [ "$BUILDKIT_TLS_ENABLED" = true ]; then
		cat <<-EOF
			  [grpc.tls]
			    cert = "/etc/cert.pem"
			    key = "/etc/key.pem"
			    ca = "/etc/ca.pem"
		EOF
	fi
	[ -z "$nameservers" ] || printf '[dns]\n  nameservers = [ "%s" ]\n' "$nameservers"
	cat <<-EOF
		[worker.oci]
		  enabled = true
		  snapshotter = "auto"
		  max-parallelism = $BUILDKIT_MAX_PARALLELISM
		  networkMode = "$NETWORK_MODE"
		  cniBinaryPath = "/usr/lib/cni"
		  cniConfigPath = "/etc/cni/cni-conf.json"
		  gc = true
	EOF
	if [ "$CACHE_SIZE_MB" -gt 0 ]; then
		bytes=$((CACHE_SIZE_MB * 1024 * 1024))
		cat <<-EOF
			  [[worker.oci.gcpolicy]]
			    filters = [ "type==source.local", "type==source.git.checkout" ]
			    keepBytes = $((bytes / 2))
			  [[worker.oci.gcpolicy]]
			    all = true
			    keepBytes = $bytes
		EOF
	fi
	echo '[worker.containerd]'
	echo '  enabled = false'
	printf '%s\n' "$EARTHLY_ADDITIONAL_BUILDKIT_CONFIG"
} >/etc/buildkitd.toml

# The kernel gives a nested cgroup v2 its controllers only while no process is
# in the parent: buildkitd moves itself out of the way when told to.
export BUILDKIT_SETUP_CGROUPV2_ROOT=1
exec "$@"
