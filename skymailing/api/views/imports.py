"""Imports: send a file of clients, and read what happened to its rows."""

import io
from typing import Any

from flask import request, url_for

from skymailing import queue
from skymailing.api.paging import list_after
from skymailing.api.problems import ApiError, InvalidField
from skymailing.api.schemas.base import PageQuery, list_of
from skymailing.api.schemas.imports import ImportQuery, ImportSchema, RejectionSchema
from skymailing.api.scopes import Scope
from skymailing.api.views.authentication import current_access
from skymailing.api.views.blueprint import Resource, after_commit
from skymailing.api.views.pages import page_of
from skymailing.clients import imports, uploads
from skymailing.clients.explanations import explain_failure, explain_rejection
from skymailing.clients.files.encodings import find_encoding
from skymailing.clients.mapping import InvalidMapping, Mapping
from skymailing.clients.queries import REJECTION_ORDER, list_rejections, select_imports
from skymailing.clients.rows import REJECTION_CODES, split_rejected
from skymailing.clients.statuses import Standing
from skymailing.clients.tags import InvalidTag, read_tags
from skymailing.clock import utcnow
from skymailing.db.engine import start_writing
from skymailing.errors import UserError
from skymailing.extensions import db
from skymailing.models import ClientImport
from skymailing.security import get_own
from skymailing.web.user_turns import get_user_key, take_turn

bp = Resource("imports", "Files of clients.")

FILE_LIMIT = 32 * 1024 * 1024  # bytes, as on the page
COPIED = [name for name in ImportSchema().fields if name not in ("columns", "error")]
FILE = {"type": "string", "format": "binary"}
BODY = {
    "required": True,
    "description": "CSV, XLSX, vCard or a ZIP archive of them: the body itself, or the part “file” of a "
    "form. The type of CSV may also be text/csv",
    "content": {
        "application/octet-stream": {"schema": FILE},
        "multipart/form-data": {
            "schema": {"type": "object", "required": ["file"], "properties": {"file": FILE}}
        },
    },
}


@bp.operation("GET /imports", Scope.CLIENTS_READ, query=PageQuery, gives=list_of(ImportSchema))
def list_imports(query: dict[str, Any]) -> Any:
    """List imports, oldest first."""
    statement = select_imports(current_access().owner_id)
    listing = list_after(statement, [(ClientImport.id, False)], query.get("after"), query["limit"])
    return page_of(listing, [describe(import_) for import_ in listing.items])


@bp.operation("GET /imports/<int:import_id>", Scope.CLIENTS_READ, gives=ImportSchema)
def get_import(import_id: int) -> Any:
    """Get an import, to see whether it has finished."""
    return describe(get_own(ClientImport, import_id))


@bp.operation(
    "GET /imports/<int:import_id>/rejections",
    Scope.CLIENTS_READ,
    query=PageQuery,
    gives=list_of(RejectionSchema),
)
def list_import_rejections(query: dict[str, Any], import_id: int) -> Any:
    """List the rows that were not imported, with the reasons."""
    found = list_rejections(get_own(ClientImport, import_id))
    listing = list_after(found, REJECTION_ORDER, query.get("after"), query["limit"])
    rejections = [
        {
            "id": row.id,
            "line": row.line,
            "code": REJECTION_CODES.get(row.reason, "other"),
            "detail": explain_rejection(row.reason),
            "cells": split_rejected(row.value),
        }
        for row in listing.items
    ]
    return page_of(listing, rejections)


@bp.operation(
    "POST /imports",
    Scope.CLIENTS_WRITE,
    query=ImportQuery,
    gives=ImportSchema,
    status=202,
    starts_reading=True,
    limit=FILE_LIMIT,
    body=BODY,
)
def create_import(query: dict[str, Any]) -> Any:
    """Import a file of clients in the background.

    The meaning of its columns is recognized as on the page. Clients who exist already are updated.
    """
    mapping = read_mapping(query)
    content, filename = read_file()
    owner_id, filename = current_access().owner_id, query["filename"] or filename
    imports.check_unfinished(owner_id)  # early, to save the work; repeated under the lock
    db.session.rollback()
    with take_turn(get_user_key()):
        received = uploads.read_file(io.BytesIO(content), filename, mapping)
    start_writing()
    imports.check_limits(owner_id, utcnow())
    import_ = uploads.start_import(owner_id, filename, received.content, received.mapping, query["consent"])
    import_id = import_.id
    after_commit(lambda: queue.enqueue("import_clients", import_id, queue=queue.DELIVERY))
    return describe(import_), 202, {"Location": url_for("api_imports.get_import", import_id=import_id)}


def read_file() -> tuple[bytes, str]:
    """Return the file in the request and its name; raises ApiError."""
    if request.mimetype == "multipart/form-data":
        request.get_data()  # keeps the body for the Idempotency-Key
        file = request.files.get("file")
        content, name = (file.read(), file.filename or "") if file else (b"", "")
    elif request.mimetype in ("text/csv", "application/octet-stream"):
        content, name = request.get_data(), ""
    else:
        raise ApiError(415, "not_a_file")
    if not content:
        raise imports.UnusableFile("import_empty")
    return content, name


def read_mapping(query: dict[str, Any]) -> Mapping:
    """Return the column mapping in the query; raises InvalidField."""
    encoding = None
    if "encoding" in query:
        encoding = find_encoding(query["encoding"])
        if encoding is None:
            raise InvalidField("", UserError("import_unknown_encoding"), "encoding")
    try:
        tag = ", ".join(read_tags(query["tag"]))
    except InvalidTag as error:
        raise InvalidField("", error, "tag") from error
    chosen = []
    for text in query.get("column", ()):
        header, separator, name = text.rpartition("=")
        if not separator:
            raise InvalidField("", InvalidMapping("import_unknown_field", name=text), "column")
        chosen.append((header, name))
    standing = Standing.BLOCKED.value if query["suppress"] else None
    return Mapping(encoding, standing=standing, tag=tag, chosen=tuple(chosen))


def describe(import_: ClientImport) -> dict[str, Any]:
    """Return an import for the schema."""
    fields = Mapping.load(import_.mapping).fields
    return {name: getattr(import_, name) for name in COPIED} | {
        "columns": dict(zip(import_.headers, fields, strict=False)),
        "error": explain_failure(import_.error) if import_.error else "",
    }
