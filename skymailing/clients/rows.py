"""Read one row of a table: a client, an opt-out, a row to skip, or the reason for rejecting it."""

import csv
import io
from dataclasses import dataclass
from enum import StrEnum
from typing import NamedTuple

from skymailing.clients.cells import BLANKS, flatten_json, read_address
from skymailing.clients.cleaning import (
    MAX_ATTRIBUTES,
    InvalidValue,
    ValueFault,
    clean_attribute,
    clean_comment,
    clean_name,
)
from skymailing.clients.columns import Columns
from skymailing.clients.fields import NAME_FIELDS, Field
from skymailing.clients.files.csv_reader import Record, RecordFault
from skymailing.clients.row_tags import RowTags
from skymailing.clients.statuses import SUPPRESSIONS, Standing, is_explicit_no, is_no, read_status
from skymailing.clients.tags import InvalidTag
from skymailing.clients.time_zones import find_timezone
from skymailing.email_addresses import AddressFault, InvalidEmail, address_key
from skymailing.errors import UserError
from skymailing.models import SuppressionReason
from skymailing.web.csv import csv_restore

STORED_LENGTH = 2_000  # characters; the rest of a rejected row is dropped
FLAGS = {
    Field.UNSUBSCRIBED: Standing.UNSUBSCRIBED,
    Field.BOUNCED: Standing.BOUNCED,
    Field.COMPLAINED: Standing.COMPLAINED,
}


class RowFault(StrEnum):
    """The reason why a row does not fit its table; stored with rejected rows."""

    TOO_MANY_CELLS = "too_many_cells"
    UNKNOWN_STATUS = "unknown_status"
    TAG_TOO_LONG = "tag_too_long"
    TOO_MANY_TAGS = "too_many_tags"
    TAG_LIMIT = "tag_limit"  # the owner has too many tags


# The reason why a row's tags cannot be used, by the code of InvalidTag.
TAG_FAULTS = {"tag_too_long": RowFault.TAG_TOO_LONG, "client_too_many_tags": RowFault.TOO_MANY_TAGS}
# The error code for each reason that is stored with a rejected row.
REJECTION_CODES = {
    **{str(fault): f"address_{fault}" for fault in AddressFault},
    **{str(fault): f"client_{fault}" for fault in ValueFault},
    **{str(fault): f"row_{fault}" for faults in (RecordFault, RowFault) for fault in faults},
}


class UnknownStatus(UserError):
    """A status column contains an unknown word."""

    def __init__(self) -> None:
        super().__init__(f"row_{RowFault.UNKNOWN_STATUS}")
        self.fault = RowFault.UNKNOWN_STATUS


class ClientRow(NamedTuple):
    """A client as read from one row; missing cells are empty."""

    email: str
    email_key: str
    full_name: str
    comment: str
    timezone: str
    attributes: dict[str, str]
    consent_time: str = ""
    consent_ip: str = ""
    tags: tuple[str, ...] = ()
    has_unknown_zone: bool = False  # the client is imported without it, and its owner sees the row

    def merge(self, later: "ClientRow") -> "ClientRow":
        """Combine both rows; values of the later row take precedence unless they are empty."""
        return ClientRow(
            email=self.email,
            email_key=self.email_key,
            full_name=later.full_name or self.full_name,
            comment=later.comment or self.comment,
            timezone=later.timezone or self.timezone,
            attributes=self.attributes | later.attributes,
            consent_time=later.consent_time or self.consent_time,
            consent_ip=later.consent_ip or self.consent_ip,
            tags=self.tags + later.tags,
        )


@dataclass(frozen=True, slots=True)
class SuppressedRow:
    """The address of a person who must not be mailed."""

    email_key: str
    reason: SuppressionReason


@dataclass(frozen=True, slots=True)
class SkippedRow:
    """A person who never confirmed, or is inactive in the service that exported the file."""


@dataclass(frozen=True, slots=True)
class RejectedRow:
    """A row that is not imported: the number of its first line, its text, and the reason."""

    line: int
    value: str
    reason: str


Row = ClientRow | SuppressedRow | SkippedRow | RejectedRow


