#!/usr/bin/env bash
# Of calls that begin the same job of local-bigquery at the same moment, most are answered with 400 and words of its database; some begin it twice.
#
# Package: local-bigquery 0.4.0 with duckdb 1.5.5 and its extensions (pip). Run on Python 3.13.
# Guess before it was run: as BigQuery documents it for a job id that a client chose. One call gets 200, every other 409 with the reason `duplicate`,
#   and a client that sees 400 may take its job for bad.
# Seen: of 240 calls, four for each of 60 jobs, 74 got 200, 34 got 409, and 132 got 400: "Duplicate key", "Failed to commit" or "Conflict on update!". Some
#   jobs began twice, and both ran: 66 rows came of 60 INSERT statements. So a test in which a client repeats its job at the same moment, as a redelivered
#   event makes it do, needs a lock in front of this server.
#
# Fails when no call gets 400 any more.
set -euo pipefail
folder=$(mktemp -d)
server=
cleanup() {
  [[ -z $server ]] || kill "$server" 2>/dev/null || true
  rm -rf "$folder"
}
trap cleanup EXIT
python=${PYTHON:-python3.13}
"$python" -m venv "$folder/venv"
pip=("$folder/venv/bin/pip" --quiet --disable-pip-version-check)
extensions=(duckdb-extension-httpfs duckdb-extension-icu duckdb-extension-spatial duckdb-extension-ducklake)
"${pip[@]}" install local-bigquery==0.4.0
"${pip[@]}" install --no-deps duckdb==1.5.5 2>/dev/null
"${pip[@]}" install --no-deps "${extensions[@]/%/==1.5.5}"
home=$folder/home/.duckdb/extensions/v1.5.5/linux_amd64
mkdir -p "$home"
cp "$folder"/venv/lib/python3.*/site-packages/duckdb_extension_*/extensions/v1.5.5/*.duckdb_extension "$home/"
port=$(python3 -c 'import socket; one = socket.socket(); one.bind(("127.0.0.1", 0)); print(one.getsockname()[1])')
grpc=$(python3 -c 'import socket; one = socket.socket(); one.bind(("127.0.0.1", 0)); print(one.getsockname()[1])')
HOME="$folder/home" "$folder/venv/bin/local-bigquery" serve --host 127.0.0.1 --project demo --data-dir "$folder/data" --port "$port" --grpc-port "$grpc" >"$folder/log" 2>&1 &
server=$!
python3 - "$port" <<'PYTHON'
import collections
import concurrent.futures
import http.client
import json
import sys
import threading
import time

ROUNDS, CALLERS = 60, 4


def call(method, path, body=None):
    connection = http.client.HTTPConnection("127.0.0.1", int(sys.argv[1]), timeout=60)
    connection.request(method, "/bigquery/v2/projects/demo" + path, body and json.dumps(body), {"Content-Type": "application/json"})
    answer = connection.getresponse()
    return answer.status, json.loads(answer.read() or b"{}")


deadline = time.monotonic() + 120
while True:
    try:
        call("GET", "/datasets")
        break
    except ConnectionRefusedError:
        assert time.monotonic() < deadline, "the server does not listen"
        time.sleep(0.1)
assert call("POST", "/datasets", {"datasetReference": {"projectId": "demo", "datasetId": "d"}})[0] == 200
fields = [{"name": "round", "type": "INTEGER"}]
table = {"tableReference": {"projectId": "demo", "datasetId": "d", "tableId": "t"}, "schema": {"fields": fields}}
assert call("POST", "/datasets/d/tables", table)[0] == 200
together = threading.Barrier(CALLERS)


def begin(number):
    job = {
        "jobReference": {"projectId": "demo", "jobId": f"round-{number}"},
        "configuration": {"query": {"query": f"INSERT INTO d.t (round) VALUES ({number})", "useLegacySql": False}},
    }
    together.wait()
    status, answer = call("POST", "/jobs", job)
    return status, answer.get("error", {}).get("message", "").split(":")[0][:60]


seen = collections.Counter()
with concurrent.futures.ThreadPoolExecutor(CALLERS) as pool:
    for number in range(ROUNDS):
        seen.update(pool.map(begin, [number] * CALLERS))
for (status, message), count in seen.most_common():
    print(f"{count} of {ROUNDS * CALLERS}: {status} {message}")
status, answer = call("POST", "/queries", {"query": "SELECT COUNT(*), COUNT(DISTINCT round) FROM d.t", "useLegacySql": False})
print("rows, and rounds that have any:", [cell["v"] for cell in answer["rows"][0]["f"]] if status == 200 else answer)
assert any(status == 400 for status, _ in seen), "no call got 400"
PYTHON
