# Sourced by the other scripts: what they all say and do.
# shellcheck shell=bash

root_dir=$(cd "$(dirname "${BASH_SOURCE[0]}")/.." && pwd)
cache_dir=${TOMBOLO_CACHE:-$root_dir/.cache}
export PIP_DISABLE_PIP_VERSION_CHECK=1

say() { printf '\033[1m%s\033[0m\n' "$*" >&2; }

fail() {
  printf 'error: %s\n' "$*" >&2
  exit 1
}

have() { command -v "$1" >/dev/null 2>&1; }

can_apt() { [ "$(id -u)" = 0 ] && have apt-get; }

# Shows a command, keeps its output back unless it fails, and says how long it took.
quietly() {
  local start=$SECONDS log
  log=$(mktemp)
  printf '  $ %s\n' "$*" >&2
  if ! "$@" >"$log" 2>&1; then
    tail -n 30 "$log" >&2
    rm -f "$log"
    return 1
  fi
  rm -f "$log"
  printf '    done in %d s\n' "$((SECONDS - start))" >&2
}

apt_updated=
apt_install() {
  if [ -z "$apt_updated" ]; then
    quietly apt-get update -q || say "apt-get update failed; trying with the package lists that are here"
    apt_updated=yes
  fi
  DEBIAN_FRONTEND=noninteractive quietly apt-get install -q -y --no-install-recommends "$@"
}

# A virtual environment of our own in the cache: the machine's Python stays as it is.
ensure_venv() {
  [ -x "$cache_dir/venv/bin/pip" ] && "$cache_dir/venv/bin/pip" --version >/dev/null 2>&1 && return
  if ! have python3 || ! python3 -c 'import ensurepip, venv' 2>/dev/null; then
    if can_apt; then
      apt_install python3 python3-venv
    else
      fail "python3 with venv is needed (Debian: apt-get install python3-venv)"
    fi
  fi
  quietly python3 -m venv --clear "$cache_dir/venv"
}

# Installs a pinned list into the environment, unless exactly this list is there.
ensure_requirements() {
  local list=$root_dir/scripts/requirements/$1.txt stamp=$cache_dir/venv/$1.installed
  cmp -s "$list" "$stamp" && return
  ensure_venv
  quietly "$cache_dir/venv/bin/pip" install -q --no-deps --require-hashes -r "$list"
  cp "$list" "$stamp"
}
