"""Turn a list that was pasted from a table or a letter into a CSV file."""

import csv
import io
from email.utils import getaddresses

HEADER = ("email", "full_name")
SEPARATORS = ("\t", ";", ",")


def make_csv(text: str) -> bytes:
    """Return the list as CSV with a header; bare addresses and “Name <address>” become rows of their own."""
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
    people = getaddresses([line.replace(";", ",").strip(", ") for line in lines])
    is_list = all("@" in address and " " not in address for _name, address in people)
    return people if is_list else []


def _name_columns(line: str) -> str:
    """Return a header for a table whose first row is a client already."""
    separator = next((one for one in SEPARATORS if one in line), SEPARATORS[0])
    names: list[str] = []
    for number, cell in enumerate(line.split(separator), start=1):
        kind = HEADER[0] if "@" in cell else HEADER[1]
        is_free = kind not in names and (kind == HEADER[0] or any(map(str.isalpha, cell)))
        names.append(kind if is_free else f"column_{number}")
    return separator.join(names)
