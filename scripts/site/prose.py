"""Refuses prose that a reader stumbles over: prose.py CHECKOUT.

Checked are README, ARCHITECTURE, CONTRIBUTING and docs. Code, generated parts and quoted words are left alone:

- words of the list in CONTRIBUTING.md ("Instead of X write Y");
- lines of more than 120 columns, but for tables and links that can't be broken;
- files that are named in backticks and do not exist.
"""

import pathlib
import re
import sys

COLUMNS = 120
# What is refused, and what the list in CONTRIBUTING.md says to write. A test below holds both to each other.
WORDS = {
    "told, tells": r"\b(?:told|tells?|telling) (?!apart)",
    "stands": r"\b(?:stands?|stood)\b(?! for\b)(?!-)",
    "goes on": r"\b(?:go|goes|went|going) on\b",
    "kept": r"\bkept\b",
    "anew": r"\banew\b",
    "lies": r"\b(?:lies?|lay)\b",
    "beside": r"\bbeside\b",
    "whoever": r"\bwhoever\b|\bwhat(?:ever)? comes of\b",
    "be had": r"\bbe had\b",
    "for good": r"\bfor good\b",
    "at work, in work": r"\b(?:at|in) work\b(?!`)",
    "given up, gave up": r"\b(?:given|gave|gives?) up\b",
    "hands back": r"\bhand(?:s|ed|ing)? (?:back|it back)\b",
    "set going": r"\bset(?:s|ting)? (?:it |them |a request )?going\b",
    "healed": r"\bheal(?:s|ed|ing)?\b",
}
# Files that a build, a run or the reader makes.
NOT_HERE = re.compile(r"^(?:target|trackdrop-data|work|results|uploads)/|[*<>{}$]|\bNAME\b|NNN")
PATH = re.compile(r"^(?:[\w.-]+/)+[\w.-]+\.(?:rs|md|py|tf|yaml|yml|json|toml|hcl|sh|txt|sql)$|^(?:functions|shared|scripts|terraform|benches|triggers)/[\w./-]+$")


def pages(root: pathlib.Path) -> list[pathlib.Path]:
    return [root / name for name in ("README.md", "ARCHITECTURE.md", "CONTRIBUTING.md")] + sorted(root.glob("docs/**/*.md"))


def prose(text: str):
    """Lines with their numbers, and whether each is prose: no code block and no generated part."""
    fenced = generated = in_list = False
    for number, line in enumerate(text.splitlines(), 1):
        if line.startswith("<!-- generated") or line.startswith("<!-- rights:") or line == "<!-- table -->":
            generated = not line.endswith("end -->")
        if line.lstrip().startswith("```"):
            fenced = not fenced
            continue
        in_list = bool(re.match(r"^\s*(?:[-*]|\d+\.) ", line)) or (in_list and (line.startswith("  ") or not line))
        code = line.startswith("    ") and not in_list
        if not (fenced or generated or code):
            yield number, line


def check(root: pathlib.Path) -> list[str]:
    faults = []
    for page in pages(root):
        name = page.relative_to(root)
        for number, line in prose(page.read_text(encoding="utf-8")):
            at = f"{name}:{number}"
            if len(line) > COLUMNS and not line.startswith("|") and not re.fullmatch(r"\S*\s?\S{100,}", line.strip()):
                faults.append(f"{at}: {len(line)} columns; break the line at {COLUMNS}")
            for path in re.findall(r"`([^`\s]+)`", line):
                path = path.split("#")[0].rstrip("/")
                if PATH.match(path) and not NOT_HERE.search(path) and not any((base / path).exists() for base in (root, page.parent, root / "docs")):
                    faults.append(f"{at}: there is no file {path}")
            # Quoted words and code are data; the list itself quotes what it refuses.
            words = re.sub(r'`[^`]*`|"[^"]*"|\]\([^)]*\)|<!--.*?-->', " ", line)
            for word, pattern in WORDS.items():
                for match in re.finditer(pattern, words, re.IGNORECASE):
                    faults.append(f'{at}: "{match[0].strip()}": see "Words" in CONTRIBUTING.md for what to write')
    listed = re.findall(r"^\| ((?:\"[^|\"]+\"(?:, )?)+) \|", (root / "CONTRIBUTING.md").read_text(encoding="utf-8"), re.MULTILINE)
    listed = {cell.replace('"', "") for cell in listed}
    if listed != set(WORDS):
        faults.append(f"CONTRIBUTING.md lists other words than this check: {sorted(listed ^ set(WORDS))}")
    return faults


if __name__ == "__main__":
    found = check(pathlib.Path(sys.argv[1]))
    print("\n".join(found) or "prose: ok")
    sys.exit(1 if found else 0)
