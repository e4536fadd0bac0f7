"""Render a letter again for its recipient, from the stored content of its run."""

from collections import OrderedDict
from dataclasses import dataclass
from datetime import datetime
from threading import Lock
from typing import Any
from uuid import UUID

from flask import current_app
from sqlalchemy import Connection, func, select

from skymailing.delivery.audience.flags import find_for_deliveries
from skymailing.delivery.eligibility import is_allowed
from skymailing.delivery.rendering import mime
from skymailing.delivery.rendering.flags import NO_FLAGS
from skymailing.delivery.rendering.letter import CompiledContent, Content, Recipient, Rendered, make_values
from skymailing.delivery.rendering.letter_links import letter_link_key, read_letter_token
from skymailing.delivery.rendering.message_ids import RunIdentity
from skymailing.delivery.rendering.values import ValueFormats, make_clock
from skymailing.errors import UserError
from skymailing.models import Client, Delivery, Mailing, Run, RunVariant, User
from skymailing.tokens import unsubscribe_token
from skymailing.web.urls import browser_url, unsubscribe_url

COMPILED_RUNS = 8  # runs whose compiled content each process keeps


class LetterGone(UserError):
    """The letter, its client or its text has been deleted."""

    def __init__(self) -> None:
        super().__init__("letter_gone")


class LetterHidden(UserError):
    """The link is invalid, or a manager has disabled the letter's mailing or blocked its owner."""

    def __init__(self) -> None:
        super().__init__("letter_hidden")


@dataclass(frozen=True, slots=True)
class SentLetter:
    """The data from which a letter was rendered."""

    token: str
    run: UUID
    variant: int  # in the run's test; 0 if there is no test
    owner_id: int
    content: Content
    formats: ValueFormats
    sender_name: str
    recipient: Recipient
    email_key: str
    topic_id: int | None
    sent_at: datetime


def find_letter(connection: Connection, token: str) -> SentLetter:
    """Return the letter to which a token belongs; raises LetterHidden and LetterGone.

    Its recipient has the client's current values.
    """
    name = read_letter_token(token, letter_link_key())
    if name is None:
        raise LetterHidden
    row = connection.execute(_select_letter(name.delivery_id)).one_or_none()
    # SQLite reuses the IDs of deleted deliveries, so compare the run's mark.
    if row is None or RunIdentity(row.uuid).mark != name.run_mark:
        raise LetterGone
    if not row.may_be_shown:
        raise LetterHidden
    if row.full_name is None or row.details_removed_at is not None:
        raise LetterGone
    if row.client_key != row.email_key:
        # The address was corrected, or the client was merged: the values may belong to someone else.
        raise LetterGone
    return SentLetter(
        token,
        row.uuid,
        row.variant or 0,
        row.owner_id,
        Content.of(row),
        ValueFormats.read(row.attribute_types, row.date_order, row.locale, row.timezone),
        mime.clean_line(row.sender_name),
        Recipient(row.email, row.full_name, row.attributes),
        row.email_key,
        row.topic_id,
        row.finished_at or row.started_at,
    )


def _select_letter(delivery_id: int) -> Any:
    variant = func.coalesce(Delivery.variant, Run.winner)
    own_variant = (RunVariant.run_id == Run.id) & (RunVariant.number == variant)
    names = ("subject", "format", "body", "language", "sender_name")
    content = [func.coalesce(getattr(RunVariant, name), getattr(Run, name)).label(name) for name in names]
    run = (Run.uuid, Run.started_at, Run.details_removed_at, Run.topic_id, variant.label("variant"))
    delivery = (Delivery.email, Delivery.email_key, Delivery.finished_at)
    client = (Client.email_key.label("client_key"), Client.full_name, Client.attributes)
    owner = (Mailing.owner_id, User.attribute_types, User.date_order, User.locale, User.timezone)
    is_owners_client = (Client.id == Delivery.client_id) & (Client.owner_id == Mailing.owner_id)
    return (
        select(*content, *run, *delivery, *client, *owner, is_allowed().label("may_be_shown"))
        .join(Run, Run.id == Delivery.run_id)
        .join(Mailing, Mailing.id == Run.mailing_id)
        .join(User, User.id == Mailing.owner_id)
        .outerjoin(Client, is_owners_client)
        .outerjoin(RunVariant, own_variant)
        .where(Delivery.id == delivery_id)
    )


def render_letter(letter: SentLetter) -> Rendered:
    """Render the letter with all its links; raises TemplateError."""
    parts = compile_letter(letter)
    recipient = letter.recipient
    if parts.flags and (name := read_letter_token(letter.token, letter_link_key())):
        found = find_for_deliveries(letter.owner_id, parts.flags, [name.delivery_id])
        recipient = recipient._replace(flags=found.get(name.delivery_id, NO_FLAGS))
    values = make_values(
        recipient,
        letter.sender_name,
        unsubscribe_url(unsubscribe_token(letter.owner_id, letter.email_key, letter.topic_id)),
        parts.readers,
        browser_url=browser_url(letter.token),
    )
    return parts.render(values | make_clock(letter.sent_at))


class CompiledRuns:
    """A cache of the compiled content of the runs whose letters were opened last: parsing takes longest."""

    def __init__(self) -> None:
        self._runs: OrderedDict[tuple[UUID, int], tuple[ValueFormats, CompiledContent]] = OrderedDict()
        self._lock = Lock()

    def compile(self, letter: SentLetter) -> CompiledContent:
        """Return the compiled content of a letter's run; raises TemplateError."""
        key = letter.run, letter.variant
        with self._lock:
            found = self._runs.get(key)
        if found is None or found[0] != letter.formats:
            found = letter.formats, CompiledContent(letter.content, letter.formats)
        with self._lock:
            self._runs[key] = found
            self._runs.move_to_end(key)
            while len(self._runs) > COMPILED_RUNS:
                self._runs.popitem(last=False)
        return found[1]


def compile_letter(letter: SentLetter) -> CompiledContent:
    runs: CompiledRuns = current_app.extensions.setdefault("compiled_runs", CompiledRuns())
    return runs.compile(letter)
