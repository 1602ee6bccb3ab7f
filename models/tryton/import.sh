#!/usr/bin/env bash
# import.sh URL: writes this model again, from the Tryton database of the URL (see create-database.sh).
set -euo pipefail
# shellcheck source=scripts/common.sh
. "$(dirname "$0")/../../scripts/common.sh"

[ $# = 1 ] || fail "usage: import.sh postgresql://USER:PASSWORD@HOST:PORT/DATABASE"
model=$root_dir/models/tryton

# Taken over only when it is whole.
fresh=$(mktemp -d)
trap 'rm -rf "$fresh"' EXIT
say "Reading the database's schema"
cargo run --quiet --manifest-path "$root_dir/Cargo.toml" -p importer --example import -- "$1" "$fresh/tryton" public
[ -f "$fresh/tryton/entities/SaleSale.toml" ] || fail "this is no Tryton database with the modules of the model"
"$cache_dir/tryton/bin/python" "$model/policies.py" "$1" "$fresh/tryton/entities"
rm -rf "$model/entities"
mv "$fresh/tryton/entities" "$fresh/tryton/model.toml" "$model/"
