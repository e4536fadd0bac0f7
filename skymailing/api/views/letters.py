"""Transactional letters: send one, and read its result."""

import json
from typing import Any

from flask import abort, url_for

from skymailing.api.paging import list_after
from skymailing.api.problems import ApiError, FieldError, InvalidField, InvalidFields
from skymailing.api.schemas.base import list_of
from skymailing.api.schemas.letters import LetterDetails, LetterQuery, LetterSchema, NewLetter
from skymailing.api.scopes import Scope
from skymailing.api.views.attachments import describe_file, read_attachments
from skymailing.api.views.authentication import current_access, current_owner
from skymailing.api.views.blueprint import Resource, after_commit
from skymailing.api.views.bodies import escape_pointer, refuse_blank
from skymailing.api.views.pages import page_of
from skymailing.clock import utcnow
from skymailing.db.engine import start_writing
from skymailing.delivery.composition.current import read_current
from skymailing.delivery.rendering.content import TemplateError, clean
from skymailing.delivery.rendering.languages import guess_language
from skymailing.delivery.rendering.letter import Recipient
from skymailing.delivery.rendering.mime import clean_line
from skymailing.delivery.rendering.transactional import RESERVED, make_content
from skymailing.delivery.rendering.values import ValueFormats
from skymailing.delivery.senders import describe_from, is_usable
from skymailing.email_addresses import InvalidEmail, address_key, parse_recipient
from skymailing.errors import UserError
from skymailing.extensions import db
from skymailing.hints import hint_letters
from skymailing.letters import queries, services
from skymailing.letters.contents import CHECKED, CheckedContent, LetterError
from skymailing.messages import queries as message_queries
from skymailing.messages.error_texts import explain_template_error
from skymailing.messages.placeholders import write_path
from skymailing.models import DeliveryState, Message, MessageFormat, Sender, TransactionalLetter, User
from skymailing.quotas.checks import LimitReached
from skymailing.senders.queries import find_default_sender, find_sender_by_id
from skymailing.web.error_texts import explain

bp = Resource("letters", "Emails to one person each, such as receipts, and their results.")

LETTER_LIMIT = 12 * 1024 * 1024  # bytes; the limit of a letter's files is usually lower
MAX_VALUES = 100_000  # characters of the values as JSON
NAME_PATHS = (("name",), ("client", "name"), ("client", "full_name"))
COPIED = ("state", "due_at", "finished_at")


@bp.operation(
    "POST /letters",
    Scope.LETTERS_SEND,
    takes=NewLetter,
    gives=LetterSchema,
    status=201,
    starts_reading=True,
    tests=True,
    limit=LETTER_LIMIT,
)
def send_letter(values: dict[str, Any]) -> Any:
    """Send an email to one person.

    It is sent at once, before those of mailings, without a footer, tracking or a way to unsubscribe.
    Addresses that bounced, complained or that you blocked get nothing, and the state is `suppressed`.
    With a test key, nothing is sent: the email can be read among the test emails.
    """
    is_caught = not current_access().is_live
    owner, now = current_owner(), utcnow()
    letter = read_letter(owner, values)
    start_writing()
    try:
        added = services.add_letter(owner, letter, now, is_caught=is_caught)
    except LimitReached as error:
        if error.code != "letter_limit":
            raise
        raise ApiError(429, "letter_limit", limit=error.values["limit"]) from error
    delivery = added.delivery
    if delivery.state is DeliveryState.PENDING:
        owner_id, run_id = owner.id, delivery.run_id
        after_commit(lambda: hint_letters(owner_id, run_id))
    location = url_for("api_letters.get_letter", letter_id=added.delivery_id)
    return describe(added), 201, {"Location": location}


@bp.operation("GET /letters", Scope.LETTERS_READ, query=LetterQuery, gives=list_of(LetterSchema))
def list_letters(query: dict[str, Any]) -> Any:
    """List transactional emails, oldest first: those of live keys, or with a test key those of test keys."""
    statement = queries.select_letters(
        current_owner().id,
        state=query.get("state"),
        reference=query.get("reference", ""),
        is_caught=not current_access().is_live,
    )
    listing = list_after(statement, queries.ORDER, query.get("after"), query["limit"])
    return page_of(listing, [describe(letter) for letter in listing.items])


@bp.operation("GET /letters/<big:letter_id>", Scope.LETTERS_READ, gives=LetterDetails)
def get_letter(letter_id: int) -> Any:
    """Get a transactional email with all attempts to send it, and the mail server's replies."""
    letter = queries.find_letter(current_owner().id, letter_id) or abort(404)
    attempts = queries.list_attempts(letter_id)
    for attempt in attempts:
        attempt.email = letter.delivery.email  # type: ignore[attr-defined]  # for the schema
    is_suppressed = letter.delivery.state is DeliveryState.SUPPRESSED
    reason = queries.find_suppression_reason(letter) if is_suppressed else None
    return describe(letter) | {
        "attachments": [describe_file(file) for file in queries.list_files(letter)],
        "attempts": attempts,
        "suppressed_reason": reason,
    }


