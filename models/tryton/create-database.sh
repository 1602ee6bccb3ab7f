#!/usr/bin/env bash
# create-database.sh URL: makes the existing, empty database of the URL a Tryton database, with the modules of the
# model and no business data. Tryton comes from PyPI and is kept in the cache.
set -euo pipefail
# shellcheck source=scripts/common.sh
. "$(dirname "$0")/../../scripts/common.sh"

modules=(party company product account sale purchase stock)

[ $# = 1 ] || fail "usage: create-database.sh postgresql://USER:PASSWORD@HOST:PORT/DATABASE"
url=postgresql://${1#*://} # Tryton knows no postgres://
requirements=$root_dir/models/tryton/requirements.txt
venv=$cache_dir/tryton

# An environment of its own: Tryton's packages are many, and only this needs them.
ensure_tryton() {
  if cmp -s "$requirements" "$venv/installed"; then return; fi
  ensure_venv
  say "Installing Tryton from PyPI into $venv"
  rm -rf "$venv"
  "$cache_dir/venv/bin/python" -c 'import sys; sys.exit(sys.version_info < (3, 11))' ||
    fail "Tryton needs Python 3.11 or later"
  quietly "$cache_dir/venv/bin/python" -m venv "$venv"
  quietly "$venv/bin/pip" install -q --no-deps -r "$requirements"
  cp "$requirements" "$venv/installed"
}

ensure_tryton
# As it is in the URL: Tryton joins the two again.
database=${url%%\?*}
database=${database##*/}
[ -n "$database" ] || fail "the URL names no database"

# Nobody signs in to this database through Tryton, so nobody has to know the password.
password_file=$(mktemp)
trap 'rm -f "$password_file"' EXIT
"$venv/bin/python" -c 'import secrets; print(secrets.token_urlsafe(24))' >"$password_file"

export TRYTOND_DATABASE__URI=$url TRYTONPASSFILE=$password_file
say "Creating Tryton's tables in the database $database"
quietly "$venv/bin/trytond-admin" -d "$database" --email admin@example.com --all
quietly "$venv/bin/trytond-admin" -d "$database" -u "${modules[@]}" --activate-dependencies
