"""Read vCards 2.1, 3.0 and 4.0 (RFC 2426, RFC 6350) as a table."""

import quopri
import re
from collections.abc import Iterable, Iterator

HEADERS = (
    *("email", "first_name", "middle_name", "last_name", "full_name", "comment", "tags", "email_2", "phone"),
    *("company", "birthday"),
)
ESCAPED = re.compile(r"\\(.)")
UNESCAPED_SEMICOLON = re.compile(r"(?<!\\);")
UNESCAPED_COMMA = re.compile(r"(?<!\\),")
Property = tuple[str, dict[str, str], str]


def unfold(lines: Iterable[str]) -> Iterator[str]:
    """Join continuation lines: those that begin with a space, or follow a final `=` in quoted-printable."""
    current = ""
    for raw in lines:
        line = raw.rstrip("\r\n")
        if current.endswith("=") and "QUOTED-PRINTABLE" in current.partition(":")[0].upper():
            current = current[:-1] + line.lstrip()
        elif line.startswith((" ", "\t")):
            current += line[1:]
        else:
            if current:
                yield current
            current = line
    if current:
        yield current


def parse_line(line: str) -> Property:
    """Return the name, parameters and decoded value of a line."""
    head, _colon, value = line.partition(":")
    name, *parts = head.split(";")
    parameters: dict[str, str] = {}
    for part in parts:
        key, sign, text = part.partition("=")
        key, text = (key.upper(), text.strip('"')) if sign else ("TYPE", part)  # version 2.1: bare types
        if text.upper() == "QUOTED-PRINTABLE":
            key = "ENCODING"
        parameters[key] = f"{parameters[key]},{text}" if key in parameters else text
    if parameters.get("ENCODING", "").upper() == "QUOTED-PRINTABLE":
        raw = quopri.decodestring(value.encode("latin-1", errors="replace"))
        try:
            value = raw.decode(parameters.get("CHARSET", "utf-8"))
        except (LookupError, UnicodeDecodeError):
            value = raw.decode("utf-8", errors="replace")
    return name.rpartition(".")[2].upper(), parameters, value


def unescape(text: str) -> str:
    return ESCAPED.sub(lambda match: "\n" if match[1] in "nN" else match[1], text).strip()


def split_parts(value: str, count: int) -> list[str]:
    """Return the parts of a structured value, without escapes."""
    parts = [unescape(part) for part in UNESCAPED_SEMICOLON.split(value)]
    return (parts + [""] * count)[:count]


def is_preferred(parameters: dict[str, str]) -> bool:
    return "PREF" in parameters or "PREF" in parameters.get("TYPE", "").upper().split(",")


def read_card(properties: list[Property]) -> list[str]:
    """Return the cells of one card."""
    found: dict[str, list[str]] = {}
    for name, parameters, value in properties:
        values = found.setdefault(name, [])
        values.insert(0 if is_preferred(parameters) else len(values), value)
    emails = [unescape(email).removeprefix("mailto:") for email in found.get("EMAIL", [])]
    last, first, middle = split_parts(found.get("N", [""])[0], 3)
    return [
        emails[0] if emails else "",
        *(first, middle, last),
        unescape(found.get("FN", [""])[0]),
        "\n".join(map(unescape, found.get("NOTE", []))),
        ", ".join(
            unescape(tag) for tags in found.get("CATEGORIES", []) for tag in UNESCAPED_COMMA.split(tags)
        ),
        ", ".join(emails[1:]),
        unescape(found.get("TEL", [""])[0]).removeprefix("tel:"),
        " ".join(filter(None, split_parts(found.get("ORG", [""])[0], 2))),
        found.get("BDAY", [""])[0].partition("T")[0].strip(),
    ]


def read_cards(lines: Iterable[str]) -> Iterator[list[str]]:
    """Yield the headers, then the cells of each card."""
    yield list(HEADERS)
    card: list[Property] | None = None
    for line in unfold(lines):
        mark = line.strip().upper()
        if mark == "BEGIN:VCARD":
            card = []
        elif mark == "END:VCARD" and card is not None:
            yield read_card(card)
            card = None
        elif card is not None and ":" in line:
            card.append(parse_line(line))
    if card:
        yield read_card(card)  # the file was cut off
