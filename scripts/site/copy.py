"""Copies the pages of a checkout, and what they link to, for MkDocs: copy.py CHECKOUT DESTINATION [TRACKDROP].

The copy has the checkout's folders, so that links between pages are the same here and on a code host. In docs/reference.md the places
`<!-- generated: NAME -->` are filled from the command's own help and schema, and from the manifest's JSON Schema.
"""

import json
import os
import pathlib
import re
import shutil
import subprocess
import sys

root, destination = pathlib.Path(sys.argv[1]).resolve(), pathlib.Path(sys.argv[2])
command = sys.argv[3] if len(sys.argv) > 3 else None
pages = destination / "pages"


def pages_of_nav() -> list[str]:
    return re.findall(r"([\w./-]+\.md)\s*$", (root / "mkdocs.yml").read_text(encoding="utf-8"), re.MULTILINE)


def copy(relative: pathlib.Path) -> None:
    (pages / relative).parent.mkdir(parents=True, exist_ok=True)
    shutil.copyfile(root / relative, pages / relative)


def outputs(*arguments: str) -> str:
    """As the command prints it where there is no terminal, and nobody's settings."""
    environment = {name: value for name, value in os.environ.items() if name not in ("COLUMNS", "TRACKDROP_DATA")}
    done = subprocess.run([command, *arguments], check=True, stdin=subprocess.DEVNULL, capture_output=True, text=True, env=environment)
    return done.stdout


def fenced(text: str) -> str:
    return f"```text\n{text.rstrip()}\n```\n"


def cell(text: str) -> str:
    return " ".join(text.split()).replace("|", "\\|")


def commands(path: tuple[str, ...] = ()) -> str:
    help_text = outputs(*path, "--help")
    heading = f"### trackdrop {' '.join(path)}\n\n" if path else ""
    parts = [heading + fenced(help_text)]
    listed = re.search(r"^Commands:\n((?:  .*\n)+)", help_text, re.MULTILINE)
    for name in re.findall(r"^  ([a-z][a-z-]*)(?:  |$)", listed[1] if listed else "", re.MULTILINE):
        if name != "help":
            parts.append(commands((*path, name)))
    return "\n".join(parts)


def tables() -> str:
    schema, parts = json.loads(outputs("schema", "bigquery")), []
    for name, columns in schema["tables"].items():
        rows = "".join(f"| `{c['name']}` | {c['type']} | {c['mode']} | {cell(c.get('description', ''))} |\n" for c in columns)
        parts.append(f"### {name}\n\n| column | type | mode | meaning |\n|---|---|---|---|\n{rows}")
    for name, sql in schema["views"].items():
        parts.append(f"### {name}\n\nA view:\n\n```sql\n{sql.strip()}\n```\n")
    return "\n".join(parts)


def kind(field: dict) -> str:
    if "$ref" in field:
        return f"`{field['$ref'].rsplit('/', 1)[1]}`"
    if "anyOf" in field:
        return " or ".join(kind(choice) for choice in field["anyOf"])
    kinds = field.get("type", "any")
    text = " or ".join(kinds) if isinstance(kinds, list) else kinds
    return f"{text} of {kind(field['items'])}" if "items" in field and isinstance(field["items"], dict) else text


def manifest() -> str:
    schema, parts = json.loads((root / "shared/pipeline/manifest.schema.json").read_text(encoding="utf-8")), []
    for name, definition in {"Manifest": schema, **schema.get("$defs", {})}.items():
        if "properties" not in definition:
            continue
        rows = "".join(
            f"| `{field}` | {kind(what)} | {cell(what.get('description', ''))} |\n" for field, what in definition["properties"].items()
        )
        parts.append(
            f"### {name}\n\n{cell(definition.get('description', ''))}\n\n| field | type | meaning |\n|---|---|---|\n{rows}"
        )
    return "\n".join(parts)


def generated(match: re.Match) -> str:
    name = match.group(1)
    if name == "manifest":
        return manifest()
    return {"commands": commands, "tables": tables}[name]() if command else ""


for page in pages_of_nav():
    if not (root / page).is_file():
        sys.exit(f"site: mkdocs.yml names {page}, which is not there")
    copy(pathlib.Path(page))
    for target in re.findall(r"\]\(([^)#\s]+)[^)]*\)", (root / page).read_text(encoding="utf-8")):
        file = (root / page).parent / target
        if not re.match(r"[a-z]+:", target) and file.is_file() and file.suffix != ".md":
            copy(file.resolve().relative_to(root))
forgotten = {str(page.relative_to(root)) for page in (root / "docs").rglob("*.md")} - set(pages_of_nav())
if forgotten:
    sys.exit(f"site: mkdocs.yml does not name {', '.join(sorted(forgotten))}")
reference = pages / "docs/reference.md"
reference.write_text(re.sub(r"<!-- generated: (\w+) -->", generated, reference.read_text(encoding="utf-8")), encoding="utf-8")
shutil.copyfile(root / "mkdocs.yml", destination / "mkdocs.yml")
