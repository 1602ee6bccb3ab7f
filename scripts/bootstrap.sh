#!/usr/bin/env bash
# Prepares a bare Debian with Rust for `make run` and `make test`. Safe to run again; silent if nothing is missing.
set -euo pipefail
# shellcheck source=scripts/common.sh
. "$(dirname "$0")/common.sh"

have cargo || fail "Rust is needed: https://rustup.rs, then run this again"

if ! have cc || ! have make; then
  can_apt || fail "a C compiler and make are needed (Debian: apt-get install build-essential)"
  say "Installing a C compiler and make"
  apt_install build-essential
fi

"$root_dir/scripts/test-tools.sh"
