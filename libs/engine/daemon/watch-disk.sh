#!/bin/sh
# Ends the step that has written the most while the disk of the cache is nearly full, before it is full
# for all builds and for the daemon itself.
set -u
here=/etc/edgesmith
steps=/run/edgesmith
. "$here/step-limits"
least=$((DISK_FREE_BYTES / 1024))

free() { df -kP "$EARTHLY_TMP_DIR" | awk 'NR == 2 {print $4}'; }

# Where a step writes to: the upper directory of its root, and the caches that are mounted into it.
places() { # bundle
	awk -v root="$1/rootfs" '$5 == root' /proc/self/mountinfo | sed -n 's/.*[ ,]upperdir=\([^, ]*\).*/\1/p'
	grep -oE '"source":"[^"\\]*/cachemounts/buildkit[0-9]+[^"\\]*"' "$1/config.json" 2>/dev/null | cut -d'"' -f4
}

# Kibibytes that a step has written, and its id.
written() {
	for step in "$steps"/*; do
		case $step in *.full | *'*') continue ;; esac
		read -r bundle <"$step" || continue
		size=$(places "$bundle" | xargs -r du -skx 2>/dev/null | awk '{sum += $1} END {print sum + 0}')
		echo "$size ${step##*/}"
	done
}

kill_step() { # id
	cat "/sys/fs/cgroup/pids/buildkit/$1/cgroup.procs" "/sys/fs/cgroup/buildkit/$1/cgroup.procs" 2>/dev/null |
		xargs -r kill -KILL 2>/dev/null
}

while sleep 1; do
	[ "$(free)" -lt "$least" ] || continue
	worst=$(written | sort -n | tail -n 1)
	size=${worst%% *} id=${worst##* }
	# Something else fills the disk where no step has written much.
	[ "${size:-0}" -ge 65536 ] || continue
	echo "[edgesmith] disk-full: the step was ended after it had written $((size * 1024)) bytes, for less than $DISK_FREE_BYTES bytes of the worker's disk were free." >"$steps/$id.full"
	kill_step "$id"
	echo "edgesmith: ended the step $id, which had written $size KiB: the disk is nearly full" >&2
	# What it wrote is removed when its build has failed.
	tries=0
	while [ "$(free)" -lt "$least" ] && [ -e "$steps/$id" ] && [ $tries -lt 20 ]; do
		sleep 0.5
		tries=$((tries + 1))
	done
done
