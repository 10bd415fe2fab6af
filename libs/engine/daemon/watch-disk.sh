#!/bin/sh
# Ends the step that has written the most while the disk of the cache is nearly full, before it is full
# for all builds and for the daemon itself.
set -u
here=/etc/edgesmith
steps=/run/edgesmith
. "$here/step-limits"
least=$((DISK_FREE_BYTES / 1024))

free() { df -kP "$EARTHLY_TMP_DIR" | awk 'NR == 2 {print $4}'; }

# BuildKit cannot even remove anything on a disk that is full: what is set aside here is given back once
# the step that filled it has ended.
ballast=$EARTHLY_TMP_DIR/.edgesmith-ballast
ballast_kib=65536
keep_ballast() {
	[ ! -e "$ballast" ] && [ "$1" -ge $((least + ballast_kib)) ] || return 0
	fallocate -l "$((ballast_kib * 1024))" "$ballast" 2>/dev/null || rm -f "$ballast"
}

# Holds all steps still, or lets them go on.
freeze() {
	echo "$([ "$1" = 1 ] && echo FROZEN || echo THAWED)" >/sys/fs/cgroup/freezer/buildkit/freezer.state
	echo "$1" >/sys/fs/cgroup/buildkit/cgroup.freeze
} 2>/dev/null

# Where a step writes to: the upper directory of its root, and the caches that are mounted into it.
places() { # bundle
	awk -v root="$1/rootfs" '$5 == root' /proc/self/mountinfo | sed -n 's/.*[ ,]upperdir=\([^, ]*\).*/\1/p'
	grep -oE '"source":"[^"\\]*/cachemounts/buildkit[0-9]+[^"\\]*"' "$1/config.json" 2>/dev/null | cut -d'"' -f4
}

# Kibibytes that each step has written, and its id.
written() {
	for step in "$steps"/*; do
		case $step in *.full | *'*') continue ;; esac
		read -r bundle <"$step" || continue
		size=$(places "$bundle" | xargs -r du -skx 2>/dev/null | awk '{sum += $1} END {print sum + 0}')
		echo "$size ${step##*/}"
	done
}

# The shell's own kill: the image need not have a program of that name.
kill_step() { # id
	for pid in $(cat "/sys/fs/cgroup/pids/buildkit/$1/cgroup.procs" "/sys/fs/cgroup/buildkit/$1/cgroup.procs" 2>/dev/null); do
		kill -KILL "$pid" 2>/dev/null
	done
}

# A disk takes a gigabyte in a second: it is watched the closer the less is left.
pause=1
while sleep "$pause"; do
	left=$(free)
	keep_ballast "$left"
	if [ "$left" -lt $((least * 4)) ]; then pause=0.1; else pause=1; fi
	[ "$left" -lt "$least" ] || continue
	freeze 1
	worst=$(written | sort -n | tail -n 1)
	size=${worst%% *} id=${worst##* }
	# Something else fills the disk where no step has written much: steps are not to stand still for that.
	if [ "${size:-0}" -lt 65536 ]; then
		[ "$left" -ge 4096 ] || rm -f "$ballast"
		freeze 0
		pause=2
		continue
	fi
	echo "[edgesmith] disk-full: the step was ended after it had written $((size * 1024)) bytes, for less than $DISK_FREE_BYTES bytes of the worker's disk were free." >"$steps/$id.full"
	read -r bundle <"$steps/$id"
	written_to=$(places "$bundle" | grep -v /cachemounts/)
	kill_step "$id"
	freeze 0
	# What it wrote is removed once its build has failed; others are not to wait for that. A step that is
	# killed leaves nothing that is used: its large files are emptied at once.
	[ -z "$written_to" ] || find "$written_to" -xdev -type f -size +1024k -exec truncate -s 0 {} +
	[ "$(free)" -ge 4096 ] || rm -f "$ballast"
	echo "edgesmith: ended the step $id, which had written $size KiB: the disk is nearly full" >&2
	tries=0
	while [ "$(free)" -lt "$least" ] && [ $tries -lt 20 ]; do
		sleep 0.5
		tries=$((tries + 1))
	done
done
