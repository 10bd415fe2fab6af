#!/bin/sh
# What BuildKit runs in place of runc: gives each step limits of its own, takes from it what it could
# harm other builds with, refuses what widens its rights, and says in its output why it was killed.
set -u
here=/etc/edgesmith
steps=/run/edgesmith
. "$here/step-limits"

verb='' bundle='' id=''
for word; do
	[ "$id" != --bundle ] || bundle=$word
	case $word in run | create | delete) [ -n "$verb" ] || verb=$word ;; esac
	id=$word
done
runc=$(command -v buildkit-runc || command -v runc)
if [ "$verb" != run ] && [ "$verb" != create ]; then
	[ "$verb" != delete ] || rm -f "$steps/$id" "$steps/$id.full"
	exec "$runc" "$@"
fi

refuse() {
	echo "[edgesmith] refused: $1" >&2
	exit 125
}

# BuildKit writes the specification as one line of JSON, in which a quote inside a value is escaped:
# what is looked for below, quotes and all, is never part of a value that an Earthfile gives.
spec=$bundle/config.json
has() { grep -qE "$1" "$spec"; }

! has '"CAP_(SYS_ADMIN|SYS_PTRACE|SYS_MODULE|SYS_RAWIO|NET_ADMIN|DAC_READ_SEARCH)"' ||
	refuse 'privileged steps (RUN --privileged, WITH DOCKER) are not offered.'
has '"type":"network"' || refuse "the daemon's own network is not offered to steps."

# These options, in this order, are those of a directory of the daemon itself that a step asks for
# (--mount=type=bind-experimental); Earthly asks for its debugger so.
grep -oE '"source":"([^"\\]|\\.)*","options":\["rbind","r[ow]"\]' "$spec" | cut -d'"' -f4 |
	while read -r source; do
		case $source in
		*/..* | *\\*) exit 1 ;;
		/usr/bin/earth_debugger | /usr/bin/earthly_debugger) ;;
		"$EARTHLY_TMP_DIR"/buildkit/*/cachemounts/buildkit[0-9]*) ;;
		*) exit 1 ;;
		esac
	done || refuse 'directories of the BuildKit daemon are not offered to steps (--mount=type=bind-experimental).'

# Without swap accounting the kernel has no file for it.
swap=''
for file in /sys/fs/cgroup/memory/memory.memsw.limit_in_bytes /sys/fs/cgroup/memory.swap.max; do
	[ ! -e "$file" ] || swap=",\"swap\":$STEP_MEMORY_BYTES"
done
held="\"resources\":{\"memory\":{\"limit\":$STEP_MEMORY_BYTES$swap},\"pids\":{\"limit\":$STEP_PIDS},\"devices\":"
# Raw sockets forge addresses on the bridge of all steps; a debugger that can be written to would run in
# the steps of others; the daemon's socket for traces is not a step's business.
sed -i \
	-e "s|\"resources\":{\"devices\":|$held|" \
	-e 's|"process":{|"process":{"oomScoreAdj":1000,|' \
	-e 's|"CAP_NET_RAW",||g' \
	-e 's#\("source":"/usr/bin/earth[a-z]*_debugger","options":\["rbind",\)"rw"#\1"ro"#' \
	-e 's|,{"destination":"/dev/otel-grpc.sock","type":"bind",[^}]*}||' \
	"$spec"
grep -qF "$held" "$spec" && has '"process":\{"oomScoreAdj":1000,' && ! has '"CAP_NET_RAW"' &&
	! has 'debugger","options":\["rbind","rw"' || refuse 'the step cannot be held to its limits.'

echo "$bundle" >"$steps/$id"
"$runc" "$@"
code=$?

group=$(grep -oE '"cgroupsPath":"[^"]*"' "$spec" | cut -d'"' -f4)
killed=$(cat "/sys/fs/cgroup/memory$group/memory.oom_control" "/sys/fs/cgroup$group/memory.events" 2>/dev/null |
	awk '$1 == "oom_kill" {count += $2} END {print count + 0}')
[ "$killed" = 0 ] ||
	echo "[edgesmith] out-of-memory: $killed of the step's processes were killed; it may use $STEP_MEMORY_BYTES bytes." >&2
[ ! -e "$steps/$id.full" ] || cat "$steps/$id.full" >&2
rm -f "$steps/$id" "$steps/$id.full"
exit "$code"
