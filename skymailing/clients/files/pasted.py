"""Turn a list that was pasted from a table or a letter into a CSV file."""

import csv
import io
from email.utils import getaddresses

HEADER = ("email", "full_name")
SEPARATORS = ("\t", ";", ",")


def make_csv(text: str) -> bytes:
    """Return the list as CSV with a header; bare addresses and “Name <address>” become rows of their own."""
    text = text.replace("\xa0", " ")  # in texts copied from pages
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
    parts = [part for line in lines for part in ([line] if '"' in line else line.split(";"))]
    texts = [_quote_name(part).replace(";", ",").strip(", ") for part in parts]
    try:
        people = getaddresses([text for text in texts if text])
    except RecursionError:  # a thousand brackets or colons
        return []
    is_list = all("@" in address and " " not in address for _name, address in people)
    return people if is_list else []


def _quote_name(text: str) -> str:
    """Quote the name of “Ivanov, Ivan <ivan@example.com>”, as Outlook writes it; keep other texts."""
    name, bracket, address = text.strip(", ").partition("<")
    if not bracket or "@" in name or address.count("@") != 1 or any(sign in name for sign in '"\\'):
        return text
    return f'"{name.strip()}" <{address}'


def _name_columns(line: str) -> str:
    """Return a header for a table whose first row is a client already."""
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
