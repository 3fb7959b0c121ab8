"""Every line and field that a log-based metric reads is written somewhere in the services: log_lines.py CHECKOUT."""

import pathlib
import re
import sys

root = pathlib.Path(sys.argv[1])
metrics = (root / "terraform/modules/observability/main.tf").read_text(encoding="utf-8")
# message -> fields; `function` is a label of every measure.
wanted: dict[str, set[str]] = {}
for message, field in re.findall(r'message = "([^"]+)"(?:, field = "(\w+)")?', metrics):
    wanted.setdefault(message, set()).update({field, "function"} if field else set())
if not wanted:
    sys.exit("observability/main.tf names no line: this script no longer reads it")

sources = [
    path.read_text(encoding="utf-8")
    for folder in ("shared", "functions")
    for path in sorted((root / folder).rglob("src/**/*.rs"))
]
faults = []
for message, fields in wanted.items():
    # The macro calls that log the message, whole: tracing::info!(field, field = value, "message").
    calls = [
        call
        for source in sources
        for call in re.findall(r"(?:info|warn|error)!\s*\(([^;]*?)\)\s*[;,}]", source)
        if f'"{message}"' in call
    ]
    if not calls:
        faults.append(f'no service logs "{message}"')
    for call in calls:
        # A field may stand on the span around the line, but then it is declared in the same crate by a span macro.
        for field in sorted(fields):
            on_a_span = any(re.search(rf"_span!\s*\([^;]*\b{field}\b", source) for source in sources)
            if not re.search(rf"\b{field}\b", call) and not on_a_span:
                faults.append(f'"{message}" is logged without `{field}`')
for fault in faults:
    print(fault)
sys.exit(1 if faults else 0)