def describe(letter: TransactionalLetter) -> dict[str, Any]:
    """Return a letter for the schema."""
    delivery = letter.delivery
    return {name: getattr(delivery, name) for name in COPIED} | {
        "id": letter.delivery_id,
        "to": delivery.email,
        "name": letter.name,
        "reference": letter.reference,
        "created_at": letter.created_at,
        "test": letter.is_caught,
    }


def read_letter(owner: User, values: dict[str, Any]) -> services.NewLetter:
    """Return the letter that the request describes; raises InvalidField or InvalidFields."""
    try:
        email = parse_recipient(values["to"])
    except InvalidEmail as error:
        raise InvalidField("/to", error) from error
    message = read_message(owner, values)
    content = read_content(owner, values, message)
    check_values(values["values"])
    recipient = Recipient(email, clean_line(values["name"]), values["values"])
    sender = find_sender(owner, values)
    check_letter(content, recipient, describe_from(owner, sender).name)
    files = read_attachments(message, values["attachments"])
    return services.NewLetter(recipient, address_key(email), content, sender, values["reference"], files)


def read_content(owner: User, values: dict[str, Any], message: Message | None) -> CheckedContent:
    """Return the checked content; raises InvalidField or InvalidFields."""
    if message:
        body = read_current(db.session, message).sent_body
        content = make_content(message.subject, message.format, body, message.language)
    else:
        body = clean(values["body"])
        refuse_blank({name: values[name] for name in ("subject", "body") if name in values})
        language = values.get("language") or guess_language(body)
        format = values.get("format", MessageFormat.MARKDOWN)
        content = make_content(clean_line(values.get("subject", "")), format, body, language)
    place = "/message_id" if message else "/body"
    try:
        return CHECKED.check(content, ValueFormats.of(owner))
    except LetterError as error:
        raise InvalidField(place, error) from error
    except TemplateError as error:
        raise template_problem(place, error) from error


def read_message(owner: User, values: dict[str, Any]) -> Message | None:
    """Return the owner's message, or None for a letter with its own body; raises InvalidField."""
    own = [name for name in ("subject", "body", "format", "language") if name in values]
    if ("message_id" in values) == bool(own) or ("message_id" not in values and "body" not in values):
        raise InvalidField("/message_id" if "message_id" in values else "/body", UserError("letter_content"))
    if "message_id" not in values:
        return None
    message = message_queries.find_message(owner.id, values["message_id"])
    if message is None:
        raise InvalidField("/message_id", UserError("mailing_message_unknown"))
    return message


def check_values(values: dict[str, Any]) -> None:
    """Refuse values that are too large or whose names are reserved for the service."""
    if len(json.dumps(values, ensure_ascii=False)) > MAX_VALUES:
        raise InvalidField("/values", UserError("letter_values_too_large", limit=MAX_VALUES))
    if reserved := sorted(RESERVED & values.keys()):
        problem = UserError("letter_value_reserved")
        raise InvalidFields(
            [FieldError(f"/values/{name}", problem.code, explain(problem)) for name in reserved]
        )


def check_letter(content: CheckedContent, recipient: Recipient, sender_name: str) -> None:
    """Refuse a letter with missing values, or with values that its template cannot use."""
    if missing := content.find_missing(recipient, sender_name):
        raise MissingValues(missing)
    try:
        content.render(recipient, sender_name)
    except TemplateError as error:
        raise template_problem("/values", error) from error


def template_problem(place: str, error: TemplateError) -> InvalidFields:
    return InvalidFields([FieldError(place, "message_template", explain_template_error(error))])


class MissingValues(InvalidFields):
    """Placeholders of the letter would print nothing."""

    public_code = "missing_values"

    def __init__(self, paths: list[tuple[str, ...]]) -> None:
        text = explain(UserError("letter_value_missing"))
        pointers = map(point_to, paths)
        super().__init__(
            [
                FieldError(pointer, "missing_value", f"{write_path(path)}: {text}")
                for path, pointer in zip(paths, pointers, strict=True)
            ]
        )


def point_to(path: tuple[str, ...]) -> str:
    """Return the JSON pointer to the value that a placeholder prints."""
    if path in NAME_PATHS:
        return "/name"
    return "/values/" + "/".join(map(escape_pointer, path))


def find_sender(owner: User, values: dict[str, Any]) -> Sender | None:
    """Return the letter's sender, or None for the service's address; raises InvalidField."""
    if "sender_id" not in values:
        return find_default_sender(owner.id)
    if values["sender_id"] is None:
        return None
    sender = find_sender_by_id(owner.id, values["sender_id"])
    if sender is None or not is_usable(sender) or (sender.server and sender.server.is_being_tested):
        raise InvalidField("/sender_id", UserError("letter_sender"))
    return sender
