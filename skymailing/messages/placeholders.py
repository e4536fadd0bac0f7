"""Placeholders as people write them."""

import re
from dataclasses import dataclass

from flask_babel import gettext as _

# What Liquid takes after a dot; other names stand in brackets.
# Keys of samples that no attribute can have.
OWN_NAME, OWN_EMAIL = "\0name", "\0email"
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


@dataclass(frozen=True, slots=True)
class Value:
    """Something of a client's that can be put into a letter: its name, its placeholder, an example."""

    label: str
    text: str
    sample: str
    # Whether another word can stand in for those who lack it.
    may_lack: bool = True


def list_values(attributes: list[str], samples: dict[str, str]) -> list[Value]:
    """Return what the editor offers to insert; `samples` as `queries.find_samples` returns them."""
    return [
        Value(_("Full name"), "{{ name }}", samples.get(OWN_NAME, "")),
        Value(_("E-mail address"), "{{ email }}", samples.get(OWN_EMAIL, ""), may_lack=False),
        *(Value(name, write_path(("client", name)), samples.get(name, "")) for name in attributes),
        Value(_("My sender name"), "{{ sender_name }}", "", may_lack=False),
        Value(_("Link to unsubscribe"), "{{ unsubscribe_url }}", "", may_lack=False),
    ]


def list_placeholders(attributes: list[str]) -> list[tuple[str, str]]:
    """Return the placeholders that there are, each with what it prints."""
    return [
        ("{{ name }}", _("the client's full name")),
        ("{{ email }}", _("the client's address")),
        ("{{ sender_name }}", _("your sender name")),
        ("{{ unsubscribe_url }}", _("the link to unsubscribe; added at the end when you leave it out")),
        *((write_path(("client", name)), _("from your clients' own values")) for name in attributes),
    ]
