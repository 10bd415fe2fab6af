# Sourced by the scripts that build a program from its Go module, the way its makers name to install it from source.

# build_go_binary NAME VERSION PACKAGE GO LDFLAGS
#
# Builds PACKAGE@VERSION unless the cache has it already, and prints the path of the binary on standard output.
# GO is the oldest Go that can. Two callers build it once.
#
# The cache is $EDGESMITH_CACHE_DIR, by default edgesmith/ in the user's cache directory. With ONLY_CACHED=1
# nothing is built: it fails where the binary is not there.
build_go_binary() {
  local name=$1 version=$2 package=$3 go=$4 ldflags=$5
  local cache=${EDGESMITH_CACHE_DIR:-${XDG_CACHE_HOME:-$HOME/.cache}/edgesmith}/bin
  local binary=$cache/$name-$version staging=$cache/$name.building
  if [[ ! -x $binary ]]; then
    [[ ${ONLY_CACHED:-} != 1 ]] || exit 1
    if ! command -v go >/dev/null; then
      echo "$name is built from source, and go is not on the PATH. Install Go $go or newer from https://go.dev/dl/ and try again." >&2
      exit 1
    fi
    mkdir -p "$cache"
    exec 9>"$cache/$name.lock"
    flock 9
    # Another caller may have built it while this one waited.
    if [[ ! -x $binary ]]; then
      echo "building $name $version, which takes a few minutes the first time" >&2
      rm -rf "$staging"
      GOBIN=$staging CGO_ENABLED=0 go install -trimpath -ldflags "-s -w $ldflags" "$package@$version" >&2
      mv "$staging/$name" "$binary"
      rm -rf "$staging"
      echo "built $binary" >&2
    fi
  fi
  echo "$binary"
}
