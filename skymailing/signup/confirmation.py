"""Turn a confirmed request into a client, and record the proof."""

from collections.abc import Sequence
from dataclasses import replace
from datetime import datetime
from typing import Any

from sqlalchemy import ColumnElement, select

from skymailing.clients.cleaning import MAX_ATTRIBUTES
from skymailing.clients.consents import Evidence, record
from skymailing.clients.suppression import lift_by_consent
from skymailing.clients.topic_choices import choose
from skymailing.db.engine import insert_into
from skymailing.delivery.sequences.entering import signal_confirmation
from skymailing.events import payloads
from skymailing.events.recording import record as record_events
from skymailing.extensions import db
from skymailing.models import (
    Client,
    ConsentKind,
    ConsentPurpose,
    Origin,
    Signup,
    SignupForm,
    Tag,
    client_forms,
    client_tags,
    form_tags,
    form_topics,
)
from skymailing.models.form import AGENT_MAX_LENGTH
from skymailing.outbox.signup_letters import read_signup_token
from skymailing.quotas.checks import LimitReached, require_room, select_clients
from skymailing.settings.quotas import quota_settings
from skymailing.signup.fields import ATTRIBUTE_PREFIX, FULL_NAME, TIMEZONE
from skymailing.signup.protection import Visitor
from skymailing.signup.requests import count_day
from skymailing.tokens import BadToken


def confirm_signup(token: str, form_uuid: str, visitor: Visitor, now: datetime) -> Signup:
    """Confirm the address that the token was sent to. Raises BadToken.

    A repeated confirmation changes nothing, since the person may have unsubscribed in the meantime. If the
    owner's client limit is reached, the person becomes a client as soon as there is room (`add_waiting`).
    """
    keep_form(SignupForm.uuid == form_uuid)
    signup_id = read_signup_token(token, form_uuid).id
    found = select(Signup).where(Signup.id == signup_id).with_for_update()
    signup = db.session.scalar(found.execution_options(populate_existing=True))
    if signup is None or (signup.confirmed_at is None and signup.expires_at <= now):
        raise BadToken("expired")
    if signup.confirmed_at is not None:
        return signup
    signup.confirmed_at = now
    signup.is_waiting = not _add_client(signup, now)
    _record(signup, visitor, now)
    lift_by_consent(signup.owner_id, signup.email_key, now)
    joined = select(form_topics.c.topic_id).where(form_topics.c.form_id == signup.form_id)
    choose(signup.owner_id, signup.email_key, dict.fromkeys(db.session.scalars(joined), True), now)
    record_events(db.session.connection(), payloads.client_confirmed(signup, form_uuid, now))
    count_day(signup.form_id, now, confirmed=1)
    return signup


def keep_form(is_form: ColumnElement[bool]) -> None:
    """Keep a form from being deleted until the transaction ends.

    Call this before locking the form's requests: a deletion locks the form first, so the opposite order could
    deadlock.
    """
    db.session.execute(select(SignupForm.id).where(is_form).with_for_update(read=True, key_share=True))


def add_waiting(signup: Signup, now: datetime) -> bool:
    """Add the client of a confirmed request that waited for room; return whether there was room."""
    signup.is_waiting = not _add_client(signup, now)
    return not signup.is_waiting


def _record(signup: Signup, visitor: Visitor, now: datetime) -> None:
    """Record the request and its confirmation together.

    An unconfirmed request proves nothing and could come from a bot, so it is not recorded.
    """
    source: dict[str, Any] = {"form_id": signup.form_id, "text_id": signup.text_id}
    requested = Evidence(signup.ip, signup.agent, **source)
    record(signup.owner_id, signup.email_key, ConsentKind.ASKED, signup.requested_at, requested)
    confirmed = Evidence(visitor.ip[:45], visitor.agent[:AGENT_MAX_LENGTH], **source)
    record(signup.owner_id, signup.email_key, ConsentKind.CONFIRMED, now, confirmed)
    if signup.tracking_text_id is not None:
        tracking = replace(confirmed, text_id=signup.tracking_text_id, purpose=ConsentPurpose.TRACKING)
        record(signup.owner_id, signup.email_key, ConsentKind.CONFIRMED, now, tracking)


def _add_client(signup: Signup, now: datetime) -> bool:
    """Create or update the client, with the form's tags; return False if there is no room for a new one."""
    tag_ids = _lock_tags(signup.form_id)  # before the client, in the same order as elsewhere
    client = _lock_client(signup)
    if client is None:
        try:
            require_room("client_limit", select_clients(signup.owner_id), quota_settings().clients)
        except LimitReached:
            return False
        new = {"owner_id": signup.owner_id, "email": signup.email, "email_key": signup.email_key}
        new |= {"origin": Origin.FORM, "origin_id": signup.form_id}
        texts = dict.fromkeys(("full_name", "comment", "timezone"), "")
        values = texts | {"attributes": {}, "created_at": now, "updated_at": now}
        # A concurrent transaction may add the same client.
        db.session.execute(insert_into(Client).values(new | values).on_conflict_do_nothing())
        client = _lock_client(signup)
        assert client is not None
    _fill(client, signup.values)
    db.session.flush()
    if tag_ids:
        rows = [{"tag_id": tag_id, "client_id": client.id} for tag_id in tag_ids]
        db.session.execute(insert_into(client_tags).on_conflict_do_nothing(), rows)
    link = insert_into(client_forms).values(form_id=signup.form_id, client_id=client.id)
    db.session.execute(link.on_conflict_do_nothing())
    signal_confirmation(db.session.connection(), signup.form_id, client.id)
    return True


def _lock_tags(form_id: int) -> Sequence[int]:
    form_tag_ids = (
        select(Tag.id).join(form_tags, form_tags.c.tag_id == Tag.id).where(form_tags.c.form_id == form_id)
    )
    locked = form_tag_ids.order_by(Tag.id).with_for_update(read=True, key_share=True, of=Tag)
    return db.session.scalars(locked).all()


def _lock_client(signup: Signup) -> Client | None:
    condition = (Client.owner_id == signup.owner_id) & (Client.email_key == signup.email_key)
    found = select(Client).where(condition).with_for_update().execution_options(populate_existing=True)
    return db.session.scalar(found)


def _fill(client: Client, values: dict[str, Any]) -> None:
    """Write the values that the person entered; all other values are kept."""
    if name := values.get(FULL_NAME):
        client.full_name = name
    if not client.timezone:
        client.timezone = values.get(TIMEZONE, "")
    attributes = dict(client.attributes)
    for key, value in values.items():
        name = key.removeprefix(ATTRIBUTE_PREFIX)
        if key != name and (name in attributes or len(attributes) < MAX_ATTRIBUTES):
            attributes[name] = value
    client.attributes = attributes
