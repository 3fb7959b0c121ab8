"""Reads a Dockerfile into its instructions. What it does not know it refuses, so that no step is skipped in silence."""

import json
import re
import shlex
from typing import NamedTuple


class Instruction(NamedTuple):
    name: str
    text: str
    line: int


KNOWN = {"ARG", "FROM", "RUN", "COPY", "ENV", "USER", "WORKDIR", "EXPOSE", "ENTRYPOINT"}


def read(path):
    """The instructions of the file, with continued lines joined and comments left out."""
    instructions, pending, first = [], "", 0
    with open(path, encoding="utf-8") as file:
        lines = file.read().splitlines()
    for number, line in enumerate(lines, 1):
        if line.lstrip().startswith("#") or (not line.strip() and not pending):
            continue
        first = first if pending else number
        pending += line.rstrip()
        if pending.endswith("\\"):
            pending = pending[:-1] + " "
            continue
        name, _, text = pending.strip().partition(" ")
        if name.upper() not in KNOWN:
            raise ValueError(f"{path}:{first}: the instruction {name} is not known to this check")
        instructions.append(Instruction(name.upper(), text.strip(), first))
        pending = ""
    if pending:
        raise ValueError(f"{path}:{first}: the last line is continued")
    return instructions


def expand(text, variables):
    """`$NAME` and `${NAME}`, as Dockerfiles have them outside RUN; an unknown one is an error, not nothing."""

    def value(match):
        name = match[1] or match[2]
        if name not in variables:
            raise ValueError(f"{match[0]} is not set")
        return variables[name]

    return re.sub(r"\$(?:\{(\w+)\}|(\w+))", value, text)


def pairs(text):
    """`A=1 B="x y"` as pairs."""
    for word in shlex.split(text):
        name, equals, value = word.partition("=")
        if not equals:
            raise ValueError(f"{word!r} is not NAME=VALUE")
        yield name, value


def argument(text):
    """Name and default of an ARG; the default is None where there is none."""
    words = shlex.split(text)
    if len(words) != 1:
        raise ValueError(f"ARG {text}: one name is expected")
    name, equals, value = words[0].partition("=")
    return name, value if equals else None


def copy(text):
    """The stage (or None), the sources and the target of a COPY."""
    words, stage = shlex.split(text), None
    while words and words[0].startswith("--"):
        option, _, value = words.pop(0).partition("=")
        if option != "--from":
            raise ValueError(f"COPY {option} is not known to this check")
        stage = value
    return stage, words[:-1], words[-1]


def words_of(text):
    """The words of an ENTRYPOINT, which must have the form that starts no shell: a shell would not pass SIGTERM on."""
    words = json.loads(text)
    if not isinstance(words, list) or not all(isinstance(word, str) for word in words):
        raise ValueError(f"ENTRYPOINT {text} is not a list of words")
    return words
