"""Links between the repository's own pages lead to a file, and to a heading where they name one: links.py CHECKOUT."""

import pathlib
import re
import sys

root = pathlib.Path(sys.argv[1])


def anchors(page: pathlib.Path) -> set[str]:
    """Headings as GitHub names them."""
    headings = re.findall(r"^#+ (.+)$", page.read_text(encoding="utf-8"), re.MULTILINE)
    return {re.sub(r"[^\w\- ]", "", heading.lower()).replace(" ", "-") for heading in headings}


faults, count = [], 0
for page in sorted([*root.glob("*.md"), *root.glob("docs/**/*.md")]):
    for target in re.findall(r"\]\(([^)\s]+)\)", page.read_text(encoding="utf-8")):
        if re.match(r"[a-z]+:", target):
            continue
        count += 1
        path, _, anchor = target.partition("#")
        file = (page.parent / path).resolve() if path else page.resolve()
        if not file.exists():
            faults.append(f"{page.relative_to(root)}: there is no {target}")
        elif anchor and anchor not in anchors(file):
            faults.append(f"{page.relative_to(root)}: {path or page.name} has no heading #{anchor}")
# What scripts, Terraform and workflows tell people to read.
for folder in ("scripts", "terraform", ".github"):
    for file in sorted(path for path in (root / folder).rglob("*") if path.is_file()):
        if ".terraform" in file.parts or {"tests", "checks"} & set(file.parts):
            continue
        for page, anchor in re.findall(r"\b(docs/[\w-]+\.md)(?:#([\w-]+))?", file.read_text(encoding="utf-8", errors="ignore")):
            count += 1
            if not (root / page).exists():
                faults.append(f"{file.relative_to(root)}: there is no {page}")
            elif anchor and anchor not in anchors(root / page):
                faults.append(f"{file.relative_to(root)}: {page} has no heading #{anchor}")
print("\n".join(faults))
print(f"{count} links, {len(faults)} lead nowhere")
sys.exit(1 if faults or not count else 0)
