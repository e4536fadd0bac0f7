"""What can be told of a letter before it is sent: what it looks like, how large it is, what is missing."""

import re
from collections.abc import Iterable
from dataclasses import dataclass
from difflib import get_close_matches
from itertools import islice
from uuid import uuid4

from skymailing.clock import utcnow
from skymailing.delivery.rendering.content import find_placeholders
from skymailing.delivery.rendering.letter import (
    Content,
    LetterTemplate,
    Recipient,
    Rendered,
    Sender,
    find_empty,
    make_values,
)
from skymailing.delivery.rendering.liquid import parse
from skymailing.delivery.rendering.liquid_tags import TemplateError, find_tags

OWN = ("name", "full_name", "email")
NAMES = ("name", "email", "client", "unsubscribe_url", "sender_name", "now", "today")
# Placeholders that are looked at one by one; nobody reads about more.
EXAMINED = 300
# Gmail shows no more of a letter's HTML than this, in bytes.
CLIPPED = 102 * 1024
# What stands around the words of a statement.
STATEMENT = re.compile(r"^\{%-?\s*|\s*-?%\}$")

Path = tuple[str, ...]


@dataclass(frozen=True, slots=True)
class Insight:
    """A letter as one client gets it, and what its author should know of it."""

    rendered: Rendered
    size: int  # bytes of the whole letter
    is_clipped: bool
    # Values that are printed and that this client does not have.
    empty: list[Path]
    # Placeholders that nobody has a value for, each with the one that may be meant.
    unknown: list[tuple[Path, Path | None]]


def look_into(
    content: Content, recipient: Recipient, sender: Sender, url: str, attributes: Iterable[str]
) -> Insight:
    """Return what `recipient` would get; `attributes` are those that clients have. Raises TemplateError."""
    template = LetterTemplate(content, sender, uuid4(), "preview.localhost")
    rendered = template.parts.render(make_values(recipient, template.sender_name, url))
    size = len(template.render(0, recipient, url, utcnow()))
    paths = find_placeholders(content)
    known = {*OWN, *attributes, *recipient.attributes}
    unknown = [(path, guess(path, known)) for path in paths if not is_known(path, known)]
    without = find_unguarded(content)
    empty = [
        path
        for path in find_empty(paths, recipient)
        if path in without and path not in {path for path, _ in unknown}
    ]
    return Insight(rendered, size, len(rendered.html.encode()) > CLIPPED, empty, unknown)


def is_known(path: Path, attributes: set[str]) -> bool:
    if path[0] != "client" or len(path) == 1:
        return path[0] in NAMES
    return path[1] in attributes


def guess(path: Path, attributes: set[str]) -> Path | None:
    """Return the placeholder that was probably meant."""
    candidates: dict[str, Path] = {name.lower(): ("client", name) for name in sorted(attributes)}
    candidates |= {name: (name,) for name in NAMES if path[0] != "client" and name != "client"}
    close = get_close_matches(path[-1].lower(), candidates, n=1, cutoff=0.6)
    return candidates[close[0]] if close else None


def find_unguarded(content: Content) -> set[Path]:
    """Return the values that are printed somewhere without a thought for those who lack them.

    Such a thought is another word by `default`, or a condition around it that asks for the value.
    """
    found: set[Path] = set()
    for source in (content.subject, content.body):
        asked: list[set[Path]] = []  # by the conditions that are open, the innermost last
        for tag in islice(find_tags(source), EXAMINED):
            word, _, rest = STATEMENT.sub("", tag.text).partition(" ")
            if tag.is_output and "default" not in tag.text:
                found |= variables_of(tag.text) - set().union(*asked)
            elif word in ("if", "unless"):
                asked.append(variables_of(f"{{% if {rest} %}}{{% endif %}}"))
            elif word == "elsif" and asked:
                asked[-1] |= variables_of(f"{{% if {rest} %}}{{% endif %}}")
            elif word in ("endif", "endunless") and asked:
                asked.pop()
    return found


def variables_of(source: str) -> set[Path]:
    try:
        return set(parse(source, escape=False).variables)
    except TemplateError:  # told with its line by whoever renders it
        return set()
