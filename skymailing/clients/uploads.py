"""Keep an uploaded file until its owner has confirmed its column mapping."""

import io
from collections.abc import Sequence
from dataclasses import dataclass, replace
from datetime import datetime, timedelta
from itertools import islice
from typing import BinaryIO

from sqlalchemy import delete, select

from skymailing.clients.cleaning import clean_text
from skymailing.clients.consents import TEXT_MAX_LENGTH
from skymailing.clients.files.encodings import detect_encoding, sample_lines
from skymailing.clients.imports import (
    Table,
    check_length,
    create_import,
    inspect_table,
    open_any_file,
    open_table,
)
from skymailing.clients.mapping import Mapping, check_mapping
from skymailing.extensions import db
from skymailing.models import ClientImport, ClientUpload

RETENTION = timedelta(days=1)
MAX_PER_OWNER = 3  # older uploads are deleted
SHOWN_VALUES = 3
SHOWN_LENGTH = 100
SHOWN_ROWS = 3


@dataclass(frozen=True, slots=True)
class ColumnSample:
    """A column as shown to its owner: the header, the field, its attribute key, and some values."""

    position: int
    header: str
    field: str
    key: str
    values: list[str]


@dataclass(frozen=True, slots=True)
class Sample:
    """The part of a file that the mapping step shows."""

    table: Table
    columns: list[ColumnSample]
    encodings: dict[str, list[str]]  # rows decoded in each plausible encoding; empty if there is only one


@dataclass(frozen=True, slots=True)
class Received:
    """A file's content as CSV, its mapping, and the names of the sheet or files it was converted from."""

    content: bytes
    mapping: Mapping
    note: str


def store_upload(owner_id: int, filename: str, received: Received) -> ClientUpload:
    """Store a received file and return it."""
    upload = ClientUpload(
        owner_id=owner_id,
        filename=clean_text(filename)[-255:],
        content=received.content,
        mapping=received.mapping.dump(),
        note=received.note[:255],
    )
    db.session.add(upload)
    db.session.flush()
    statement = select(ClientUpload.id).where(ClientUpload.owner_id == owner_id)
    kept = statement.order_by(ClientUpload.id.desc()).limit(MAX_PER_OWNER)
    db.session.execute(
        delete(ClientUpload).where(
            ClientUpload.owner_id == owner_id, ClientUpload.id.not_in(kept.scalar_subquery())
        )
    )
    return upload


def read_file(source: BinaryIO, filename: str, mapping: Mapping) -> Received:
    """Return the file as CSV with its encoding.

    Raises NoAddressColumn, UnusableFile or UnusableWorkbook.
    """
    with open_any_file(source, filename, mapping) as opened:
        check_length(opened.file)
        mapping = opened.mapping
        if mapping.encoding is None:
            mapping = replace(mapping, encoding=detect_encoding(opened.file).encoding)
        open_table(opened.file, mapping)
        opened.file.seek(0)
        return Received(opened.file.read(), mapping, opened.note)


def show_sample(content: bytes, mapping: Mapping) -> Sample:
    """Return the file's contents as read with this mapping; raises NoAddressColumn or UnusableFile."""
    source = io.BytesIO(content)
    table = inspect_table(source, mapping)
    columns, records = open_table(source, table.mapping)
    rows = [record.cells for record in islice(records, 200) if not record.fault]
    return Sample(
        table,
        [
            ColumnSample(i, header, field, columns.attributes.get(i, ""), list_values(rows, i))
            for i, (header, field) in enumerate(zip(table.headers, columns.fields, strict=True))
        ],
        show_encodings(source, table.mapping.encoding or ""),
    )


def list_values(rows: Sequence[Sequence[str]], position: int) -> list[str]:
    """Return the first non-empty values of a column."""
    filled = (cell.strip() for row in rows for cell in row[position : position + 1] if cell.strip())
    return [value[:SHOWN_LENGTH] for value in islice(filled, SHOWN_VALUES)]


def show_encodings(source: BinaryIO, encoding: str) -> dict[str, list[str]]:
    """Return rows in the chosen and equally plausible encodings; empty if no other is plausible."""
    guess = detect_encoding(source)
    candidates = dict.fromkeys([encoding, guess.encoding, *guess.close])
    if len(candidates) == 1:
        return {}
    lines = list(islice(sample_lines(source), SHOWN_ROWS))
    return {
        name: [line.decode(name, errors="replace").strip()[:SHOWN_LENGTH] for line in lines]
        for name in candidates
    }


def confirm_upload(upload: ClientUpload, mapping: Mapping, consent_text: str) -> ClientImport:
    """Turn the upload into an import with the mapping that its owner confirmed.

    Raises NoAddressColumn, UnusableFile or InvalidMapping.
    """
    check_mapping(mapping.fields)
    import_ = start_import(upload.owner_id, upload.filename, upload.content, mapping, consent_text)
    db.session.delete(upload)
    return import_


def start_import(
    owner_id: int, filename: str, content: bytes, mapping: Mapping, consent_text: str
) -> ClientImport:
    """Create an import of a CSV file for any worker to run; unmapped columns are recognized.

    Raises NoAddressColumn, UnusableFile or InvalidMapping.
    """
    table = inspect_table(io.BytesIO(content), mapping)
    check_mapping(table.mapping.fields)
    import_ = create_import(owner_id, filename, table, content)
    import_.consent_text = clean_text(consent_text)[:TEXT_MAX_LENGTH]
    return import_


def delete_old(now: datetime) -> None:
    """Delete uploads whose mapping was never confirmed."""
    db.session.execute(delete(ClientUpload).where(ClientUpload.created_at < now - RETENTION))
