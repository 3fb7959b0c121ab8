"""Plants one fault: plant.py FILE FROM TO replaces the one place where FROM stands, or says why it can't."""

import sys

path, old, new = sys.argv[1], sys.argv[2], sys.argv[3]
old, new = (text.replace("\\n", "\n") for text in (old, new))
text = open(path, encoding="utf-8").read()
if old not in text:
    sys.exit(f"{path} does not hold: {old}")
open(path, "w", encoding="utf-8").write(text.replace(old, new, 1))
