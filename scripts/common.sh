# shellcheck shell=bash
# What the scripts share: places, and how they speak. Sourced, never run.

root=$(cd "$(dirname "${BASH_SOURCE[0]}")/.." && pwd)

# Engines that take long to fetch live here, outside any one lab, so that the second run is quick.
cache=${TRUSTGATE_LAB_CACHE:-${XDG_CACHE_HOME:-${HOME:-/root}/.cache}/trustgate/lab}

# The engine, registry and trust server of Debian 12, unpacked and not installed: nothing of them starts
# at boot, and a docker engine of the machine, of whatever make, stays as it is.
# shellcheck disable=SC2034
bookworm_packages="docker.io containerd runc docker-registry notary busybox-static"

say() { printf '%s\n' "$*" >&2; }

die() {
  printf 'error: %s\n' "$1" >&2
  shift
  for help in "$@"; do printf '  help: %s\n' "$help" >&2; done
  exit 1
}

# Runs a command quietly; its output is shown only where it fails.
quietly() {
  local output
  if ! output=$("$@" 2>&1); then
    printf '%s\n' "$output" >&2
    die "this command did not work: $*"
  fi
}

# The CAs that a program in an image trusts, and whether a program needs nothing else of a system.
# shellcheck disable=SC2034
ca_bundle=/etc/ssl/certs/ca-certificates.crt

require_static() {
  [ -s "$ca_bundle" ] || die "there is no CA bundle at $ca_bundle" "scripts/deps build installs ca-certificates"
  ! ldd "$1" 2>/dev/null | grep -q '=>' || die "$1 is not static" "build it with make release"
}

require_root() {
  [ "$(id -u)" = 0 ] || die "$1 needs root" "run it as root, or in a virtual machine"
}
