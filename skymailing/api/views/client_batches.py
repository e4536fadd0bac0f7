"""Add or update up to a thousand clients in one request."""

from collections import Counter
from typing import Any

from flask import Response
from marshmallow import ValidationError

from skymailing.api.problems import InvalidFields, describe
from skymailing.api.schemas.clients import BatchResult, ClientBatch, ClientRowSchema
from skymailing.api.scopes import Scope
from skymailing.api.views.authentication import current_access
from skymailing.api.views.blueprint import Resource
from skymailing.api.views.bodies import list_errors
from skymailing.api.views.responses import json_response
from skymailing.clients.batches import RowResult, Verdict, read_row, save_batch
from skymailing.clients.rows import ClientRow
from skymailing.clock import utcnow
from skymailing.errors import UserError

bp = Resource("client_batches", "Many clients at once.")

BATCH_LIMIT = 5 * 1024 * 1024  # bytes
ROW = ClientRowSchema()


@bp.operation(
    "POST /clients/batch", Scope.CLIENTS_WRITE, takes=ClientBatch, gives=BatchResult, limit=BATCH_LIMIT
)
def save_clients(batch: dict[str, Any]) -> Response:
    """Add or update up to 1,000 clients.

    Each row has its own verdict: created, updated, unchanged, or refused with the reasons. Values that are
    missing or empty stay as they are, and tags are added to those that the client has.
    """
    rows = [parse_row(row) for row in batch["clients"]]
    results = save_batch(current_access().owner_id, rows, utcnow())
    counts = Counter(result.verdict for result in results)
    body: dict[str, Any] = {verdict.value: counts[verdict] for verdict in Verdict}
    body["results"] = [write_result(index, result) for index, result in enumerate(results)]
    return json_response(body)


def parse_row(values: Any) -> ClientRow | UserError:
    """Return the row, or its error."""
    try:
        row = ROW.load(values)
        texts = (row["email"], row.get("full_name", ""), row.get("comment", ""), row.get("timezone", ""))
        return read_row(*texts, row.get("attributes", {}), row.get("tags", ()))
    except ValidationError as error:
        return InvalidFields(list(list_errors(error.messages)))
    except UserError as error:
        return error


def write_result(index: int, result: RowResult) -> dict[str, Any]:
    written: dict[str, Any] = {"index": index, "verdict": result.verdict.value, "id": result.client_id}
    if result.error is None:
        return written
    problem = describe(result.error)
    errors = [error.to_json() for error in problem.errors]
    for error in errors:
        error["pointer"] = f"/clients/{index}{error['pointer']}"
    row_error = {"pointer": f"/clients/{index}", "code": problem.code, "detail": problem.detail}
    return written | {"errors": errors or [row_error]}
