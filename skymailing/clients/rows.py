"""One row of a table: a client, or the reason why not."""

import csv
import io
from dataclasses import dataclass
from enum import StrEnum

from flask_babel import lazy_gettext as _l

from skymailing.clients.cleaning import VALUE_FAULTS, InvalidValue, clean_attribute, clean_comment, clean_name
from skymailing.clients.columns import Columns
from skymailing.clients.csv_reader import RECORD_FAULTS, Record
from skymailing.email_addresses import ADDRESS_FAULTS, InvalidEmail, address_key, parse_address
from skymailing.web.csv import csv_restore

SHOWN_LENGTH = 2_000  # characters of a rejected row that are kept


class RowFault(StrEnum):
    """Why a row does not fit its table."""

    TOO_MANY_CELLS = "too_many_cells"


ROW_FAULTS = {
    RowFault.TOO_MANY_CELLS: _l(
        "The row has more cells than there are columns; is a text with commas unquoted?"
    ),
}

# By code, as rejections are stored; codes of the four enums differ.
REASONS = {
    str(fault): text
    for faults in (ADDRESS_FAULTS, VALUE_FAULTS, RECORD_FAULTS, ROW_FAULTS)
    for fault, text in faults.items()
}


@dataclass(frozen=True, slots=True)
class ClientRow:
    """What one row says about a client; empty where it says nothing."""

    email: str
    email_key: str
    full_name: str
    comment: str
    attributes: dict[str, str]

    def merge(self, later: "ClientRow") -> "ClientRow":
        """Return both rows as one; the later one wins wherever it says something."""
        return ClientRow(
            email=self.email,
            email_key=self.email_key,
            full_name=later.full_name or self.full_name,
            comment=later.comment or self.comment,
            attributes=self.attributes | later.attributes,
        )


@dataclass(frozen=True, slots=True)
class RejectedRow:
    """A row that is not taken: where it starts, what it says, and the code of the reason."""

    line: int
    value: str
    reason: str


def read_row(record: Record, columns: Columns) -> ClientRow | RejectedRow:
    """Return the client that a record describes, or why it does not."""
    if record.fault:
        return reject(record, record.fault)
    if any(cell.strip() for cell in record.cells[len(columns.headers) :]):
        return reject(record, RowFault.TOO_MANY_CELLS)
    try:
        return read_client(record.cells, columns)
    except (InvalidEmail, InvalidValue) as error:
        return reject(record, error.fault)


def read_client(cells: list[str], columns: Columns) -> ClientRow:
    def cell(position: int | None) -> str:
        if position is None or position >= len(cells):
            return ""
        return csv_restore(cells[position])

    email = parse_address(cell(columns.email))
    attributes = {key: clean_attribute(cell(position)) for position, key in columns.attributes.items()}
    return ClientRow(
        email=email,
        email_key=address_key(email),
        full_name=clean_name(cell(columns.full_name)),
        comment=clean_comment(cell(columns.comment)),
        attributes={key: value for key, value in attributes.items() if value},
    )


def reject(record: Record, reason: StrEnum) -> RejectedRow:
    line = io.StringIO()
    csv.writer(line).writerow(record.cells)
    # NUL is the one character that PostgreSQL does not store.
    value = line.getvalue().removesuffix("\r\n").replace("\0", "")
    return RejectedRow(record.line, value[:SHOWN_LENGTH], str(reason))


def rejected_cells(value: str) -> list[str]:
    """Return the cells of a rejected row as it was kept."""
    try:
        return next(csv.reader([value]), [])
    except csv.Error:  # cut off in an awkward place
        return [value]


def describe_reason(code: str) -> str:
    """Return the reason in the reader's language."""
    return str(REASONS.get(code, code))
