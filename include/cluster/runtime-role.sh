#!/bin/sh
# Run by the PostgreSQL image when the ledger's volume is new: creates the role that the tasks connect as. It owns nothing;
# `rescind ledger migrate` grants its rights. For a volume that exists, run the statement once by hand (README.md).
set -eu
psql -v ON_ERROR_STOP=1 -v password="$RESCIND_RUNTIME_PASSWORD" --username "$POSTGRES_USER" --dbname "$POSTGRES_DB" <<'SQL'
CREATE ROLE rescind_runtime LOGIN PASSWORD :'password';
SQL
