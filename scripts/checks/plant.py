"""Plants one fault: plant.py FILE FROM TO replaces the one place where FROM stands, or says why it can't.

`plant.py --check ROOT FAULTS` only looks whether every fault of the list can be planted.
"""

import pathlib
import sys


def unescaped(text: str) -> str:
    return text.replace("\\n", "\n")


def planted(path: pathlib.Path, old: str, new: str) -> str:
    """The file's text with the fault, or a SystemExit that says why there is none."""
    text = path.read_text(encoding="utf-8")
    if unescaped(old) not in text:
        sys.exit(f"{path} does not hold: {old}")
    return text.replace(unescaped(old), unescaped(new), 1)


if sys.argv[1] == "--check":
    root, faults = pathlib.Path(sys.argv[2]), pathlib.Path(sys.argv[3])
    for line in faults.read_text(encoding="utf-8").splitlines():
        if line and not line.startswith("#"):
            _, _, file, old, new = line.split("\t")
            planted(root / file, old, new)
else:
    path = pathlib.Path(sys.argv[1])
    path.write_text(planted(path, sys.argv[2], sys.argv[3]), encoding="utf-8")
