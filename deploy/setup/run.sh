#!/usr/bin/env bash
# Runs a script of this repository on the Node.js that package-lock.json pins, once the npm packages
# are installed as that file says: deploy/setup/run.sh SCRIPT [ARGUMENT...]
#
# Needs npm and any Node.js that can run it.
set -euo pipefail
cd "$(dirname "${BASH_SOURCE[0]}")/../.."

stamp=node_modules/.installed-lock-file
hidden_lock_file=node_modules/.package-lock.json

# The packages are as the lock file says when the stamp has its digest, or when `npm install` has just
# written both: npm writes its own record in node_modules last.
packages_match() {
  local digest
  digest=$(sha256sum package-lock.json)
  [[ -e $hidden_lock_file && -x node_modules/.bin/node ]] || return 1
  [[ -f $stamp && $(<"$stamp") == "$digest" ]] && return 0
  [[ $hidden_lock_file -nt package-lock.json ]] || return 1
  echo "$digest" >"$stamp"
}

# `npm run` puts node_modules/.bin first in PATH; npm must not run on a Node.js that it replaces.
run_npm() {
  if [[ -n ${npm_node_execpath:-} && -n ${npm_execpath:-} && $npm_node_execpath != "$PWD"/node_modules/* ]]; then
    PATH="$(dirname "$npm_node_execpath"):$PATH" "$npm_node_execpath" "$npm_execpath" "$@"
  else
    npm "$@"
  fi
}

if ! packages_match; then
  exec 9<package-lock.json
  flock 9
  if ! packages_match; then
    echo 'Installing the npm packages of package-lock.json.' >&2
    run_npm ci --no-audit --no-fund --loglevel=error </dev/null >&2
    sha256sum package-lock.json >"$stamp"
  fi
  exec 9<&-
fi

exec node_modules/.bin/node "$@"
