"""Files of messages: list, attach and remove them."""

from typing import Any

from flask import abort, request, url_for

from skymailing.api.problems import ApiError
from skymailing.api.schemas.base import list_of
from skymailing.api.schemas.message_files import FileQuery, MessageFileSchema
from skymailing.api.scopes import Scope
from skymailing.api.views.attachments import describe_file
from skymailing.api.views.blueprint import Resource
from skymailing.messages import files, services
from skymailing.messages.files import FileChanges
from skymailing.models import Message, MessageFile
from skymailing.security import get_own

bp = Resource("message_files", "Files attached to messages.")

FILE_LIMIT = 32 * 1024 * 1024  # bytes; the limit of a message's files is usually lower
FILE = {"type": "string", "format": "binary"}
BODY = {
    "required": True,
    "description": "The content of the file",
    "content": {"application/octet-stream": {"schema": FILE}},
}


@bp.operation("GET /messages/<int:message_id>/files", Scope.MESSAGES_READ, gives=list_of(MessageFileSchema))
def list_message_files(message_id: int) -> Any:
    """List the files attached to a message."""
    attached = files.list_files(get_own(Message, message_id))
    return {"data": [describe(file) for file in attached], "next": None}


@bp.operation(
    "POST /messages/<int:message_id>/files",
    Scope.MESSAGES_WRITE,
    query=FileQuery,
    gives=MessageFileSchema,
    status=201,
    limit=FILE_LIMIT,
    body=BODY,
)
def attach_file(query: dict[str, Any], message_id: int) -> Any:
    """Attach a file to a message.

    Runs that have started do not get it. The message gets a new version.
    """
    message = get_own(Message, message_id, to_change=True)
    if request.mimetype != "application/octet-stream":
        raise ApiError(415, "not_a_file")
    new = files.check_file(query["filename"], request.get_data())
    (added,) = services.change_files(message, FileChanges([new]))
    location = url_for("api_message_files.list_message_files", message_id=message.id)
    return describe(added), 201, {"Location": location}


@bp.operation("DELETE /messages/<int:message_id>/files/<big:file_id>", Scope.MESSAGES_WRITE, status=204)
def remove_file(message_id: int, file_id: int) -> Any:
    """Remove a file from a message.

    Runs that have started keep it. The message gets a new version.
    """
    message = get_own(Message, message_id, to_change=True)
    file = get_own(MessageFile, file_id)
    if file.message_id != message.id:
        abort(404)
    services.change_files(message, FileChanges(removed=frozenset([file.id])))
    return "", 204


def describe(file: MessageFile) -> dict[str, Any]:
    """Return a file for the schema."""
    return {"id": file.id} | describe_file(file)
