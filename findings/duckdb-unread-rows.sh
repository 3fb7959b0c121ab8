#!/usr/bin/env bash
# DuckDB 2.0 for Python: a row left unread blocks the connection.
#
# Input: execute() of a query with three rows, fetchone() once, then sql() on the same connection.
# Guess written down before it was run: the second query runs and the two unread rows are discarded, as in DuckDB 1.5.
# Seen with duckdb==1.5.6: as guessed.
# Seen with duckdb==2.0.1: the relation is made, but reading it raises ResourceInUseException, "connection has an unfinished result from
#   execute(); call complete() or abort(), or fetch until a fetch returns no rows ...". It is raised even where fetchone() returned the only
#   row of a result, since only a fetch that returns no row ends it. complete() and abort() do not exist in 1.5. Also, execute() returns the
#   connection as before, but that has no pl() any more: sql() returns a relation, which has it.
set -euo pipefail
dir=$(mktemp -d)
trap 'rm -rf "$dir"' EXIT
cd "$dir"
cat >unread.py <<'PY'
import duckdb


def second_query(rows):
    connection = duckdb.connect()
    connection.execute(f"SELECT * FROM range({rows})").fetchone()
    try:
        return connection.sql("SELECT 42").fetchall()
    except duckdb.Error as error:
        return type(error).__name__


print(duckdb.__version__, second_query(3), second_query(1), hasattr(duckdb.connect(), "pl"), hasattr(duckdb.connect(), "complete"))
PY
for version in 1.5.6 2.0.1; do
  python3 -m venv "venv-$version"
  "venv-$version/bin/pip" -q install --disable-pip-version-check "duckdb==$version"
  "venv-$version/bin/python" unread.py
done | tee seen
diff seen - <<'SEEN'
1.5.6 [(42,)] [(42,)] True False
2.0.1 ResourceInUseException ResourceInUseException False True
SEEN
