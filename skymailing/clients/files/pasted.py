"""Turn a list that was pasted from a table or a letter into a CSV file."""

import csv
import io
import re
from email.utils import getaddresses

HEADER = ("email", "full_name")
SEPARATORS = ("\t", ";", ",")
MARKER = re.compile(r"^(?:\d+[.)]|[•·*–—-]) +")  # begins an item of a numbered or bulleted list
DELIMITERS = re.compile(r"""[\s,;:<>()"]+""")


def make_csv(text: str) -> bytes:
    """Return the list as CSV with a header; bare addresses and “Name <address>” become rows of their own."""
    text = text.replace("\xa0", " ")  # copied from web pages
    lines = [line.strip("\r\n ") for line in text.splitlines() if line.strip()]
    people = _read_people(lines)
    if people:
        output = io.StringIO()
        csv.writer(output).writerows([HEADER, *((address, name) for name, address in people)])
        return output.getvalue().encode()
    if lines and "@" in lines[0]:
        lines.insert(0, _name_columns(lines[0]))
    return "\n".join(lines).encode()


def _read_people(lines: list[str]) -> list[tuple[str, str]]:
    """Return names and addresses; empty if the lines contain anything else."""
    if any("\t" in line for line in lines):
        return []
    parts = [_quote_name(part) for line in lines for part in _split(MARKER.sub("", line))]
    texts = [part.replace(";", ",").strip(", ") for part in parts]
    try:
        people = getaddresses([text for text in texts if text])
    except RecursionError:  # a thousand brackets or colons
        return []
    # The parser would read “a@example.com Anna” as the address a@example.comAnna.
    written = {word for text in texts for word in DELIMITERS.split(text) if "@" in word}
    return people if all(address in written for _name, address in people) else []


def _split(line: str) -> list[str]:
    """Split a line between people, unless that needs a parser."""
    if '"' in line:
        return [line]
    return line.split(";") if "<" in line else line.replace(";", ",").split(",")


def _quote_name(text: str) -> str:
    """Write “Ivanov, Ivan <a@example.com>” and “Ivan a@example.com” as the parser expects."""
    if any(sign in text for sign in '"\\()'):
        return text
    name, bracket, address = text.strip(", ").partition("<")
    if bracket:
        is_person = "@" not in name and address.count("@") == 1
        return f'"{name.strip()}" <{address}' if is_person else text
    words = text.split()
    if len(words) == 1 or text.count("@") != 1 or not ("@" in words[0] or "@" in words[-1]):
        return text
    address = words.pop(0 if "@" in words[0] else -1)
    name = "" if words[-1].endswith(":") else " ".join(words).strip(" -–—|")
    return f'"{name}" <{address}>'


def _name_columns(line: str) -> str:
    """Return a header for a table whose first row is already a client."""
    separator = next((one for one in SEPARATORS if one in line), SEPARATORS[0])
    try:
        cells = next(csv.reader([line], delimiter=separator))
    except csv.Error:  # a cell of more than 128 KB
        cells = line.split(separator)
    names: list[str] = []
    for number, cell in enumerate(cells, start=1):
        kind = HEADER[0] if "@" in cell else HEADER[1]
        is_free = kind not in names and (kind == HEADER[0] or any(map(str.isalpha, cell)))
        names.append(kind if is_free else f"column_{number}")
    return separator.join(names)
