#!/usr/bin/env bash
# Makes sure that there is a redis-server to test with. Silent if there is. The tests run their own, behind
# sockets in directories of their own.
set -euo pipefail
# shellcheck source=scripts/common.sh
. "$(dirname "$0")/common.sh"

if have redis-server; then exit 0; fi
say "No redis-server on this machine."
can_apt || fail "redis-server is needed for the tests of replicas; install Redis 6 or later"

# Debian's package would start a server of its own; this keeps it from doing so.
policy=/usr/sbin/policy-rc.d
if [ ! -e "$policy" ]; then
  trap 'rm -f "$policy"' EXIT
  printf '#!/bin/sh\nexit 101\n' >"$policy"
  chmod 755 "$policy"
fi
apt_install redis-server || fail "redis-server could not be installed; install Redis 6 or later"
have redis-server || fail "the package redis-server has no redis-server"
