#!/usr/bin/env bash
# What `make test` and `make lint` need beyond Rust: PostgreSQL, Redis, Node with the client libraries under test, buf.
# Silent if everything is there. `test-tools.sh lint` brings only what linting needs.
set -euo pipefail
# shellcheck source=scripts/common.sh
. "$(dirname "$0")/common.sh"

node_minimum=18
clients=$root_dir/tests/clients

node_is_usable() {
  have node && have npm && [ "$(node -p 'process.versions.node.split(".")[0]')" -ge "$node_minimum" ]
}

ensure_node() {
  PATH=$cache_dir/bin:$PATH
  if node_is_usable; then return; fi
  say "No Node $node_minimum or later with npm on this machine; taking one from PyPI into $cache_dir/venv"
  rm -f "$cache_dir/venv/node.installed"
  ensure_requirements node
  mkdir -p "$cache_dir/bin"
  ln -sf ../venv/bin/node ../venv/bin/npm ../venv/bin/npx "$cache_dir/bin/"
  node_is_usable || fail "Node $node_minimum or later with npm is needed for the client tests"
}

ensure_clients() {
  if ! cmp -s "$root_dir/scripts/requirements/clients.txt" "$cache_dir/venv/clients.installed"; then
    say "Installing the Python clients under test"
    ensure_requirements clients
  fi
  [ -f "$clients/package-lock.json" ] || return 0
  local stamp=$clients/node_modules/.package-lock.installed
  if cmp -s "$clients/package-lock.json" "$stamp"; then return; fi
  say "Installing the JavaScript clients under test"
  quietly npm ci --prefix "$clients" --no-audit --no-fund
  cp "$clients/package-lock.json" "$stamp"
}

ensure_buf() {
  if "$cache_dir/venv/bin/buf" --version >/dev/null 2>&1 &&
    cmp -s "$root_dir/scripts/requirements/lint.txt" "$cache_dir/venv/lint.installed"; then
    return
  fi
  say "Installing buf, which checks the protos"
  rm -f "$cache_dir/venv/lint.installed"
  ensure_requirements lint
}

ensure_buf
if [ "${1:-all}" = lint ]; then exit 0; fi
"$root_dir/scripts/postgres.sh"
"$root_dir/scripts/redis.sh"
ensure_node
ensure_clients
