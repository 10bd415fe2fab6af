#!/bin/sh
# Starts the BuildKit daemon, once what holds its steps is in place: without that it does not start.
set -eu
here=/etc/edgesmith

# Docker mounts the cgroup tree read-only for a container that is not privileged; runc writes there.
awk '$5 ~ "^/sys/fs/cgroup" && $6 ~ /(^|,)ro(,|$)/ {print $5}' /proc/self/mountinfo |
	while read -r mount; do mount -o remount,bind,rw "$mount"; done

"$here/apply-policy"

# A cache that may hold more than its disk would never be collected.
mkdir -p "$EARTHLY_TMP_DIR" /run/edgesmith
disk=$(df -mP "$EARTHLY_TMP_DIR" | awk 'NR == 2 {print int($2 / 2)}')
[ "$CACHE_SIZE_MB" -le "$disk" ] || export CACHE_SIZE_MB="$disk"

"$here/watch-disk" &
exec "$@"
