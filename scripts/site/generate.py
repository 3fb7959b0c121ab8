"""Pages of docs/reference that come from the code: generate.py CHECKOUT COMMAND [--write].

Without --write a page that is not current is an error, so that none goes stale.
"""

import json
import os
import pathlib
import re
import subprocess
import sys

HEAD = "<!-- generated: scripts/docs --write writes this page -->\n\n"


def cell(text: str) -> str:
    return " ".join(text.split()).replace("|", "\\|")


def cli(command: str) -> str:
    """Every --help, as the command prints it where there is no terminal."""
    environment = {key: value for key, value in os.environ.items() if key not in ("COLUMNS", "TRACKDROP_DATA")}

    def help_of(*path: str) -> str:
        done = subprocess.run([command, *path, "--help"], stdin=subprocess.DEVNULL, capture_output=True, text=True, env=environment)
        if done.returncode:
            sys.exit(f"docs: {command} {' '.join(path)} --help: {done.stderr}")
        return done.stdout.rstrip()

    def section(path: tuple[str, ...]):
        text = help_of(*path)
        yield f"{'#' * (2 + max(len(path) - 1, 0))} trackdrop{''.join(' ' + part for part in path)}\n\n```text\n{text}\n```\n"
        listed = re.search(r"^Commands:\n((?:  .*\n)+)", text, re.MULTILINE)
        for name in re.findall(r"^  ([a-z][a-z-]*)(?:  |$)", listed[1] if listed else "", re.MULTILINE):
            if name != "help":
                yield from section((*path, name))

    parts = "\n".join(section(()))
    return (
        f"# Command line\n\n{HEAD}This is what `trackdrop --help` and the `--help` of each command print. [Bounds](../limits.md) and models of\n"
        f"`trackdrop run` are set by `TRACKDROP_LIMITS` and [`TRACKDROP_MODEL`](settings.md) as well.\n\n{parts}"
    )


def tables(command: str, root: pathlib.Path) -> str:
    schema = json.loads(subprocess.run([command, "schema", "bigquery"], stdin=subprocess.DEVNULL, capture_output=True, text=True, check=True).stdout)
    known = {"tracks": "One row per object per frame.", "requests": "One row per finished request."}
    text = f"# Tables and views\n\n{HEAD}"
    text += (
        "The columns are defined once, in `shared/tables/src/schema.rs`. Parquet, DuckDB and BigQuery follow from it.\n"
        "The types below are BigQuery's. Add a column there, then run the checks that [CONTRIBUTING](../index.md) names.\n"
    )
    for name, columns in schema["tables"].items():
        text += f"\n## {name}\n\n{known.get(name, '')}\n\n| column | type | null | holds |\n|---|---|---|---|\n"
        for column in columns:
            null = "yes" if column["mode"] == "NULLABLE" else ""
            text += f"| `{column['name']}` | {column['type']} | {null} | {cell(column['description'])} |\n"
    for name, sql in schema["views"].items():
        text += f"\n## {name}\n\nA view.\n\n```sql\n{sql.strip()}\n```\n"
    return text


def manifest(root: pathlib.Path) -> str:
    schema = json.loads((root / "shared/pipeline/manifest.schema.json").read_text())
    definitions = schema.get("$defs", {})

    def type_of(field: dict) -> str:
        if "$ref" in field:
            name = field["$ref"].rsplit("/", 1)[1]
            return f"[{name}](#{name.lower()})" if "properties" in definitions[name] else type_of(definitions[name]) or name
        for key in ("anyOf", "oneOf", "allOf"):
            if key in field:
                return " or ".join(dict.fromkeys(filter(None, (type_of(one) for one in field[key]))))
        if "enum" in field or "const" in field:
            return ", ".join(f"`{value}`" for value in field.get("enum", [field.get("const")]))
        if field.get("type") == "array":
            return f"list of {type_of(field.get('items', {}))}"
        kinds = field.get("type", "any")
        return " or ".join(kinds) if isinstance(kinds, list) else kinds

    def section(name: str, object_: dict, level: str) -> str:
        text = f"\n{level} {name}\n\n{cell(object_.get('description', ''))}\n\n| field | type | always | holds |\n|---|---|---|---|\n"
        for field, what in object_.get("properties", {}).items():
            always = "yes" if field in object_.get("required", []) else ""
            text += f"| `{field}` | {type_of(what)} | {always} | {cell(what.get('description', ''))} |\n"
        return text

    text = f"# Manifest\n\n{HEAD}"
    text += (
        "`results/REQUEST/manifest.json` describes one request: its source, its plan, its segments and its end.\n"
        "This page comes from `shared/pipeline/manifest.schema.json`, the JSON Schema of the manifest.\n"
    )
    text += section("manifest.json", schema, "##")
    for name, object_ in definitions.items():
        if "properties" in object_:
            text += section(name, object_, "##")
    return text


def main() -> None:
    root, command = pathlib.Path(sys.argv[1]), sys.argv[2]
    made = {"cli.md": cli(command), "tables.md": tables(command, root), "manifest.md": manifest(root)}
    stale = []
    for name, text in made.items():
        page = root / "docs/reference" / name
        if page.exists() and page.read_text(encoding="utf-8") == text:
            continue
        if "--write" in sys.argv:
            page.write_text(text, encoding="utf-8")
            print(f"docs: wrote docs/reference/{name}")
        else:
            stale.append(name)
    if stale:
        sys.exit(f"docs: not current: {', '.join('docs/reference/' + name for name in stale)}; run scripts/docs --write")


main()
