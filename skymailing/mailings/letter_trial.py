"""Render a mailing's letters before it is sent, and report what fails for some clients."""

import time
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

from flask_babel import gettext as _

from skymailing.delivery.rendering.content import Content
from skymailing.delivery.rendering.letter import CompiledContent, Recipient, make_values
from skymailing.delivery.rendering.liquid_tags import TemplateError
from skymailing.delivery.rendering.message_content import HasContent
from skymailing.delivery.rendering.values import ValueFormats, unreadable
from skymailing.extensions import db
from skymailing.mailings import queries
from skymailing.mailings.selection import Conditions
from skymailing.messages.error_texts import explain_template_error
from skymailing.models import Client, User
from skymailing.web.urls import EXAMPLE_UNSUBSCRIBE_URL

MAX_LETTERS = 2_000  # half to the first recipients, half to the last
MAX_SECONDS = 1.0
MAX_SHOWN = 5


@dataclass
class Failure:
    """An error, the number of clients for whom it occurs, and the address of one of them."""

    text: str
    example: str
    clients: int = 0


@dataclass(frozen=True)
class Trial:
    """The failures, most frequent first, among the letters that were `tried`."""

    failures: list[Failure]
    tried: int
    covers_all: bool


def try_letters(owner: User, message: HasContent, conditions: Conditions) -> Trial | None:
    """Render the letters to the recipients in the audience.

    Return None if the message only prints clients' values, so that they cannot make a letter fail.
    """
    try:
        letter = CompiledContent(Content.of(message), ValueFormats.of(owner))
    except TemplateError as error:
        return Trial([Failure(explain_template_error(error), owner.email, 1)], 0, covers_all=True)
    if not any(part.nodes for part in letter.list_parts()):
        return None
    failures: dict[str, Failure] = {}
    deadline = time.monotonic() + MAX_SECONDS
    tried, covers_all = 0, True
    for condition in conditions:
        rows, is_whole = choose_recipients(owner, condition, MAX_LETTERS - tried)
        covers_all = covers_all and is_whole
        for row in rows:
            if time.monotonic() > deadline:
                covers_all = False
                break
            tried += 1
            for text in try_letter(letter, Recipient(row.email, row.full_name, row.attributes)):
                failures.setdefault(text, Failure(text, row.email)).clients += 1
    worst = sorted(failures.values(), key=lambda failure: -failure.clients)
    return Trial(worst[:MAX_SHOWN], tried, covers_all)


def choose_recipients(owner: User, condition: Any, limit: int) -> tuple[list[Any], bool]:
    """Return at most `limit` recipients, and whether there are no more."""
    if limit <= 0:
        return [], False
    columns = (Client.id, Client.email, Client.full_name, Client.attributes)
    statement = (
        queries.select_mailable_clients(owner).where(condition).with_only_columns(*columns).order_by(None)
    )
    rows = list(db.session.execute(statement.order_by(Client.id).limit(limit + 1)))
    if len(rows) <= limit:
        return rows, True
    first = rows[: limit // 2]
    last = db.session.execute(statement.order_by(Client.id.desc()).limit(limit - len(first)))
    return list({row.id: row for row in (*first, *last)}.values()), False


def try_letter(letter: CompiledContent, recipient: Recipient) -> Iterator[str]:
    """Yield the errors of the letter to one client."""
    values = make_values(recipient, "", EXAMPLE_UNSUBSCRIBE_URL, letter.readers)
    noted: set[str] = set()
    token = unreadable.set(noted)
    try:
        letter.render(values)
    except TemplateError as error:
        yield explain_template_error(error)
    finally:
        unreadable.reset(token)
    for text in sorted(noted):
        yield _("“%(value)s” is used as a number but is not one.", value=text)
