"""Assertions that no planted fault has made to fail: unbitten.py TESTS LOG, with what `terraform test` said of all faults."""

import pathlib
import re
import sys

tests, log = pathlib.Path(sys.argv[1]), pathlib.Path(sys.argv[2]).read_text(encoding="utf-8")
squeezed = re.sub(r"\s+", " ", log)
unbitten = total = 0
for path in sorted(tests.glob("*.tftest.hcl")):
    run = ""
    for line in path.read_text(encoding="utf-8").splitlines():
        if found := re.match(r'run "(\w+)"', line):
            run = found[1]
        elif found := re.match(r'\s+error_message = "(.*)"$', line):
            total += 1
            if found[1].replace('\\"', '"') not in squeezed:
                unbitten += 1
                print(f"no planted fault makes this fail: {path.name}, {run}: {found[1]}")
print(f"{total - unbitten} of {total} assertions made to fail by a planted fault")
sys.exit(1 if unbitten else 0)
