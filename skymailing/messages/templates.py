"""Save messages as templates for other messages."""

from sqlalchemy import select

from skymailing.delivery.rendering.content import Content
from skymailing.delivery.rendering.mime import clean_line
from skymailing.errors import UserError
from skymailing.extensions import db
from skymailing.models import Message, MessageTemplate
from skymailing.models.message import TEMPLATE_NAME_MAX_LENGTH
from skymailing.quotas.checks import require_room

MAX_TEMPLATES = 100  # per owner


def list_templates(owner_id: int) -> list[MessageTemplate]:
    """Return the owner's templates, the newest first."""
    own = select(MessageTemplate).where(MessageTemplate.owner_id == owner_id)
    return list(db.session.scalars(own.order_by(MessageTemplate.id.desc())))


def find_template(owner_id: int, template_id: int | None) -> MessageTemplate | None:
    """Return the owner's template with this ID."""
    if template_id is None:
        return None
    own = select(MessageTemplate).where(MessageTemplate.owner_id == owner_id)
    return db.session.scalar(own.where(MessageTemplate.id == template_id))


def save_template(message: Message, name: str) -> MessageTemplate:
    """Save a message as a template; raises LimitReached, or UserError for an invalid name."""
    name = _check_name(name)
    own = select(MessageTemplate.id).where(MessageTemplate.owner_id == message.owner_id)
    require_room("template_limit", own, MAX_TEMPLATES)
    template = MessageTemplate(owner_id=message.owner_id, name=name, **Content.with_source(message).columns)
    db.session.add(template)
    db.session.flush()
    return template


def rename_template(template: MessageTemplate, name: str) -> None:
    """Rename a template; raises UserError for an invalid name."""
    template.name = _check_name(name)


def _check_name(name: str) -> str:
    name = clean_line(name).strip()
    if not name or len(name) > TEMPLATE_NAME_MAX_LENGTH:
        raise UserError("block_name", limit=TEMPLATE_NAME_MAX_LENGTH)
    return name
