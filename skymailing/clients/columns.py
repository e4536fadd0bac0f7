"""Recognize the columns of a table: known fields by many names, all others as attributes."""

import re
import unicodedata
from collections.abc import Sequence
from dataclasses import dataclass

from skymailing.errors import UserError

ATTRIBUTE_KEY_MAX_LENGTH = 50

# The names of fields, reduced to letters and digits, each list from the most to the least certain.
FIELD_NAMES = {
    "email": (
        *("email", "mail", "emailaddress", "mailaddress", "емейл", "имейл", "емайл", "мейл", "майл"),
        *("электроннаяпочта", "элпочта", "эпочта", "почта", "адресэлектроннойпочты", "адресэлпочты"),
        *("электронныйадрес", "адреспочты", "emailадрес", "адресemail", "почтовыйадрес", "адрес", "address"),
    ),
    "full_name": (
        *("fullname", "фио", "полноеимя", "имяифамилия", "фамилияиимя", "имяфамилия", "фамилияимя"),
        *("фамилияимяотчество", "name", "имя", "contactname", "customername", "clientname", "имяклиента"),
        *("клиент", "client", "customer", "contact", "контакт", "firstname"),
    ),
    "comment": (
        *("comment", "comments", "комментарий", "комментарии", "коммент", "примечание", "примечания"),
        *("note", "notes", "заметка", "заметки", "remark", "remarks"),
    ),
}
# Columns that the file of rejected rows adds. Users correct that file and import it again.
REJECTED_LINE = "rejected_line"
REJECTED_REASON = "rejected_reason"

# {{ client.name }} and the like already have a meaning in letters.
RESERVED_KEYS = {"email", "name", "full_name", "comment"}
# Words that Liquid does not accept as a name after the dot (python-liquid's keywords), or evaluates
# itself (size, first, last).
LIQUID_WORDS = set(
    "and or not contains true false nil null empty blank in if else for continue with as by reversed "
    "limit offset cols required size first last".split()
)


class NoAddressColumn(UserError):
    """No column of the table seems to contain e-mail addresses."""

    def __init__(self, headers: Sequence[str]) -> None:
        names = [header.strip()[:50] for header in headers[:20] if header.strip()]
        super().__init__("import_no_address_column", found=", ".join(f"“{name}”" for name in names) or "–")


@dataclass(frozen=True, slots=True)
class Columns:
    """The position of each field in a row; `attributes` maps positions to keys."""

    headers: list[str]
    email: int
    full_name: int | None
    comment: int | None
    attributes: dict[int, str]


def recognize_columns(headers: Sequence[str]) -> Columns:
    """Return what each column means; raises NoAddressColumn."""
    simplified = [simplify(header) for header in headers]
    positions = {field: find_column(simplified, names) for field, names in FIELD_NAMES.items()}
    email = positions["email"]
    if email is None:
        raise NoAddressColumn(headers)
    recognized = {position for position in positions.values() if position is not None}
    recognized |= {position for position, header in enumerate(headers) if is_rejection_column(header)}
    return Columns(
        headers=list(headers),
        email=email,
        full_name=positions["full_name"],
        comment=positions["comment"],
        attributes=name_attributes({i: header for i, header in enumerate(headers) if i not in recognized}),
    )


def simplify(header: str) -> str:
    return "".join(char for char in unicodedata.normalize("NFKC", header).lower() if char.isalnum())


def find_column(simplified: list[str], names: Sequence[str]) -> int | None:
    for name in names:
        if name in simplified:
            return simplified.index(name)
    return None


def is_rejection_column(header: str) -> bool:
    return header.strip() in (REJECTED_LINE, REJECTED_REASON)


def name_attributes(headers: dict[int, str]) -> dict[int, str]:
    """Return a unique attribute key for each column that has a header, by position."""
    keys: dict[int, str] = {}
    # Headers that are already keys come first, so that importing an export changes no key.
    for i in sorted(headers, key=lambda i: attribute_key(headers[i]) != headers[i]):
        key = attribute_key(headers[i])
        if key:
            keys[i] = make_unique(key, set(keys.values()))
    return dict(sorted(keys.items()))


def attribute_key(name: str) -> str:
    """Return the name as written in {{ client.<key> }}; empty if no letter or digit remains.

    Liquid accepts letters of any alphabet, digits and _, but no spaces, symbols or keywords.
    """
    text = unicodedata.normalize("NFKC", name).lower()
    key = re.sub(r"[\W_]+", "_", unicodedata.normalize("NFKC", text)).strip("_")
    key = key[:ATTRIBUTE_KEY_MAX_LENGTH].strip("_")
    if key.isdigit():
        return f"column_{key}"[:ATTRIBUTE_KEY_MAX_LENGTH]
    if key in RESERVED_KEYS | LIQUID_WORDS:
        return f"{key}_2"
    return key


def make_unique(key: str, taken: set[str]) -> str:
    candidate, number = key, 2
    while candidate in taken:
        suffix = f"_{number}"
        candidate = key[: ATTRIBUTE_KEY_MAX_LENGTH - len(suffix)] + suffix
        number += 1
    return candidate