class RowReader:
    """A reader for the rows of a table with these columns."""

    def __init__(self, columns: Columns, tag: str = "") -> None:
        self.width = len(columns.headers)
        self.standing = columns.standing
        self.email = columns.email
        self.full_name, self.comment = columns.full_name, columns.comment
        self.timezone = columns.timezone
        self.names = [position for name in NAME_FIELDS for position in columns.find(name)]
        self.others = columns.find(Field.OTHER_EMAIL)
        self.tags = RowTags(columns.find(Field.TAGS), tag)
        self.objects = columns.find(Field.JSON)
        self.status_columns = columns.find(Field.STATUS)
        self.subscribed_columns = columns.find(Field.SUBSCRIBED)
        self.consents = [columns.find(Field.CONSENT_TIME), columns.find(Field.CONSENT_IP)]
        self.has_consents = any(self.consents)
        self.flags = [(i, standing) for name, standing in FLAGS.items() for i in columns.find(name)]
        self.attributes = list(columns.attributes.items())
        has_column = bool(self.status_columns or self.flags or self.subscribed_columns)
        self.has_standing = has_column or bool(self.standing)

    def read(self, record: Record) -> Row:
        """Return the contents of the record, or the reason for rejecting it."""
        if record.fault:
            return reject(record, record.fault)
        cells = record.cells
        if len(cells) != self.width:
            if any(cell.strip() for cell in cells[self.width :]):
                return reject(record, RowFault.TOO_MANY_CELLS)
            cells = cells + [""] * (self.width - len(cells))
        if "'" in "".join(cells):
            cells = [csv_restore(cell) for cell in cells]
        try:
            return self.read_person(cells)
        except (InvalidEmail, InvalidValue, UnknownStatus) as error:
            return reject(record, error.fault)
        except InvalidTag as error:
            return reject(record, TAG_FAULTS[error.code])

    def read_person(self, cells: list[str]) -> Row:
        """Return the person in the cells; raises InvalidEmail, InvalidValue, InvalidTag or UnknownStatus."""
        standing = self.read_standing(cells) if self.has_standing else Standing.MAILABLE
        if standing is Standing.SKIPPED:
            return SkippedRow()
        email, name, others = self.find_address(cells)
        key = address_key(email)
        if standing:
            return SuppressedRow(key, SUPPRESSIONS[standing])
        attributes = {}
        for position, attribute in self.attributes:
            cell = cells[position]
            if cell and cell not in BLANKS and (value := clean_attribute(cell)):
                attributes[attribute] = value
        if others:
            attributes.setdefault("email_2", clean_attribute(others))
        tags = self.tags.read(cells, self.read_objects(cells, attributes) if self.objects else "")
        if len(attributes) > MAX_ATTRIBUTES:
            raise InvalidValue(ValueFault.TOO_MANY_ATTRIBUTES)
        comment = "" if self.comment is None else clean_comment(cells[self.comment])
        full_name = self.read_name(cells) or clean_name(name)
        zone = "" if self.timezone is None else cells[self.timezone].strip()
        known = find_timezone(zone) if zone and zone not in BLANKS else ""
        row = ClientRow(email, key, full_name, comment, known, attributes, tags=tags)
        if zone and not known and zone not in BLANKS:
            row = row._replace(has_unknown_zone=True)
        if not self.has_consents:
            return row
        # Use the last non-empty cell: a confirmation follows the request.
        time, ip = (next((cells[i] for i in reversed(found) if cells[i]), "") for found in self.consents)
        return row._replace(consent_time=time, consent_ip=ip)

    def read_standing(self, cells: list[str]) -> Standing:
        """Return whether the person in the row may be mailed, or why not; raises UnknownStatus."""
        result = self.standing
        for position in self.status_columns:
            standing = read_status(cells[position])
            if standing is None:
                raise UnknownStatus
            result = max(result, standing)
        if any(is_explicit_no(cells[position]) for position in self.subscribed_columns):
            result = max(result, Standing.UNSUBSCRIBED)
        for position, standing in self.flags:
            if not is_no(cells[position]):
                result = max(result, standing)
        return result

    def find_address(self, cells: list[str]) -> tuple[str, str, str]:
        """Return the row's first address, its name, and the other addresses; raises InvalidEmail."""
        try:
            return read_address(cells[self.email])
        except InvalidEmail as error:
            if error.fault is not AddressFault.EMPTY:
                raise
            for position in self.others:
                if cells[position].strip():
                    found = read_address(cells[position])
                    cells[position] = ""
                    return found
            raise

    def read_name(self, cells: list[str]) -> str:
        """Return the full name, or else the first, middle and last names; raises InvalidValue."""
        name = "" if self.full_name is None else clean_name(cells[self.full_name])
        if name or not self.names:
            return name
        return clean_name(" ".join(cells[position].strip() for position in self.names))

    def read_objects(self, cells: list[str], attributes: dict[str, str]) -> str:
        """Add the values of JSON objects and return their tags; raises InvalidValue."""
        tags = ""
        for position in self.objects:
            values = flatten_json(cells[position]) if cells[position].strip() else {}
            if values is None:
                values = {f"column_{position + 1}": cells[position]}
            tags = values.pop(Field.TAGS, tags)
            attributes |= {key: text for key, value in values.items() if (text := clean_attribute(value))}
        return tags


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
