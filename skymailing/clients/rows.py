"""Read one row of a table: return a client, or the reason for rejecting the row."""

import csv
import io
from dataclasses import dataclass
from enum import StrEnum

from skymailing.clients.cleaning import InvalidValue, ValueFault, clean_attribute, clean_comment, clean_name
from skymailing.clients.columns import Columns
from skymailing.clients.csv_reader import Record, RecordFault
from skymailing.email_addresses import AddressFault, InvalidEmail, address_key, parse_address
from skymailing.web.csv import csv_restore

STORED_LENGTH = 2_000  # characters; the rest of a rejected row is dropped


class RowFault(StrEnum):
    """Why a row does not fit its table; stored with rejected rows."""

    TOO_MANY_CELLS = "too_many_cells"


# The error code for each reason that is stored with a rejected row.
REJECTION_CODES = {
    **{str(fault): f"address_{fault}" for fault in AddressFault},
    **{str(fault): f"client_{fault}" for fault in ValueFault},
    **{str(fault): f"row_{fault}" for faults in (RecordFault, RowFault) for fault in faults},
}


@dataclass(frozen=True, slots=True)
class ClientRow:
    """A client as read from one row; missing cells are empty."""

    email: str
    email_key: str
    full_name: str
    comment: str
    attributes: dict[str, str]

    def merge(self, later: "ClientRow") -> "ClientRow":
        """Return both rows as one; values of the later row win unless they are empty."""
        return ClientRow(
            email=self.email,
            email_key=self.email_key,
            full_name=later.full_name or self.full_name,
            comment=later.comment or self.comment,
            attributes=self.attributes | later.attributes,
        )


@dataclass(frozen=True, slots=True)
class RejectedRow:
    """A row that is not imported: its first line, its text, and the reason."""

    line: int
    value: str
    reason: str


def read_row(record: Record, columns: Columns) -> ClientRow | RejectedRow:
    """Return the record's client, or the rejected row."""
    if record.fault:
        return reject(record, record.fault)
    if any(cell.strip() for cell in record.cells[len(columns.headers) :]):
        return reject(record, RowFault.TOO_MANY_CELLS)
    try:
        return read_client(record.cells, columns)
    except (InvalidEmail, InvalidValue) as error:
        return reject(record, error.fault)


def read_client(cells: list[str], columns: Columns) -> ClientRow:
    """Return the client in the cells; raises InvalidEmail or InvalidValue."""

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
    # PostgreSQL cannot store NUL.
    value = line.getvalue().removesuffix("\r\n").replace("\0", "")
    return RejectedRow(record.line, value[:STORED_LENGTH], str(reason))


def split_rejected(value: str) -> list[str]:
    """Return the cells of a stored rejected row."""
    try:
        return next(csv.reader([value]), [])
    except csv.Error:  # the text was cut off inside a quoted cell
        return [value]
