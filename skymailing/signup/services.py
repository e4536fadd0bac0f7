"""Add, change and delete forms."""

from collections.abc import Sequence
from dataclasses import dataclass

from sqlalchemy import select
from sqlalchemy.exc import InvalidRequestError

from skymailing import audit
from skymailing.audit import Actor
from skymailing.clients.tags import find_or_create_tags
from skymailing.errors import UserError
from skymailing.extensions import db
from skymailing.models import AuditAction, Sender, SignupForm, Tag, Topic
from skymailing.quotas.checks import require_room, select_forms
from skymailing.quotas.locking import lock_owner
from skymailing.settings.quotas import quota_settings
from skymailing.signup.fields import FormField, write_fields


@dataclass(frozen=True, slots=True)
class FormValues:
    """An owner's choices for a form. Empty strings mean the defaults in the form's language."""

    name: str
    language: str
    consent_text: str = ""
    is_open: bool = True
    title: str = ""
    introduction: str = ""
    button: str = ""
    fields: Sequence[FormField] = ()
    tags: Sequence[str] = ()
    topic_ids: Sequence[int] = ()
    thanks_text: str = ""
    thanks_url: str = ""
    confirm_subject: str = ""
    confirm_body: str = ""
    sender_id: int | None = None
    asks_tracking: bool = False
    tracking_text: str = ""


PLAIN_COLUMNS = (
    *("name", "language", "consent_text", "is_open", "title", "introduction", "button"),
    *("thanks_text", "thanks_url", "confirm_subject", "confirm_body", "asks_tracking", "tracking_text"),
)


def add_form(owner_id: int, values: FormValues) -> SignupForm:
    """Add a form. Raises LimitReached, InvalidTag, and UserError if the sender does not exist."""
    lock_owner(owner_id)
    require_room("form_limit", select_forms(owner_id), quota_settings().forms)
    form = SignupForm(owner_id=owner_id)
    _write(form, values)
    return form


def change_form(form: SignupForm, values: FormValues) -> None:
    """Change a form. Raises InvalidTag, and UserError if the form or the sender does not exist."""
    _lock(form)
    _write(form, values)


def delete_form(form: SignupForm, actor: Actor) -> None:
    """Delete a form with its unconfirmed requests. Its clients and their consents are kept.

    Raises UserError if another window has deleted it.
    """
    _lock(form)
    audit.record(AuditAction.FORM_DELETED, actor, form)
    db.session.delete(form)
    db.session.flush()


def _lock(form: SignupForm) -> None:
    try:
        db.session.refresh(form, with_for_update={"of": SignupForm})
    except InvalidRequestError as error:
        raise UserError("form_deleted") from error


def _write(form: SignupForm, values: FormValues) -> None:
    for name in PLAIN_COLUMNS:
        setattr(form, name, getattr(values, name))
    form.fields = write_fields(list(values.fields))
    form.sender_id = _find_sender(form.owner_id, values.sender_id)
    db.session.add(form)
    db.session.flush()
    ids = find_or_create_tags(form.owner_id, values.tags).values()
    form.tags = list(db.session.scalars(select(Tag).where(Tag.id.in_(ids)))) if ids else []
    condition = (Topic.owner_id == form.owner_id) & Topic.id.in_(values.topic_ids)
    # Another window may have deleted a topic since the page was opened; save the others.
    kept = select(Topic).where(condition).order_by(Topic.id).with_for_update(read=True, key_share=True)
    form.topics = list(db.session.scalars(kept)) if values.topic_ids else []
    db.session.flush()


def _find_sender(owner_id: int, sender_id: int | None) -> int | None:
    if sender_id is None:
        return None
    statement = select(Sender.id).where(Sender.owner_id == owner_id, Sender.id == sender_id)
    found = db.session.scalar(statement.with_for_update(read=True, key_share=True))
    if found is None:
        raise UserError("form_sender_unknown")
    return found
