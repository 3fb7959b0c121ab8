"""Pages, the comments of Rust and YAML, and the messages of Rust use the words of CONTRIBUTING.md; pages have lines of at most
120 columns, and Markdown that MkDocs reads as code hosts do: words.py CHECKOUT.

Tables, code and what a program writes between markers may be longer; code may hold any word.
"""

import pathlib
import re
import subprocess
import sys

root = pathlib.Path(sys.argv[1])
LONGEST = 120
# What programs write: scripts/torture-set --docs, and the test of rights.
GENERATED = re.compile(r"<!-- (?:table|rights).*?-->.*?(?:<!-- (?:table|rights)[^>]*end[^>]*-->|\Z)", re.DOTALL)
# The parts of Rust that may hold slashes: comments, strings, characters. A lifetime is here so that its quote opens nothing.
RUST = re.compile(
    r"""(?P<comment>//[/!]?(?P<line>[^\n]*)|/\*(?P<block>.*?)\*/)"""
    r"""|[bc]?r(?P<hashes>\#*)"(?P<raw>.*?)"(?P=hashes)|[bc]?"(?P<string>(?:\\.|[^"\\])*)"|b?'(?:\\[^\n]*?|[^'\\\n])'|'\w+""",
    re.DOTALL,
)
# Rust whose strings no user reads: tests, and what only developers run.
FOR_TESTS = re.compile(r"(?:^|/)(?:tests|fixtures)(?:/|\.rs$)|^(?:benches|fuzz|testing)/")
TEST_MODULE = re.compile(r"^#\[cfg\(test\)\]\s+mod \w+ \{", re.MULTILINE)
PRINTED = re.compile(r"\be?print(?:ln)?!\(\s*\Z")


def blanked(match: re.Match) -> str:
    return "\n" * match.group().count("\n")


def words() -> dict[str, str]:
    """What not to write, and what to write instead, out of CONTRIBUTING.md."""
    table = (root / "CONTRIBUTING.md").read_text(encoding="utf-8").split("| instead of | write |")[1]
    found = {}
    for left, right in re.findall(r"^\| ([^|]+) \| ([^|]+) \|$", table, re.MULTILINE):
        for word in re.sub(r"\([^)]*\)", "", left).split(","):
            found[word.strip()] = right.strip()
    return found


def sources(*endings: str) -> list[str]:
    """The files of the checkout with these endings; in a copy without its history, all of them outside the folders of tools."""
    patterns = [f"*.{ending}" for ending in endings]
    if (root / ".git").exists():
        tracked = subprocess.run(["git", "ls-files", "-z", *patterns], cwd=root, check=True, capture_output=True, text=True)
        found = [name for name in tracked.stdout.split("\0") if name and (root / name).exists()]
    else:
        found = [path.relative_to(root) for pattern in patterns for path in root.rglob(pattern)]
        found = [str(path) for path in found if path.parts[0] != "target" and not any(part[0] == "." for part in path.parts)]
    return sorted(found)


def comments(rust: str) -> str:
    """Each line's comment, on the same line: so a phrase that two lines share is found too."""
    lines = [""] * (rust.count("\n") + 1)
    at, number = 0, 0
    for part in RUST.finditer(rust):
        if part["comment"]:
            number += rust.count("\n", at, part.start())
            at = part.start()
            for offset, line in enumerate((part["line"] or part["block"] or "").split("\n")):
                lines[number + offset] += line
    return "\n".join(lines)


def messages(rust: str) -> str:
    """The strings of more than one word that are not printed directly, each on its lines: errors and lines of the log are among them."""
    tests = TEST_MODULE.search(rust)
    lines = [""] * (rust.count("\n") + 1)
    at, number = 0, 0
    for part in RUST.finditer(rust, 0, tests.start() if tests else len(rust)):
        # A placeholder holds a name of the code.
        text = re.sub(r"\{[^{}\n]*\}", "{}", part["string"] or part["raw"] or "")
        if " " not in text or PRINTED.search(rust, max(0, part.start() - 40), part.start()):
            continue
        number += rust.count("\n", at, part.start())
        at = part.start()
        for offset, line in enumerate(text.split("\n")):
            # A backslash at the end of a line joins it with the next one.
            lines[number + offset] += f" {line.removesuffix(chr(92))}"
    return "\n".join(lines)


def check_words(name: str, prose: str) -> None:
    """Code in backticks may hold any word; it may span two lines."""
    prose = re.sub(r"`[^`\n]*(?:\n[^`\n]+)?`", lambda match: blanked(match) or "`", prose)
    for word, better in instead.items():
        # A stand-in is another word than stand.
        pattern = r"\b" + r"\s+".join(map(re.escape, word.split())) + r"\b(?!-\w)"
        for match in re.finditer(pattern, prose, re.IGNORECASE):
            faults.append(f"{name}:{prose.count(chr(10), 0, match.start()) + 1}: instead of \"{word}\": {better}")


faults, count = [], 0
instead = words()
assert len(instead) > 15, "CONTRIBUTING.md has lost its table of words"
for page in sorted([*root.glob("*.md"), *root.glob("docs/**/*.md")]):
    name = str(page.relative_to(root))
    count += 1
    text = page.read_text(encoding="utf-8")
    if name == "CONTRIBUTING.md":
        text = text.split("| instead of | write |")[0]
    text = GENERATED.sub(blanked, text)
    text = re.sub(r"^```.*?^```$", blanked, text, flags=re.DOTALL | re.MULTILINE)
    before, in_list = "", False
    for number, line in enumerate(text.split("\n"), 1):
        is_code, is_table = line.startswith("    "), line.startswith("|")
        if len(line) > LONGEST and not is_code and not is_table:
            faults.append(f"{name}:{number}: {len(line)} columns; at most {LONGEST}")
        # MkDocs takes code behind a list for a part of its last item.
        if is_code and in_list and not before:
            faults.append(f"{name}:{number}: code after a list needs a line `<!-- -->` before it")
        in_list = bool(re.match(r"([-*]|\d+\.) ", line)) or (in_list and (not line or line.startswith(" ")))
        is_item = re.match(r"([-*]|\d+\.) ", line)
        if is_item and before and not re.match(r"([-*]|\d+\.) |  ", before) and not before.startswith("<!--"):
            faults.append(f"{name}:{number}: a list needs an empty line before it")
        if is_table and before and not before.startswith("|"):
            faults.append(f"{name}:{number}: a table needs an empty line before it")
        before = line
    prose = re.sub(r"^    .*$", "", text, flags=re.MULTILINE)
    check_words(name, re.sub(r"\]\([^)]*\)", "]", prose))
for name in sources("yaml", "yml"):
    text = (root / name).read_text(encoding="utf-8")
    check_words(name, "\n".join(line.partition("#")[2] for line in text.split("\n")))
rust = sources("rs")
lines, said = 0, 0
for name in rust:
    text = (root / name).read_text(encoding="utf-8")
    prose = comments(text)
    lines += sum(1 for line in prose.split("\n") if line.strip())
    check_words(name, prose)
    if not FOR_TESTS.search(name):
        prose = messages(text)
        said += sum(1 for line in prose.split("\n") if line.strip())
        check_words(name, prose)
assert lines > 5000, f"only {lines} lines of comments were found in {len(rust)} files of Rust"
assert said > 1000, f"only {said} lines of messages were found in {len(rust)} files of Rust"
print("\n".join(faults)) if faults else None
print(f"{count} pages, {lines} lines of comments, {said} of messages, {len(faults)} faults of words and lines")
sys.exit(1 if faults or not count else 0)
