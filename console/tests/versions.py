"""Versions of a request that the command makes, for the parts of browser.py."""

import contextlib


@contextlib.contextmanager
def version(data, request, *edits):
    """Another version of a request, by the command, while it is looked at."""
    known = {row["request_id"] for row in data.ask("SELECT request_id FROM requests")}
    data.run("retrack", request, "--no-video", *[part for edit in edits for part in ("--edit", edit)])
    [made] = [row["request_id"] for row in data.ask("SELECT request_id FROM requests") if row["request_id"] not in known]
    try:
        yield made
    finally:
        data.run("delete", made)
