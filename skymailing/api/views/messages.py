"""Messages: list, read, write and delete them."""

import json
from dataclasses import replace
from functools import partial
from typing import Any

from flask import url_for

from skymailing.api.paging import list_after
from skymailing.api.problems import FieldError, InvalidField, InvalidFields
from skymailing.api.schema_texts import CODES
from skymailing.api.schemas.base import PageQuery, list_of
from skymailing.api.schemas.messages import Format, MessageChange, MessageHead, MessageSchema, NewMessage
from skymailing.api.scopes import Scope
from skymailing.api.views.authentication import current_access, current_owner
from skymailing.api.views.blueprint import Resource
from skymailing.api.views.bodies import refuse_blank
from skymailing.api.views.etags import check_if_match
from skymailing.api.views.pages import page_of
from skymailing.audit import current_actor
from skymailing.clock import utcnow
from skymailing.db.engine import start_writing
from skymailing.delivery.audience.flags import check_flags
from skymailing.delivery.composition.composing import write_design
from skymailing.delivery.composition.errors import InvalidSource
from skymailing.delivery.rendering.content import Content, TemplateError, check_content, clean
from skymailing.delivery.rendering.mime import clean_line
from skymailing.errors import UserError
from skymailing.messages import queries, services
from skymailing.messages.composed import make_composed
from skymailing.messages.error_texts import explain_source_error, explain_template_error
from skymailing.messages.forms import choose_language, find_written_format, make_content
from skymailing.messages.layouts import find_layout
from skymailing.models import COMPOSED_FORMATS, Layout, Message, MessageFormat, SourceFormat
from skymailing.security import get_own

bp = Resource("messages", "What letters say: subjects and texts with placeholders.")

SCHEMA = MessageSchema()


@bp.operation("GET /messages", Scope.MESSAGES_READ, query=PageQuery, gives=list_of(MessageHead))
def list_messages(query: dict[str, Any]) -> Any:
    """List messages, oldest first, without their bodies."""
    statement = queries.list_messages(current_access().owner_id)
    return page_of(list_after(statement, [(Message.id, False)], query.get("after"), query["limit"]))


@bp.operation("GET /messages/<int:message_id>", Scope.MESSAGES_READ, gives=MessageSchema)
def get_message(message_id: int) -> Any:
    """Get a message."""
    return get_own(Message, message_id)


@bp.operation(
    "POST /messages",
    Scope.MESSAGES_WRITE,
    takes=NewMessage,
    tests=True,
    gives=MessageSchema,
    status=201,
    starts_reading=True,
)
def create_message(values: dict[str, Any]) -> Any:
    """Add a message.

    Its placeholders are checked.
    """
    content = read_content(values)
    start_writing()
    message = Message(owner_id=current_access().owner_id)
    services.save_message(message, content, None)
    return message, 201, {"Location": url_for("api_messages.get_message", message_id=message.id)}


@bp.operation(
    "PATCH /messages/<int:message_id>",
    Scope.MESSAGES_WRITE,
    takes=MessageChange,
    gives=MessageSchema,
    starts_reading=True,
)
def update_message(values: dict[str, Any], message_id: int) -> Any:
    """Change some values of a message.

    Runs that have started keep its text.
    """
    message = get_own(Message, message_id)
    version = message.version
    content = read_content(list_values(message, values.get("format")) | values)
    start_writing()
    message = get_own(Message, message_id, to_change=True)
    check_if_match(SCHEMA, message)
    services.save_message(message, content, version)
    return message


@bp.operation("DELETE /messages/<int:message_id>", Scope.MESSAGES_WRITE, status=204)
def delete_message(message_id: int) -> Any:
    """Delete a message that no mailing uses."""
    message = get_own(Message, message_id, to_change=True)
    check_if_match(SCHEMA, message)
    services.delete_message(message, current_actor(), utcnow())
    return "", 204


def list_values(message: Message, new_format: Format | None) -> dict[str, Any]:
    """Return the values that a change keeps; in a new format, a composed message keeps its HTML."""
    source_format, source = message.current_source
    current = Format(source_format or message.format)
    values: dict[str, Any] = {"subject": message.subject, "language": message.language, "format": current}
    values["preheader"] = message.preheader
    if source_format and (new_format or current) is current:
        values["layout"] = message.layout_id
        return values | ({"design": json.loads(source)} if current is Format.BLOCKS else {"body": source})
    return values | {"body": message.body}  # which contains the layout


def read_content(values: dict[str, Any]) -> Content:
    """Return the content after checking its placeholders; raises InvalidFields."""
    is_design = values["format"] is Format.BLOCKS
    expected, other = ("design", "body") if is_design else ("body", "design")
    if expected not in values:
        raise InvalidFields([FieldError(f"/{expected}", "required", str(CODES["required"]))])
    if other in values:
        raise InvalidFields([FieldError(f"/{other}", "unknown_field", str(CODES["unknown_field"]))])
    refuse_blank({name: values[name] for name in ("subject", expected) if isinstance(values[name], str)})
    subject = clean_line(values["subject"])
    layout = find_layout(current_access().owner_id, values.get("layout"))
    if layout is None and values.get("layout") is not None:
        raise InvalidField("/layout", UserError("layout_missing"))
    try:
        content = make_any_content(subject, values, layout)
        content = replace(content, preheader=clean_line(values.get("preheader", "")))
        check_content(content)
        check_flags(current_owner(), content)
    except InvalidSource as error:
        code = "message_template" if error.template else error.code
        text = explain_source_error(error, with_place=not is_design)
        problem = FieldError(f"/{expected}{error.pointer}", code, text)
        raise InvalidFields([problem]) from error
    except TemplateError as error:
        pointer = "/subject" if error.in_subject else "/preheader" if error.in_preheader else f"/{expected}"
        problem = FieldError(pointer, "message_template", explain_template_error(error))
        raise InvalidFields([problem]) from error
    return content


def make_any_content(subject: str, values: dict[str, Any], layout: Layout | None) -> Content:
    """Return the content in any format; raises InvalidSource and TemplateError."""
    format, language = values["format"], values.get("language")
    if format in COMPOSED_FORMATS:
        source_format = SourceFormat(format)
        source = write_design(values["design"]) if format is Format.BLOCKS else values["body"]
    else:
        content = make_content(subject, MessageFormat(format), clean(values["body"]), language)
        if not (source_format := find_written_format(content.format, layout)):
            return content
        check_content(content)
        source = content.body
    choose = partial(choose_language, language)
    return make_composed(current_owner(), subject, source_format, source, choose, layout)
