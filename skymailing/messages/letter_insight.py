"""Show an author, before sending, how a letter looks, how large it is and which values are missing."""

import re
from collections.abc import Iterable
from dataclasses import dataclass
from itertools import islice
from uuid import uuid4

from skymailing.clock import utcnow
from skymailing.delivery.composition.readability import CLIP_LIMIT
from skymailing.delivery.rendering.content import check_length, find_placeholders, prepare
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
from skymailing.delivery.rendering.message_ids import RunIdentity
from skymailing.delivery.rendering.values import ValueFormats
from skymailing.messages.unknown_placeholders import (
    STANDARD_ATTRIBUTES,
    Path,
    UnknownPlaceholder,
    find_unknown,
    is_known,
)

# At most this many tags are examined, so that a huge body does not take too long.
MAX_EXAMINED = 300
# The delimiters of a statement.
STATEMENT = re.compile(r"^\{%-?\s*|\s*-?%\}$")


@dataclass(frozen=True, slots=True)
class Insight:
    """A letter as one client gets it, and facts about it for its author."""

    rendered: Rendered
    size: int  # bytes of the whole letter
    is_clipped: bool
    # Placeholders that print nothing for this client.
    empty: list[Path]
    # Placeholders that have no value for any client, and merge tags of other services.
    unknown: list[UnknownPlaceholder]


def inspect_letter(
    content: Content,
    recipient: Recipient,
    sender: Sender,
    url: str,
    attributes: Iterable[str],
    formats: ValueFormats,
) -> Insight:
    """Inspect the letter for `recipient`; `attributes` are those of all clients. Raises TemplateError."""
    check_length(content.body, content.format)
    template = LetterTemplate(content, sender, RunIdentity(uuid4()), "preview.localhost", formats)
    rendered = template.parts.render(
        make_values(recipient, template.sender_name, url, template.parts.readers)
    )
    size = len(template.render(0, recipient, url, utcnow()))
    paths = find_placeholders(content)
    all_attributes = {*STANDARD_ATTRIBUTES, *attributes, *recipient.attributes}
    unknown = find_unknown(content, all_attributes)
    unguarded = find_unguarded(content)
    empty = [
        path for path in find_empty(paths, recipient) if path in unguarded and is_known(path, all_attributes)
    ]
    return Insight(rendered, size, len(rendered.html.encode()) > CLIP_LIMIT, empty, unknown)


def find_unguarded(content: Content) -> set[Path]:
    """Return the values that are printed without a fallback for clients who lack them.

    A fallback is a `default`, or a condition on the value around the placeholder.
    """
    unguarded: set[Path] = set()
    for source in content.texts:
        guards: list[set[Path]] = []  # of the open conditions, innermost last
        for tag in islice(find_tags(prepare(source)), MAX_EXAMINED):
            keyword, _, arguments = STATEMENT.sub("", tag.text).partition(" ")
            if tag.is_output and "default" not in tag.text:
                unguarded |= find_variables(tag.text) - set().union(*guards)
            elif keyword in ("if", "unless"):
                guards.append(find_variables(f"{{% if {arguments} %}}{{% endif %}}"))
            elif keyword == "elsif" and guards:
                guards[-1] |= find_variables(f"{{% if {arguments} %}}{{% endif %}}")
            elif keyword in ("endif", "endunless") and guards:
                guards.pop()
    return unguarded


def find_variables(source: str) -> set[Path]:
    try:
        return set(parse(source, escape=False).variables)
    except TemplateError:  # the caller reports the error with its line when it renders the source
        return set()
