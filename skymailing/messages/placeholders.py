"""Placeholders as people write them."""

import re

from flask_babel import gettext as _

# What Liquid takes after a dot; other names stand in brackets.
PLAIN_NAME = re.compile(r"[^\W\d][\w-]*")


def write_path(path: tuple[str, ...]) -> str:
    """Return the placeholder that prints the value at `path`."""
    text = path[0]
    for segment in path[1:]:
        if PLAIN_NAME.fullmatch(segment):
            text += f".{segment}"
        else:
            quote = "'" if '"' in segment else '"'
            text += f"[{quote}{segment}{quote}]"
    return f"{{{{ {text} }}}}"


def list_placeholders(attributes: list[str]) -> list[tuple[str, str]]:
    """Return the placeholders that there are, each with what it prints."""
    return [
        ("{{ name }}", _("the client's full name")),
        ("{{ email }}", _("the client's address")),
        ("{{ sender_name }}", _("your sender name")),
        ("{{ unsubscribe_url }}", _("the link to unsubscribe; added at the end when you leave it out")),
        *((write_path(("client", name)), _("from your clients' own values")) for name in attributes),
    ]
