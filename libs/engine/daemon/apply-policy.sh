#!/bin/sh
# Puts the network policy in force, in one step for each family of addresses; fails where it cannot.
set -eu
here=/etc/edgesmith

restore() { # iptables or ip6tables
	for backend in nft legacy; do
		command -v "$1-$backend-restore" >/dev/null || continue
		"$1-$backend" -S >/dev/null 2>&1 || continue
		"$1-$backend-restore" <"$here/$1.rules"
		return
	done
	echo "edgesmith: no $1 works in this container: there is no network policy without it" >&2
	return 1
}

restore iptables
[ ! -e /proc/sys/net/ipv6 ] || restore ip6tables

# What one step sends to another stays on their bridge, where iptables sees it on some machines alone.
if ebtables-nft -P FORWARD DROP 2>/dev/null || ebtables -P FORWARD DROP 2>/dev/null; then exit 0; fi
[ "$(cat /proc/sys/net/bridge/bridge-nf-call-iptables 2>/dev/null)" = 1 ] && exit 0
echo 'edgesmith: steps cannot be kept apart: neither ebtables nor br_netfilter is there' >&2
exit 1
