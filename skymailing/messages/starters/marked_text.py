"""Convert marked-up text to a Delta.

The markup is **bold**, [links](https://...), "- " and "1. " at the beginning of list items, and
{{ placeholders }}.
"""

import re
from typing import Any

BULLET, NUMBER = re.compile(r"- "), re.compile(r"\d+\. ")
PARTS = re.compile(r"\*\*(?P<bold>[^*]+)\*\*|\[(?P<label>[^\]]+)\]\((?P<url>[^)]+)\)|(?P<tag>\{\{[^}]*\}\})")


def make_delta(text: str) -> dict[str, Any]:
    """Return the Delta of a text; each line is a paragraph or a list item."""
    ops: list[dict[str, Any]] = []
    lines = text.split("\n")
    for place, line in enumerate(lines):
        kind = "bullet" if BULLET.match(line) else "ordered" if NUMBER.match(line) else ""
        if kind:
            line = line.partition(" ")[2]
        ops += _read_line(line)
        if kind:
            ops.append({"insert": "\n", "attributes": {"list": kind}})
        elif place + 1 < len(lines) and not _begins_list(lines[place + 1]):
            ops.append({"insert": {"softbreak": True}})
        else:
            ops.append({"insert": "\n"})
    return {"ops": ops}


def _begins_list(line: str) -> bool:
    return bool(BULLET.match(line) or NUMBER.match(line))


def _read_line(line: str) -> list[dict[str, Any]]:
    ops: list[dict[str, Any]] = []
    end = 0
    for part in PARTS.finditer(line):
        if part.start() > end:
            ops.append({"insert": line[end : part.start()]})
        if part["bold"]:
            ops.append({"insert": part["bold"], "attributes": {"bold": True}})
        elif part["label"]:
            ops.append({"insert": part["label"], "attributes": {"link": part["url"]}})
        else:
            ops.append({"insert": {"placeholder": part["tag"]}})
        end = part.end()
    if end < len(line):
        ops.append({"insert": line[end:]})
    return ops
